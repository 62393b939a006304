"""Sessions: whose they are, how they begin and end, how they are listed."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, insert, literal, select, tuple_, update
from sqlalchemy import Connection as Unit

from chatsvc.core import cap, idempotency
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, NotFound
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import Moment, Uuid, later, now, one_moment, title_holds
from chatsvc.core.paging import Page, Place, Window, seal, unseal
from chatsvc.core.read_models import SESSION, MessageView, in_session, messages_as_json, messages_from_json
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.stopping import stop_replies
from chatsvc.extensions import settings


class Keep(enum.Enum):
    """Stands for "leave as it is" where None means something."""

    IT = 0


KEEP: Final = Keep.IT


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of a user's sessions a list shows; None does not filter."""

    agent_type: str | None = None
    active: bool | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """A session with its newest messages, oldest first, all as of one moment."""

    session: AnyRow
    messages: Sequence[MessageView]
    more: bool


def owned(user_id: str, session_id: str) -> tuple[ColumnElement[bool], ...]:
    """The one rule of who reaches a session: its owner, while it is not deleted."""
    return (ChatSession.id == session_id, ChatSession.user_id == user_id, ChatSession.deleted_at.is_(None))


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
    at = one_moment()
    title = title if settings().message_history else None
    session = tx.execute(
        insert(ChatSession)
        .values(
            id=session_id or str(uuid.uuid4()),
            user_id=user_id,
            title=title,
            title_from="message" if title is None else "person",
            agent_type=agent_type,
            metadata=metadata or {},
            status="ACTIVE" if active else "COMPLETED",
            created_at=at,
            updated_at=at,
            ended_at=None if active else at,
        )
        .returning(*SESSION)
    ).one()
    if active:
        cap.make_room(tx, user_id, agent_type, beside=session.id)
    idempotency.concerns(session.id)
    return session


def get(user_id: str, session_id: str) -> AnyRow:
    """The session; NotFound when it is not there, deleted, or somebody else's."""
    found = read(select(*SESSION).where(*owned(user_id, session_id)))
    if not found:
        raise NotFound("Session")
    return found[0]


def thread(user_id: str, session_id: str, *, message_limit: int) -> Thread:
    """The session and its newest messages."""
    newest = in_session(session_id, newest_first=True).limit(message_limit + 1)
    found = read(select(*SESSION, messages_as_json(newest).label("messages")).where(*owned(user_id, session_id)))
    if not found:
        raise NotFound("Session")
    messages = messages_from_json(found[0].messages) if settings().message_history else []
    return Thread(found[0], messages[:message_limit][::-1], len(messages) > message_limit)


def page(user_id: str, filters: Filters, window: Window) -> Page:
    """A page of the user's plain sessions, most recently active first."""
    shown = [ChatSession.user_id == user_id, ChatSession.deleted_at.is_(None), ChatSession.conversation_id.is_(None), *_filtered(filters)]
    scope = f"sessions:{user_id}:{filters!r}"
    place = unseal(scope, window.cursor) if window.cursor else None
    total = select(func.count()).select_from(ChatSession).where(*shown)
    listed = (
        select(*SESSION, total.scalar_subquery().label("total"))
        .where(*shown)
        .order_by(ChatSession.updated_at.desc(), ChatSession.id.desc())
        .limit(window.size + 1)
    )
    rows = read(listed.where(_comes_after(place)) if place else listed.offset(window.offset))
    return _paged(rows, window, place, scope, total)


def _filtered(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.agent_type is not None:
        conditions.append(ChatSession.agent_type == filters.agent_type)
    if filters.active is not None:
        conditions.append((ChatSession.status == "ACTIVE") if filters.active else (ChatSession.status != "ACTIVE"))
    if filters.search:
        conditions.append(title_holds(ChatSession.title, literal(filters.search)))
    return conditions


def _comes_after(place: Place) -> ColumnElement[bool]:
    at, session_id = place.after
    return tuple_(ChatSession.updated_at, ChatSession.id) < tuple_(literal(datetime.fromisoformat(at), Moment()), literal(session_id, Uuid))


def _paged(rows: Sequence[AnyRow], window: Window, place: Place | None, scope: str, total: Select[Any]) -> Page:
    rank = place.rank if place else window.offset
    shown = rows[: window.size]
    goes_on = len(rows) > window.size
    # Past the end there is no row to carry the total.
    amount = shown[0].total if shown else read(total)[0][0]
    last = shown[-1] if goes_on else None
    cursor = seal(scope, Place((last.updated_at.isoformat(timespec="microseconds"), last.id), rank + window.size)) if last else None
    return Page(shown, amount, window.size, rank, cursor)


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


@unit
def erase(tx: Unit, user_id: str, session_id: str) -> int:
    """Erases the session for good and says how many messages went with it, soft-deleted ones included."""
    if tx.execute(select(ChatSession.id).where(*owned(user_id, session_id)).with_for_update()).one_or_none() is None:
        raise NotFound("Session")
    amount = tx.execute(select(func.count()).select_from(ChatMessage).where(ChatMessage.session_id == session_id)).scalar_one()
    idempotency.forget_answers(tx, session_id)
    tx.execute(delete(ChatSession).where(*owned(user_id, session_id)))
    return amount


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
