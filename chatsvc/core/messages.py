"""Messages: appended at a cost that does not grow, read in `id` order, edited, removed and brought back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Insert, Select, String, Text, bindparam, func, insert, null, select, update
from sqlalchemy import Connection as Unit

from chatsvc.core import cap, idempotency, sessions
from chatsvc.core.database import unit, within, write
from chatsvc.core.errors import Conflict, Forbidden, NotFound
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import Json, later, now
from chatsvc.core.paging import Page, Window, by_id, cut, unseal
from chatsvc.core.prepared import prepared
from chatsvc.core.read_models import MESSAGE, MESSAGE_SO_FAR, in_session, messages_as_json, messages_from_json
from chatsvc.core.replica import read_any
from chatsvc.core.rows import AnyRow, changed
from chatsvc.extensions import settings


def append(
    user_id: str,
    session_id: str,
    *,
    role: str,
    content: str,
    agent_type: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> AnyRow:
    """A new message at the end of a plain session; an ended session is resumed by it."""
    _history_is_kept()
    values: dict[str, Any] = {"role": role, "content": content, "agent_type": agent_type, "metadata": metadata or {}}
    appended = write(_insert(active=True, by_assistant=role == "assistant"), {"owner": user_id, "session": session_id, **values})
    message = appended[0] if appended else _append_and_resume(user_id, session_id, **values)
    idempotency.concerns(session_id)
    return message


@unit
def _append_and_resume(tx: Unit, user_id: str, session_id: str, /, **values: Any) -> AnyRow:
    """For a session that was not active a moment ago: gone, ended, or an exchange."""
    session = tx.execute(select(ChatSession.agent_type, ChatSession.conversation_id).where(*sessions.owned(user_id, session_id))).one_or_none()
    if session is None:
        raise NotFound("Session")
    if session.conversation_id:
        raise Conflict("This session is one exchange of a conversation; send a new message to the conversation instead")
    cap.lock(tx, user_id, session.agent_type)
    sessions.resume_locked(tx, user_id, session_id, session.agent_type)
    statement = _insert(active=False, by_assistant=values["role"] == "assistant")
    appended = within(tx, statement, {"owner": user_id, "session": session_id, **values})
    if not appended:
        raise NotFound("Session")
    return appended[0]


@prepared
def _insert(*, active: bool, by_assistant: bool) -> Insert:
    """One statement that locks the session and then draws the id, so that no id is committed before a lower one.

    FOR NO KEY UPDATE, never FOR UPDATE: that would deadlock with the foreign key's own lock.
    """
    session = select(ChatSession.id, ChatSession.user_id, ChatSession.agent_type).where(
        *sessions.owned(bindparam("owner"), bindparam("session")), ChatSession.conversation_id.is_(None)
    )
    if active:
        session = session.where(ChatSession.status == "ACTIVE")
    locked = session.with_for_update(key_share=True).subquery("locked")
    agent = func.coalesce(bindparam("agent_type", type_=String()), locked.c.agent_type) if by_assistant else null()
    said = [bindparam("role", type_=String()), bindparam("content", type_=Text()), agent, bindparam("metadata", type_=Json), now()]
    row = select(locked.c.id, locked.c.user_id, *said)
    return insert(ChatMessage).from_select(["session_id", "user_id", "role", "content", "agent_type", "metadata", "created_at"], row).returning(*MESSAGE)


@prepared
def _listed(*, of_role: bool, newest_first: bool, by_cursor: bool) -> Select[Any]:
    """A page of messages as JSON, and how many there are in all."""
    session: BindParameter[str] = bindparam("session_id")
    role: BindParameter[str] = bindparam("role")
    listed = in_session(session, newest_first=newest_first, after=bindparam("after") if by_cursor else None)
    total: ColumnElement[int] = ChatSession.message_count.expression
    if of_role:
        listed = listed.where(ChatMessage.role == role)
        live = (ChatMessage.session_id == session, ChatMessage.deleted_at.is_(None), ChatMessage.role == role)
        total = select(func.count()).select_from(ChatMessage).where(*live).scalar_subquery()
    listed = listed.limit(bindparam("size", 0)).offset(None if by_cursor else bindparam("offset", 0))
    shown: Any = select(total.label("total"), messages_as_json(listed).label("messages")).select_from(ChatSession)
    found: Select[Any] = shown.where(*sessions.owned(bindparam("user_id"), session))
    return found


def page(user_id: str, session_id: str, *, role: str | None, newest_first: bool, window: Window) -> Page:
    """A page of a session's messages in `id` order."""
    _history_is_kept()
    scope = f"messages:{user_id}:{session_id}:{role}:{newest_first}"
    place = unseal(scope, window.cursor) if window.cursor else None
    statement = _listed(of_role=role is not None, newest_first=newest_first, by_cursor=place is not None)
    where = {"after": place.after[0]} if place else {"offset": window.offset}
    found = read_any(statement, {"user_id": user_id, "session_id": session_id, "size": window.size + 1, **where, **({"role": role} if role else {})})
    if not found:
        raise NotFound("Session")
    return cut(messages_from_json(found[0].messages), window, place, scope=scope, total=found[0].total, after=by_id)


