"""How long sessions are kept: those that nobody has touched for the days of their status are erased. What no policy names is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import and_, false, func, or_, select

from chatsvc.core import acting, audit, erasure
from chatsvc.core.database import read, unit
from chatsvc.core.erasure import Gone
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import ago
from chatsvc.core.sessions import STATUSES
from chatsvc.core.walking import in_slices
from chatsvc.extensions import settings

AT_ONCE = 20


def days_of(status: str) -> int:
    """After how many days sessions of this status go; 0: never."""
    return dict(settings().retention).get(status, settings().retention_days)


def _outlived() -> Any:
    kept = {status: days_of(status) for status in STATUSES}
    old = [and_(ChatSession.status == status, ChatSession.updated_at < ago(timedelta(days=days))) for status, days in kept.items() if days]
    return or_(false(), *old)


def erase_outlived() -> dict[str, int]:
    """Erases what has been kept long enough, some at a time; how many sessions of each status went, and `messages`."""
    found: Counter[str] = Counter()
    with acting.acting_for(acting.EVERYBODY):
        for some in _some():
            while amounts := _erase(some):
                found.update(amounts)
    amounts = {name: amount for name, amount in found.items() if amount}
    if amounts:
        audit.note("cleanup.retention", actor=None, erased=amounts)
    return amounts


def count_outlived() -> dict[str, int]:
    """What that would erase."""
    found: Counter[str] = Counter()
    with acting.acting_for(acting.EVERYBODY):
        for ids in _some():
            found.update(row.status for row in read(select(ChatSession.status).where(ChatSession.id.in_(ids))))
            found["messages"] += read(select(func.count()).select_from(ChatMessage).where(ChatMessage.session_id.in_(ids)))[0][0]
    return {name: amount for name, amount in found.items() if amount}


def _some() -> Iterator[list[str]]:
    """The ids of those there are, a few at a time. No index finds them: each message would pay for it."""
    if not any(days_of(status) for status in STATUSES):
        return
    for rows in in_slices(ChatSession, [_outlived().label("outlived")]):
        ids = [row.id for row in rows if row.outlived]
        yield from (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


@unit
def _erase(tx: Unit, ids: list[str]) -> dict[str, int]:
    """Of those that are still outlived, and that nobody is at."""
    columns = (*erasure.ASKED, ChatSession.status)
    locked = tx.execute(select(*columns).where(ChatSession.id.in_(ids), _outlived()).with_for_update(skip_locked=True)).all()
    gone = erasure.erase_some(tx, locked) if locked else Gone()
    erased = Counter(row.status for row in locked if row.id in gone.sessions)
    return {**erased, **({"messages": gone.messages} if gone.messages else {})}
