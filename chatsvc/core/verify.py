"""Every counter, title, preview and cap against the rows; reads only, on a database of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from chatsvc.core.database import read
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import Uuid
from chatsvc.core.rows import AnyRow
from chatsvc.extensions import settings

BATCH = 100  # sessions a statement; few enough that long sessions stay within the statement timeout
LOWEST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Breach:
    """Something kept that the rows contradict."""

    session_id: str
    what: str
    kept: object
    found: object


def breaches() -> Iterator[Breach]:
    """All there are, a batch of sessions at a time; the rows of each batch are read in one statement, so as of one moment."""
    last: str | None = None
    while rows := read(_batch(begun=last is not None), _values(last)):
        for row in rows:
            yield from _of(row)
        yield from _orphans(last, rows[-1].id)
        last = rows[-1].id
    yield from _orphans(last, None)
    yield from _over_the_cap()


def _of(row: AnyRow) -> Iterator[Breach]:
    for what in ("message_count", "title", "title_message_id", "last_message", "last_message_at", "last_message_id", "newest_message_id"):
        kept, found = getattr(row, what), getattr(row, f"true_{what}")
        if kept != found:
            yield Breach(row.id, what, kept, found)
    if (row.status == "ACTIVE") != (row.ended_at is None):
        yield Breach(row.id, "ended_at", row.ended_at, f"status {row.status}")
    if row.strays:
        yield Breach(row.id, "user_id of its messages", row.strays, 0)


# Each statement is built once: that takes longer than carrying it out.


@cache
def _batch(*, begun: bool) -> Select[tuple[object, ...]]:
    s = ChatSession
    sessions = select(s.__table__).where(*_between(s.id, begun=begun)).order_by(s.id).limit(BATCH).subquery("s")
    live = and_(ChatMessage.session_id == sessions.c.id, ChatMessage.deleted_at.is_(None))
    first = aliased(ChatMessage)
    newest = aliased(ChatMessage)
    shown = aliased(ChatMessage)
    count = select(func.count()).select_from(ChatMessage).where(live).scalar_subquery()
    strays = (
        select(func.count())
        .select_from(ChatMessage)
        .where(ChatMessage.session_id == sessions.c.id, ChatMessage.user_id != sessions.c.user_id)
        .scalar_subquery()
    )
    first_id = select(func.min(ChatMessage.id)).where(live, ChatMessage.role == "user").scalar_subquery()
    newest_id = select(func.max(ChatMessage.id)).where(live).scalar_subquery()
    shown_id = select(func.max(ChatMessage.id)).where(live, ChatMessage.status != "streaming", ChatMessage.content != "").scalar_subquery()
    # Not to be taken apart: where rows are shown to their owner alone, PostgreSQL finds none by an id that a query within a condition gives.
    known = (
        select(
            sessions,
            count.label("true_message_count"),
            strays.label("strays"),
            first_id.label("true_title_message_id"),
            shown_id.label("true_last_message_id"),
            newest_id.label("true_newest_message_id"),
        )
        .limit(BATCH)
        .subquery("known")
    )
    return (
        select(
            known,
            case((known.c.title_from != "message", known.c.title), else_=func.substr(first.content, 1, 50)).label("true_title"),
            func.substr(shown.content, 1, 100).label("true_last_message"),
            newest.created_at.label("true_last_message_at"),
        )
        .select_from(known)
        .outerjoin(first, first.id == known.c.true_title_message_id)
        .outerjoin(newest, newest.id == known.c.true_newest_message_id)
        .outerjoin(shown, shown.id == known.c.true_last_message_id)
        .order_by(known.c.id)
    )


def _between(column: ColumnElement[str] | InstrumentedAttribute[str], *, begun: bool, ends: bool = False) -> list[ColumnElement[bool]]:
    """Of the ids after the last one that was seen, or of all; up to one, or to the end. Their values are those of `_values`."""
    after, up_to = bindparam("after", type_=Uuid), bindparam("up_to", type_=Uuid)
    above = column > after if begun else column >= after
    return [above, column <= up_to] if ends else [above]


def _values(after: str | None, up_to: str | None = None) -> dict[str, Any]:
    return {"after": after or LOWEST} | ({"up_to": up_to} if up_to else {})


@cache
def _without_a_session(*, begun: bool, ends: bool) -> Select[str, int]:
    m = ChatMessage
    gone = ~select(ChatSession.id).where(ChatSession.id == m.session_id, *_between(ChatSession.id, begun=begun, ends=ends)).exists()
    return select(m.session_id, func.count().label("amount")).where(*_between(m.session_id, begun=begun, ends=ends), gone).group_by(m.session_id)


def _orphans(after: str | None, up_to: str | None) -> Iterator[Breach]:
    """Messages whose session is gone, which a connection to SQLite without its foreign keys can leave behind."""
    for row in read(_without_a_session(begun=after is not None, ends=up_to is not None), _values(after, up_to)):
        yield Breach(row.session_id, "messages of a session that is gone", row.amount, 0)


@cache
def _of_agents() -> Select[str, str | None, int]:
    s = ChatSession
    return (
        select(s.user_id, s.agent_type, func.count().label("active"))
        .where(s.status == "ACTIVE", s.agent_type.is_not(None), s.deleted_at.is_(None), s.conversation_id.is_(None))
        .group_by(s.user_id, s.agent_type)
        .having(func.count() > bindparam("most"))
    )


def _over_the_cap() -> Iterator[Breach]:
    most = settings().max_sessions_per_agent
    for row in read(_of_agents(), {"most": most}):
        yield Breach(f"user {row.user_id}", f"active sessions of agent type {row.agent_type}", row.active, f"at most {most}")