@unit
def edit(tx: Unit, user_id: str, session_id: str, message_id: int, *, content: str) -> AnyRow:
    """New text for a message; a reply that is still being written cannot be edited."""
    _history_is_kept()
    message = _locked(tx, user_id, session_id, message_id)
    if message.status == "streaming":
        raise Conflict("This reply is still being written; it can be edited once it has ended")
    return _changed(tx, message, content=content, edited_at=now())


@unit
def remove(tx: Unit, user_id: str, session_id: str, message_id: int) -> None:
    """Soft-deletes a message."""
    _history_is_kept()
    message = _locked(tx, user_id, session_id, message_id)
    if message.status == "streaming":
        raise Conflict("This reply is still being written; stop it first")
    _changed(tx, message, deleted_at=now())


@unit
def restore(tx: Unit, user_id: str, session_id: str, message_id: int) -> AnyRow:
    """Brings a soft-deleted message back; one that is not deleted stays as it is."""
    _history_is_kept()
    message = _locked(tx, user_id, session_id, message_id, deleted_too=True)
    return _changed(tx, message, deleted_at=None) if message.deleted_at else message


def _locked(tx: Unit, user_id: str, session_id: str, message_id: int, *, deleted_too: bool = False) -> AnyRow:
    """The message of this session of this user. Its session is locked first, as everybody does who changes messages."""
    if tx.execute(select(ChatSession.id).where(*sessions.owned(user_id, session_id)).with_for_update(key_share=True)).one_or_none() is None:
        raise NotFound("Session")
    wanted = select(*MESSAGE_SO_FAR).where(ChatMessage.id == message_id, ChatMessage.session_id == session_id, ChatMessage.user_id == user_id)
    message = tx.execute(wanted if deleted_too else wanted.where(ChatMessage.deleted_at.is_(None))).one_or_none()
    if message is None:
        raise NotFound("Message")
    return message


def _changed(tx: Unit, message: AnyRow, /, **values: Any) -> AnyRow:
    statement = update(ChatMessage).where(ChatMessage.id == message.id, ChatMessage.user_id == message.user_id).values(**values).returning(*MESSAGE)
    row = tx.execute(statement.execution_options(synchronize_session=False)).one()
    # The triggers do this too, but SQLite's own clock has milliseconds only, too coarse to order two sessions by.
    changed(tx, update(ChatSession).where(ChatSession.id == message.session_id).values(updated_at=later(ChatSession.updated_at, now())))
    return row


def _history_is_kept() -> None:
    if not settings().message_history:
        raise Forbidden("This service keeps no messages (CHAT_ENABLE_MESSAGE_HISTORY is false)")
