"""Statistics against a plain recount in Python; `make big-stats` does it over 100,000 sessions."""

from __future__ import annotations

import math
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, text

from chatsvc.core import exchange_stats
from chatsvc.core.exchange_stats import Days, Figures, Scope
from chatsvc.core.models import ChatSession, Conversation, Persona
from chatsvc.extensions import db
from tests.migrations.plans import conditions, explained, rows_met, sent_by, whole_tables

SESSIONS = int(os.environ.get("CHAT_TEST_STATS_SESSIONS", "5000"))
DAY = date(2025, 2, 27)  # over the end of a month
DAYS = 40
KINDS = ("timeout", "unreachable", "bad_status", "bad_response", "circuit_open")
USERS = ("busy", "busy", "busy", *(f"user{number}" for number in range(6)))
FEW = "few"  # a user with fifty sessions, however many there are


@dataclass(frozen=True)
class Row:
    user_id: str
    persona_id: str | None
    exchange: bool
    status: str
    kind: str | None
    created_at: datetime
    ended_at: datetime | None
    deleted: bool

    @property
    def took(self) -> int:
        """Between the two times as they are shown."""
        assert self.ended_at is not None
        return shown(self.ended_at) - shown(self.created_at)


def shown(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def generated(amount: int, personas: list[str], *, seed: int = 5) -> list[Row]:
    chance = random.Random(seed)
    return [_row(chance, FEW if number < 50 else chance.choice(USERS), personas) for number in range(amount)]


def _row(chance: random.Random, user_id: str, personas: list[str]) -> Row:
    exchange = chance.random() < 0.8
    status = (
        chance.choices(("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "ACTIVE"), (70, 12, 5, 6, 7))[0] if exchange else chance.choice(("ACTIVE", "COMPLETED"))
    )
    kind = {"FAILED": chance.choice(KINDS), "TIMEOUT": "cleanup"}.get(status)
    created = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=chance.randrange(DAYS))
    # Many at the very edges of a day, where one microsecond decides.
    created += chance.choice((timedelta(), timedelta(days=1, microseconds=-1), timedelta(microseconds=chance.randrange(86_400_000_000))))
    ended = None if status == "ACTIVE" else created + timedelta(microseconds=int(chance.lognormvariate(14, 1.5)))
    return Row(
        user_id, chance.choice(personas) if exchange else chance.choice((None, *personas)), exchange, status, kind, created, ended, chance.random() < 0.03
    )


def keep(rows: list[Row]) -> None:
    conversations = {(row.user_id, row.persona_id): str(uuid.uuid4()) for row in rows if row.exchange}
    values = [
        {
            "id": str(uuid.uuid4()),
            "user_id": row.user_id,
            "persona_id": row.persona_id,
            "conversation_id": conversations[row.user_id, row.persona_id] if row.exchange else None,
            "status": row.status,
            "error_kind": row.kind,
            "created_at": row.created_at,
            "updated_at": row.ended_at or row.created_at,
            "ended_at": row.ended_at,
            "deleted_at": row.created_at if row.deleted else None,
        }
        for row in rows
    ]
    with db.engine.begin() as connection:
        there = [
            {"id": found, "user_id": user, "persona_id": persona, "created_at": _START, "updated_at": _START}
            for (user, persona), found in conversations.items()
        ]
        if there:
            connection.execute(insert(Conversation), there)
        for first in range(0, len(values), 5000):
            connection.execute(insert(ChatSession), values[first : first + 5000])
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


_START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def personas(context: Flask) -> list[str]:
    made = [{"id": str(uuid.uuid4()), "name": f"Persona {number}", "kind": "echo", "created_at": _START, "updated_at": _START} for number in range(4)]
    with db.engine.begin() as connection:
        connection.execute(insert(Persona), made)
    return [str(one["id"]) for one in made]


Told = dict[str, Any]


def recounted(rows: list[Row]) -> Told:
    """The contract's words, in plain Python."""
    ended = [row for row in rows if row.exchange and row.status != "ACTIVE"]
    times = sorted(row.took for row in ended if row.status == "COMPLETED")
    return {
        "total": len(rows),
        "by_status": Counter(row.status for row in rows),
        "success_rate": len(times) / len(ended) if ended else None,
        "average_ms": sum(times) / len(times) if times else None,
        "p95_ms": times[math.ceil(len(times) * 0.95) - 1] if times else None,
        "failures": Counter(row.kind for row in rows if row.kind),
    }


def told(figures: Figures) -> Told:
    return {name: getattr(figures, name) for name in ("total", "by_status", "success_rate", "average_ms", "p95_ms", "failures")}


def whole(scope: Scope) -> Figures:
    return exchange_stats.of(scope)[0]


def by_day(scope: Scope, first: date, last: date) -> list[tuple[date, Figures]]:
    return list(exchange_stats.of(scope, Days(first, last))[1].items())


def within(rows: list[Row], scope: Scope) -> list[Row]:
    return [row for row in rows if not row.deleted and scope.user_id in (None, row.user_id) and scope.persona_id in (None, row.persona_id)]


def scopes(personas: list[str]) -> Iterator[Scope]:
    for user_id in (None, "busy", "user0", FEW, "nobody"):
        for persona_id in (None, personas[0], str(uuid.UUID(int=0))):
            yield Scope(user_id, persona_id)


def test_figures_and_days_equal_a_plain_recount(personas: list[str]) -> None:
    rows = generated(SESSIONS, personas)
    keep(rows)
    slowest = 0.0
    for scope in scopes(personas):
        mine = within(rows, scope)
        began = time.monotonic()
        assert told(whole(scope)) == recounted(mine), scope
        slowest = max(slowest, time.monotonic() - began)
        for first, last in (
            (DAY, DAY + timedelta(days=DAYS)),
            (DAY + timedelta(days=3), DAY + timedelta(days=5)),
            (DAY - timedelta(days=9), DAY - timedelta(days=9)),
        ):
            began = time.monotonic()
            series = by_day(scope, first, last)
            slowest = max(slowest, time.monotonic() - began)
            assert [day for day, _ in series] == [first + timedelta(days=number) for number in range((last - first).days + 1)]
            for day, figures in series:
                assert told(figures) == recounted([row for row in mine if row.created_at.date() == day]), (scope, day)
    print(f"{db.engine.dialect.name}: {SESSIONS} sessions, the slowest figures took {slowest * 1000:.0f} ms")  # noqa: T201


def test_two_statements_and_no_row_of_others(personas: list[str]) -> None:
    rows = generated(max(SESSIONS, 3000), personas)
    keep(rows)
    verbs: list[Callable[[], object]] = [
        partial(exchange_stats.of, Scope(FEW)),
        partial(exchange_stats.of, Scope(FEW, personas[0])),
        partial(exchange_stats.of, Scope(FEW), Days(DAY, DAY + timedelta(days=DAYS))),
    ]
    for verb in verbs:
        statements = sent_by(verb)
        assert len(statements) <= 2
        for statement in statements:
            steps = explained(statement, run=True)
            assert whole_tables(steps) == []
            assert "user_id" in conditions(steps)
            assert rows_met(steps, "chat_sessions") <= 50
        if db.engine.dialect.name == "sqlite":
            # A step is one instruction of SQLite's own machine; fifty rows of some thousand take few.
            assert machine_steps(verb) < machine_steps(partial(exchange_stats.of, Scope("busy"))) / 5
    for scope in scopes(personas):
        assert len(sent_by(partial(exchange_stats.of, scope))) <= 2


def machine_steps(verb: Callable[[], object]) -> int:
    """How many hundred instructions SQLite carries out for it, on whichever connection."""
    counted = [0]

    def step() -> None:
        counted[0] += 1

    def begin(driver: Any, *_: object) -> None:
        driver.set_progress_handler(step, 100)

    def end(driver: Any, *_: object) -> None:
        driver.set_progress_handler(None, 0)

    event.listen(db.engine, "checkout", begin)
    event.listen(db.engine, "checkin", end)
    try:
        verb()
    finally:
        event.remove(db.engine, "checkout", begin)
        event.remove(db.engine, "checkin", end)
    assert counted[0]
    return counted[0]


@pytest.mark.parametrize("amount", [1, 2, 19, 20, 21, 100])
def test_p95_is_the_nearest_rank(personas: list[str], amount: int) -> None:
    at = datetime(2025, 3, 1, 12, tzinfo=UTC)
    rows = [Row("owner", personas[0], True, "COMPLETED", None, at, at + timedelta(milliseconds=10 * (number + 1)), False) for number in range(amount)]
    random.Random(amount).shuffle(rows)
    keep(rows)
    expected = 10 * {1: 1, 2: 2, 19: 19, 20: 19, 21: 20, 100: 95}[amount]
    assert whole(Scope("owner")).p95_ms == expected
    assert by_day(Scope(), at.date(), at.date())[0][1].p95_ms == expected


def test_where_there_is_nothing_there_are_no_rates(personas: list[str]) -> None:
    empty = {"total": 0, "by_status": {}, "success_rate": None, "average_ms": None, "p95_ms": None, "failures": {}}
    assert told(whole(Scope("owner"))) == empty
    assert [told(figures) for _, figures in by_day(Scope(), DAY, DAY + timedelta(days=1))] == [empty, empty]
    at = datetime(2025, 3, 1, tzinfo=UTC)
    keep([Row("owner", None, False, "COMPLETED", None, at, at, False), Row("owner", personas[0], True, "ACTIVE", None, at, None, False)])
    assert told(whole(Scope("owner"))) == {**empty, "total": 2, "by_status": {"COMPLETED": 1, "ACTIVE": 1}}


def test_a_day_begins_at_midnight_utc(personas: list[str]) -> None:
    midnight = datetime(2025, 3, 1, tzinfo=UTC)
    edges = (midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=1, microseconds=-1), midnight + timedelta(days=1))
    keep([Row("owner", personas[0], True, "COMPLETED", None, edge, edge + timedelta(seconds=1), False) for edge in edges])
    found = by_day(Scope("owner"), date(2025, 2, 28), date(2025, 3, 2))
    assert [figures.total for _, figures in found] == [1, 2, 1]
    assert by_day(Scope("owner"), midnight.date(), midnight.date())[0][1].total == 2
