"""How exchanges went, in figures: of a user, a persona, or all; as a whole and day by day. Two statements, whatever the amount."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, union_all

from chatsvc.core.database import read
from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import day_of, milliseconds_between
from chatsvc.core.rows import AnyRow


@dataclass(slots=True)
class Figures:
    """Counts cover plain sessions and exchanges; rates and times the exchanges alone."""

    by_status: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    ended: int = 0
    milliseconds: int = 0
    p95_ms: int | None = None

    @property
    def total(self) -> int:
        return self.by_status.total()

    @property
    def success_rate(self) -> float | None:
        return self.completed / self.ended if self.ended else None

    @property
    def average_ms(self) -> float | None:
        return self.milliseconds / self.completed if self.completed else None

    def add(self, row: AnyRow) -> None:
        self.by_status[row.status] += row.amount
        if row.exchange and row.status != "ACTIVE":
            self.ended += row.amount
        if row.exchange and row.status == "COMPLETED":
            self.completed += row.amount
            self.milliseconds += int(row.milliseconds)
        if row.exchange and row.error_kind:
            self.failures[row.error_kind] += row.amount


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose sessions are counted; None does not narrow."""

    user_id: str | None = None
    persona_id: str | None = None


def of(scope: Scope) -> Figures:
    """Over all time."""
    where = _within(scope)
    figures = Figures()
    for row in read(_counted(scope, where)):
        figures.add(row)
    for row in read(_ninety_fifths(where)):
        figures.p95_ms = int(row.took)
    return figures


def by_day(scope: Scope, first: date, last: date) -> list[tuple[date, Figures]]:
    """The same for each day (UTC) from the first to the last, by when sessions began; days without any are there, with nothing in them."""
    day = day_of(ChatSession.created_at)
    where = [*_within(scope), day >= first.isoformat(), day <= last.isoformat()]
    days = {first + timedelta(days=offset): Figures() for offset in range((last - first).days + 1)}
    for row in read(_counted(scope, where, day)):
        days[date.fromisoformat(row.day)].add(row)
    for row in read(_ninety_fifths(where, day)):
        days[date.fromisoformat(row.day)].p95_ms = int(row.took)
    return list(days.items())


def _within(scope: Scope) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [ChatSession.deleted_at.is_(None)]
    if scope.user_id is not None:
        where.append(ChatSession.user_id == scope.user_id)
    if scope.persona_id is not None:
        where.append(ChatSession.persona_id == scope.persona_id)
    return where


def _took() -> ColumnElement[int]:
    return milliseconds_between(ChatSession.created_at, ChatSession.ended_at)


def _counted(scope: Scope, where: Sequence[ColumnElement[bool]], day: ColumnElement[str] | None = None) -> Any:
    exchange = ChatSession.conversation_id.is_not(None)
    kinds = (ChatSession.status, ChatSession.error_kind, exchange.label("exchange"))
    took = func.coalesce(func.sum(_took()).filter(and_(exchange, ChatSession.status == "COMPLETED")), 0).label("milliseconds")
    by_day = [] if day is None else [day.label("day")]
    counted = select(*kinds, func.count().label("amount"), took, *by_day).where(*where)
    counted = counted.group_by(ChatSession.status, ChatSession.error_kind, exchange, *([] if day is None else [day]))
    # A user's plain sessions and exchanges have an index each.
    return counted if scope.user_id is None else union_all(counted.where(~exchange), counted.where(exchange))


def _ninety_fifths(where: Sequence[ColumnElement[bool]], day: ColumnElement[str] | None = None) -> Any:
    """The smallest time that 95 of 100 completed exchanges did not exceed, of all or of each day."""
    ranked = select(
        _took().label("took"),
        *([] if day is None else [day.label("day")]),
        func.row_number().over(order_by=_took(), partition_by=day).label("place"),
        func.count().over(partition_by=day).label("amount"),
    ).where(*where, ChatSession.conversation_id.is_not(None), ChatSession.status == "COMPLETED")
    each = ranked.subquery("ranked")
    # place = ceil(amount * 0.95), in whole numbers
    return select(*(column for column in each.c if column.name in ("took", "day"))).where(each.c.place == (each.c.amount * 95 + 99) // 100)
