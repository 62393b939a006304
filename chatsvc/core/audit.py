"""Who did what: noted in the same unit as the thing itself, or by itself where nothing else is written."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from chatsvc.core.database import write
from chatsvc.core.models import AuditEvent
from chatsvc.core.models.types import now
from chatsvc.core.paging import Page, Window, by_id, cut, unseal
from chatsvc.core.replica import read_any

_key: ContextVar[str | None] = ContextVar("by_key", default=None)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events a list shows; None does not filter."""

    action: str | None = None
    actor_id: str | None = None
    subject: str | None = None


def by_key(key_id: str | None) -> None:
    """From here on, in this thread, events say that they came about with this key."""
    _key.set(key_id)


def note(action: str, *, actor: str | None, subject: str | None = None, **details: Any) -> None:
    """Writes an event down; inside a unit it is kept only with the rest of it."""
    key = _key.get()
    details |= {"by_key": key} if key else {}
    values = {"action": action, "actor_id": actor, "subject": subject, "details": details, "created_at": now()}
    write(insert(AuditEvent).values(**values).returning(AuditEvent.id))


def page(filters: Filters, window: Window) -> Page:
    """A page of events, newest first."""
    shown = [getattr(AuditEvent, name) == getattr(filters, name) for name in ("action", "actor_id", "subject") if getattr(filters, name) is not None]
    scope = f"audit:{filters!r}"
    place = unseal(scope, window.cursor) if window.cursor else None
    total = select(func.count()).select_from(AuditEvent).where(*shown)
    listed = select(AuditEvent.__table__, total.scalar_subquery().label("total")).where(*shown).order_by(AuditEvent.id.desc()).limit(window.size + 1)
    rows = read_any(listed.where(AuditEvent.id < place.after[0]) if place else listed.offset(window.offset))
    return cut(rows, window, place, scope=scope, total=rows[0].total if rows else read_any(total)[0][0], after=by_id)
