"""How exchanges went, in figures: of a user, a persona, or all; as a whole and day by day. Two statements, whatever the amount."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Null, Text, and_, case, cast, func, null, or_, select, union_all

from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import day_of, milliseconds_between
from chatsvc.core.replica import read_any
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


@dataclass(frozen=True, slots=True)
class Days:
    """From the first day (UTC) to the last."""

    first: date
    last: date

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=offset) for offset in range((self.last - self.first).days + 1))


def of(scope: Scope, days: Days | None = None) -> tuple[Figures, dict[date, Figures]]:
    """Over all time; and, where days are named, for each of them by when sessions began. Days without any are there, with nothing in them."""
    day = null() if days is None else _day_within(days)
    whole, each = Figures(), {one: Figures() for one in days or ()}
    where = _within(scope)
    for row in read_any(_counted(scope, where, day)):
        whole.add(row)
        if row.day:
            each[date.fromisoformat(row.day)].add(row)
    for row in read_any(_ninety_fifths(where, day)):
        if row.of_all:
            whole.p95_ms = int(row.took)
        if row.day and row.of_day:
            each[date.fromisoformat(row.day)].p95_ms = int(row.took)
    return whole, each


def _day_within(days: Days) -> ColumnElement[str]:
    """The day of a session, null where it is none of these."""
    day = day_of(ChatSession.created_at)
    return case((and_(day >= days.first.isoformat(), day <= days.last.isoformat()), day), else_=null())


def _within(scope: Scope) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [ChatSession.deleted_at.is_(None)]
    if scope.user_id is not None:
        where.append(ChatSession.user_id == scope.user_id)
    if scope.persona_id is not None:
        where.append(ChatSession.persona_id == scope.persona_id)
    return where


def _took() -> ColumnElement[int]:
    return milliseconds_between(ChatSession.created_at, ChatSession.ended_at)


def _counted(scope: Scope, where: Sequence[ColumnElement[bool]], day: ColumnElement[Any]) -> Any:
    exchange = ChatSession.conversation_id.is_not(None)
    kinds = (ChatSession.status, ChatSession.error_kind, exchange.label("exchange"), cast(day, Text).label("day"))
    took = func.coalesce(func.sum(_took()).filter(and_(exchange, ChatSession.status == "COMPLETED")), 0).label("milliseconds")
    counted = select(*kinds, func.count().label("amount"), took).where(*where)
    counted = counted.group_by(ChatSession.status, ChatSession.error_kind, exchange, *([] if isinstance(day, Null) else [kinds[-1]]))
    # A user's plain sessions and exchanges have an index each.
    return counted if scope.user_id is None else union_all(counted.where(~exchange), counted.where(exchange))


def _ninety_fifths(where: Sequence[ColumnElement[bool]], day: ColumnElement[Any]) -> Any:
    """The smallest time that 95 of 100 completed exchanges did not exceed: the one of all, and the one of each day."""
    completed = select(_took().label("took"), cast(day, Text).label("day"))
    each = completed.where(*where, ChatSession.conversation_id.is_not(None), ChatSession.status == "COMPLETED").subquery("completed").c
    placed = (
        select(each.took, each.day, _is_ninety_fifth(each.took).label("of_all"), _is_ninety_fifth(each.took, each.day).label("of_day")).subquery("placed").c
    )
    return select(placed.took, placed.day, placed.of_all, placed.of_day).where(or_(placed.of_all, placed.of_day))


def _is_ninety_fifth(took: ColumnElement[int], among: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    place = func.row_number().over(order_by=took, partition_by=among)
    amount = func.count().over(partition_by=among)
    return place == (amount * 95 + 99) // 100  # ceil(amount * 0.95), in whole numbers
