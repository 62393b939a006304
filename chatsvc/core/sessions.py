"""Sessions: whose they are, how they begin and end, how they are listed."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, select, update
from sqlalchemy import Connection as Unit

from chatsvc.core import cap, idempotency, session_list
from chatsvc.core.database import unit, within
from chatsvc.core.errors import Conflict, Invalid, NotFound
from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import later, moment_param, moment_value, now
from chatsvc.core.paging import Page, Window, by_activity, cut, unseal
from chatsvc.core.prepared import prepared
from chatsvc.core.read_models import SESSION, MessageView, in_session, messages_as_json, messages_from_json
from chatsvc.core.replica import read_any
from chatsvc.core.rows import AnyRow, changed, one
from chatsvc.core.session_list import Filters as Filters
from chatsvc.core.stopping import stop_replies
from chatsvc.core.upsert import yielding_insert
from chatsvc.extensions import settings


class Keep(enum.Enum):
    """Stands for "leave as it is" where None means something."""

    IT = 0


KEEP: Final = Keep.IT
STATUSES: Final = ("ACTIVE", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Thread:
    """A session with its newest messages, oldest first, all as of one moment."""

    session: AnyRow
    messages: Sequence[MessageView]
    more: bool


def owned(user_id: str | BindParameter[str], session_id: str | BindParameter[str]) -> tuple[ColumnElement[bool], ...]:
    """The one rule of who reaches a session: its owner, while it is not deleted."""
    return (ChatSession.id == session_id, ChatSession.user_id == user_id, ChatSession.deleted_at.is_(None))


@prepared
def _insert(*names: str, active: bool) -> Any:
    given: dict[str, Any] = {name: bindparam(f"the_{name}") for name in names}
    at = moment_param("at")
    return yielding_insert(ChatSession, created_at=at, updated_at=at, ended_at=None if active else at, **given).returning(*SESSION)


@unit
def create(
    tx: Unit,
    user_id: str,
    *,
    title: str | None = None,
    agent_type: str | None = None,
    metadata: dict[str, Any] | None = None,
    active: bool = True,
    session_id: str | None = None,
) -> AnyRow:
    """A new plain session. One that begins active takes its place under the cap; one that does not has ended at once."""
    if active:
        cap.lock(tx, user_id, agent_type)
    title = title if settings().message_history else None
    values = {
        "id": session_id or str(uuid.uuid4()),
        "user_id": user_id,
        "title": title,
        "title_from": "message" if title is None else "person",
        "agent_type": agent_type,
        "metadata": metadata or {},
        "status": "ACTIVE" if active else "COMPLETED",
    }
    session = one(within(tx, _insert(*values, active=active), {f"the_{name}": value for name, value in values.items()} | moment_value("at")))
    if session is None:
        raise NotFound("Session")  # the id that was asked for is somebody's
    if active:
        cap.make_room(tx, user_id, agent_type, beside=session.id)
    idempotency.concerns(session.id)
    return session


@prepared
def _one() -> Select[Any]:
    return select(*SESSION).where(*owned(bindparam("user_id"), bindparam("session_id")))


def get(user_id: str, session_id: str) -> AnyRow:
    """The session; NotFound when it is not there, deleted, or somebody else's."""
    found = read_any(_one(), {"user_id": user_id, "session_id": session_id})
    if not found:
        raise NotFound("Session")
    return found[0]


@prepared
def _thread() -> Select[Any]:
    newest = in_session(bindparam("session_id"), newest_first=True).limit(bindparam("size", 0))
    return select(*SESSION, messages_as_json(newest).label("messages")).where(*owned(bindparam("user_id"), bindparam("session_id")))


def thread(user_id: str, session_id: str, *, message_limit: int) -> Thread:
    """The session and its newest messages."""
    found = read_any(_thread(), {"user_id": user_id, "session_id": session_id, "size": message_limit + 1})
    if not found:
        raise NotFound("Session")
    messages = messages_from_json(found[0].messages) if settings().message_history else []
    return Thread(found[0], messages[:message_limit][::-1], len(messages) > message_limit)


def page(user_id: str, filters: Filters, window: Window) -> Page:
    """A page of the user's sessions, most recently active first."""
    scope = _scope(user_id, filters)
    place = unseal(scope, window.cursor) if window.cursor else None
    values: dict[str, Any] = {"user_id": user_id, **filters.values}
    shape = filters.shape
    many: dict[str, Any] = {"size": window.size + 1, "reach": window.size + 1}
    if place:
        many |= {"at": datetime.fromisoformat(place.after[0]), "id": place.after[1]}
    else:
        many |= {"offset": window.offset, "reach": window.offset + window.size + 1}
    rows = read_any(session_list.listed(shape, by_cursor=place is not None), values | many)
    # Past the end there is no row to carry the total.
    amount = rows[0].total if rows else read_any(session_list.total(shape), values)[0][0]
    return cut(rows, window, place, scope=scope, total=amount, after=by_activity)


