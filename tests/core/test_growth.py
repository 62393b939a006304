"""A long session costs no more than a new one: appending, and what the database does for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import pytest
from flask import Flask

from chatsvc.core import messages, sessions
from chatsvc.extensions import db
from tests.migrations.plans import Statement, sent_by
from tests.migrations.raw import Raw

LONG = 20_000
AT_ONCE = 500  # rows of a session that bulk work commits together
PAIRS = 150
TRIES = 3
AT_MOST = 1.2
BLOCKS = "SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def raw(context: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        yield connection


@pytest.fixture
def long_session(raw: Raw) -> str:
    session = raw.session(agent_type="research")
    fill(raw, session)
    settle(raw)
    return session


def fill(raw: Raw, session: str) -> None:
    numbers = "generate_series(1, ?) n"
    if raw.on_sqlite:
        numbers = "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) SELECT n FROM n) n"
    for _ in range(LONG // AT_ONCE):
        raw.run(
            "INSERT INTO chat_messages (session_id, user_id, role, content) "
            f"SELECT ?, 'owner', CASE n.n % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, 'Message ' || n.n FROM {numbers}",
            session,
            AT_ONCE,
        )


def settle(raw: Raw) -> None:
    """What autovacuum does after so many rows, lest it does it while we measure."""
    if not raw.on_sqlite:
        raw.run("VACUUM (ANALYZE) chat_messages, chat_sessions")


def append(session: str) -> None:
    messages.append("owner", session, role="user", content="One more")


def seconds(session: str) -> float:
    start = time.perf_counter()
    append(session)
    return time.perf_counter() - start


def work(statement: Statement) -> int:
    """What the engine does for a statement and the triggers behind it: steps of SQLite's machine, or blocks that PostgreSQL looks at."""
    with db.engine.connect() as connection:
        if db.engine.dialect.name == "sqlite":
            steps = 0

            def count() -> int:
                nonlocal steps
                steps += 1
                return 0

            driver = connection.connection.driver_connection
            assert driver is not None
            connection.exec_driver_sql(f"EXPLAIN {statement.sql}", tuple(statement.values)).all()  # a new connection reads the schema first
            driver.set_progress_handler(count, 1)
            connection.exec_driver_sql(statement.sql, tuple(statement.values))
            driver.set_progress_handler(None, 0)
            connection.rollback()
            return steps
        connection.exec_driver_sql("SET LOCAL random_page_cost = 4")  # as psql has it
        sql = statement.sql
        if statement.prepared:
            sql = statement.prepared.call.replace(statement.prepared.name, "measured")
            connection.exec_driver_sql(f"PREPARE measured AS {statement.sql}")
            connection.exec_driver_sql(f"EXPLAIN {sql}", tuple(statement.values))  # to plan it reads the catalogue; that is done once
        before = connection.exec_driver_sql(BLOCKS).scalar_one()
        connection.exec_driver_sql(sql, tuple(statement.values))
        after = connection.exec_driver_sql(BLOCKS).scalar_one()
        connection.rollback()
        if statement.prepared:
            connection.exec_driver_sql("DEALLOCATE measured")
        return int(after - before)


def test_an_append_at_message_20000_is_as_much_work_as_the_first_one(long_session: str) -> None:
    new = sessions.create("owner", agent_type="research").id
    works = {}
    for session in (new, long_session):
        (statement,) = sent_by(partial(append, session))
        works[session] = work(statement)
    assert 0 < works[long_session] <= AT_MOST * works[new], works
    assert sessions.get("owner", long_session).message_count == LONG + 1


def test_an_append_at_message_20000_takes_as_long_as_the_first_one(long_session: str) -> None:
    ratios: list[float] = []
    while len(ratios) < TRIES and min(ratios, default=AT_MOST + 1) > AT_MOST:
        new = [sessions.create("owner").id for _ in range(PAIRS)]
        # By turns, so that whatever else the machine does falls on both alike.
        pairs = [
            (seconds(long_session), seconds(session)) if number % 2 else (seconds(session), seconds(long_session))[::-1] for number, session in enumerate(new)
        ]
        ratios.append(median(long for long, _ in pairs) / median(short for _, short in pairs))
    assert min(ratios) <= AT_MOST, ratios


def test_taking_the_newest_or_the_first_message_away_reads_no_other_session_s(long_session: str, raw: Raw) -> None:
    """The look-back of the triggers, in a database of few long sessions: one with the oldest messages, one with the newest."""
    sessions_there = [long_session, raw.session()]
    fill(raw, sessions_there[1])
    settle(raw)
    for remove in ("UPDATE chat_messages SET deleted_at = created_at", "DELETE FROM chat_messages"):
        for which in ("last_message_id", "title_message_id"):
            works = [work(Statement(f"{remove} WHERE id = (SELECT {which} FROM chat_sessions WHERE id = '{session}')", ())) for session in sessions_there]
            assert max(works) <= 2 * min(works), (remove, which, works)
