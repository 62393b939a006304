"""Conversations: the exchanges of one user with one persona, grouped."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, insert, literal, select, tuple_, update
from sqlalchemy import Connection as Unit

from chatsvc.core import personas
from chatsvc.core.database import unit
from chatsvc.core.errors import Forbidden, NotFound
from chatsvc.core.models import ChatMessage, ChatSession, Conversation
from chatsvc.core.models.types import Key, Moment, Uuid, later, now, one_moment
from chatsvc.core.paging import Page, Window, by_activity, by_id, cut, unseal
from chatsvc.core.read_models import SESSION, in_conversation
from chatsvc.core.replica import read_any
from chatsvc.core.rows import AnyRow, changed
from chatsvc.extensions import settings

LAST_MESSAGE_AT = (
    select(func.max(ChatSession.last_message_at, type_=Moment()))
    .where(ChatSession.conversation_id == Conversation.id, ChatSession.deleted_at.is_(None))
    .scalar_subquery()
)
COLUMNS = (*Conversation.__table__.c, LAST_MESSAGE_AT.label("last_message_at"))


def owned(user_id: str, conversation_id: str) -> tuple[ColumnElement[bool], ...]:
    """The one rule of who reaches a conversation: its owner."""
    return Conversation.id == conversation_id, Conversation.user_id == user_id


@unit
def create(tx: Unit, user_id: str, *, persona_id: str, title: str | None = None) -> AnyRow:
    """A new conversation with an active persona."""
    personas.check_active(persona_id)
    conversation_id = str(uuid.uuid4())
    at = one_moment()
    tx.execute(insert(Conversation).values(id=conversation_id, user_id=user_id, persona_id=persona_id, title=title, created_at=at, updated_at=at))
    return get(user_id, conversation_id)


def get(user_id: str, conversation_id: str) -> AnyRow:
    """The conversation; NotFound when it is not there, or somebody else's."""
    found = read_any(select(*COLUMNS).where(*owned(user_id, conversation_id)))
    if not found:
        raise NotFound("Conversation")
    return found[0]


def page(user_id: str, window: Window, *, persona_id: str | None = None) -> Page:
    """A page of the user's conversations, most recently active first."""
    shown = [Conversation.user_id == user_id, *([Conversation.persona_id == persona_id] if persona_id else [])]
    scope = f"conversations:{user_id}:{persona_id}"
    total = select(func.count()).select_from(Conversation).where(*shown)
    order = (Conversation.updated_at.desc(), Conversation.id.desc())
    listed = select(*COLUMNS, total.scalar_subquery().label("total")).where(*shown).order_by(*order).limit(window.size + 1)
    return _paged(listed, lambda rows: rows[0].total if rows else read_any(total)[0][0], window, scope, Conversation)


def exchanges(user_id: str, conversation_id: str, window: Window, *, status: str | None) -> Page:
    """A page of a conversation's exchanges, most recently active first; of one status, or of all."""
    shown = [ChatSession.conversation_id == conversation_id, ChatSession.user_id == user_id, ChatSession.deleted_at.is_(None)]
    shown += [ChatSession.status == status] if status else []
    scope = f"exchanges:{user_id}:{conversation_id}:{status}"
    total = _counted(user_id, conversation_id, select(func.count()).select_from(ChatSession).where(*shown))
    order = (ChatSession.updated_at.desc(), ChatSession.id.desc())
    listed = select(*SESSION).where(*shown).order_by(*order).limit(window.size + 1)
    return _paged(listed, lambda _: total, window, scope, ChatSession)


def _counted(user_id: str, conversation_id: str, amount: Select[Any]) -> int:
    """How many of something there are in a conversation; NotFound when it is not there, or somebody else's."""
    found = read_any(select(amount.scalar_subquery().label("amount")).select_from(Conversation).where(*owned(user_id, conversation_id)))
    if not found:
        raise NotFound("Conversation")
    return int(found[0].amount)


def _paged(listed: Select[Any], total: Callable[[Sequence[AnyRow]], int], window: Window, scope: str, table: Any) -> Page:
    place = unseal(scope, window.cursor) if window.cursor else None
    if place:
        at, row_id = place.after
        rows = read_any(listed.where(tuple_(table.updated_at, table.id) < tuple_(literal(datetime.fromisoformat(at), Moment()), literal(row_id, Uuid))))
    else:
        rows = read_any(listed.offset(window.offset))
    return cut(rows, window, place, scope=scope, total=total(rows), after=by_activity)


@unit
def rename(tx: Unit, user_id: str, conversation_id: str, *, title: str | None) -> AnyRow:
    if not changed(tx, update(Conversation).where(*owned(user_id, conversation_id)).values(title=title, updated_at=later(Conversation.updated_at, now()))):
        raise NotFound("Conversation")
    return get(user_id, conversation_id)


def messages(user_id: str, conversation_id: str, window: Window, *, newest_first: bool) -> Page:
    """A page of what was said in all exchanges of a conversation, in the order in which it was."""
    if not settings().message_history:
        raise Forbidden("This service keeps no messages (CHAT_ENABLE_MESSAGE_HISTORY is false)")
    scope = f"conversation messages:{user_id}:{conversation_id}:{newest_first}"
    place = unseal(scope, window.cursor) if window.cursor else None
    there = (ChatSession.conversation_id == conversation_id, ChatSession.user_id == user_id, ChatSession.deleted_at.is_(None))
    total = _counted(user_id, conversation_id, select(func.coalesce(func.sum(ChatSession.message_count), 0)).where(*there))
    listed = in_conversation(conversation_id, newest_first=newest_first).limit(window.size + 1)
    if place:
        after = literal(place.after[0], Key)
        rows = read_any(listed.where(ChatMessage.id < after if newest_first else ChatMessage.id > after))
    else:
        rows = read_any(listed.offset(window.offset))
    return cut(rows, window, place, scope=scope, total=total, after=by_id)