def as_begun(user_id: str, filters: Filters, window: Window) -> Filters:
    """The filters of the list that gave out this cursor: it goes on with exchanges where it began with them."""
    if window.cursor and not filters.exchanges:
        with_exchanges = replace(filters, exchanges=True)
        with suppress(Invalid):
            unseal(_scope(user_id, with_exchanges), window.cursor)
            return with_exchanges
    return filters


def _scope(user_id: str, filters: Filters) -> str:
    return f"sessions:{user_id}:{filters!r}"


@unit
def change(
    tx: Unit,
    user_id: str,
    session_id: str,
    *,
    title: str | Keep | None = KEEP,
    metadata: dict[str, Any] | Keep = KEEP,
    active: bool | Keep = KEEP,
) -> AnyRow:
    """Renames (None gives the title back to the first message), replaces the metadata, archives or resumes; all or nothing."""
    if active is not KEEP:
        session = _plain(tx, user_id, session_id)
        if active:
            cap.lock(tx, user_id, session.agent_type)
    changes: dict[str, Any] = {}
    if title is not KEEP:
        title = title if settings().message_history else None
        changes |= {"title": title, "title_from": "message" if title is None else "person"}
    if metadata is not KEEP:
        changes |= {"metadata": metadata}
    if changes and not changed(tx, update(ChatSession).where(*owned(user_id, session_id)).values(**changes, updated_at=later(ChatSession.updated_at, now()))):
        raise NotFound("Session")
    if active is True:
        resume_locked(tx, user_id, session_id, session.agent_type)
    elif active is False:
        _end(tx, user_id, session_id)
    return _again(tx, user_id, session_id)


@unit
def archive(tx: Unit, user_id: str, session_id: str) -> AnyRow:
    """Ends a plain session; it stays readable. What has ended already stays as it is."""
    _plain(tx, user_id, session_id)
    _end(tx, user_id, session_id)
    return _again(tx, user_id, session_id)


def resume_locked(tx: Unit, user_id: str, session_id: str, agent_type: str | None) -> None:
    """Makes an ended plain session active again. The caller holds the cap's lock."""
    came_back = update(ChatSession).where(*owned(user_id, session_id), ChatSession.conversation_id.is_(None), ChatSession.status != "ACTIVE")
    if changed(tx, came_back.values(status="ACTIVE", ended_at=None, error_message=None, error_kind=None, updated_at=later(ChatSession.updated_at, now()))):
        cap.make_room(tx, user_id, agent_type, beside=session_id)


@unit
def remove(tx: Unit, user_id: str, session_id: str) -> None:
    """Soft-deletes: gone from every face until restored or purged."""
    if not changed(tx, update(ChatSession).where(*owned(user_id, session_id)).values(deleted_at=now())):
        raise NotFound("Session")
    stop_replies(tx, [session_id])


@unit
def restore(tx: Unit, user_id: str, session_id: str) -> AnyRow:
    """Brings a soft-deleted session back; an active one takes its place under the cap. One that is not deleted stays as it is."""
    found = tx.execute(
        select(ChatSession.agent_type, ChatSession.conversation_id).where(ChatSession.id == session_id, ChatSession.user_id == user_id)
    ).one_or_none()
    if found is None:
        raise NotFound("Session")
    if not found.conversation_id:
        cap.lock(tx, user_id, found.agent_type)
    back = update(ChatSession).where(ChatSession.id == session_id, ChatSession.user_id == user_id, ChatSession.deleted_at.is_not(None))
    if changed(tx, back.values(deleted_at=None, updated_at=later(ChatSession.updated_at, now()))) and not found.conversation_id:
        cap.make_room(tx, user_id, found.agent_type, beside=session_id)
    return _again(tx, user_id, session_id)


def _plain(tx: Unit, user_id: str, session_id: str) -> AnyRow:
    """The session, read without a lock; an exchange is refused."""
    found = tx.execute(select(ChatSession.status, ChatSession.agent_type, ChatSession.conversation_id).where(*owned(user_id, session_id))).one_or_none()
    if found is None:
        raise NotFound("Session")
    if found.conversation_id:
        raise Conflict("This session is one exchange of a conversation; it cannot be archived or resumed")
    return found


def _end(tx: Unit, user_id: str, session_id: str) -> None:
    ended = update(ChatSession).where(*owned(user_id, session_id), ChatSession.status == "ACTIVE")
    if changed(tx, ended.values(status="COMPLETED", ended_at=now(), updated_at=later(ChatSession.updated_at, now()))):
        stop_replies(tx, [session_id])


def _again(tx: Unit, user_id: str, session_id: str) -> AnyRow:
    """The row as the triggers left it."""
    found = tx.execute(select(*SESSION).where(*owned(user_id, session_id))).one_or_none()
    if found is None:
        raise NotFound("Session")
    return found
