"""Statements that go past the toolkit: the same rows as through it, the same errors, and no connection that cannot be used on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from chatsvc.core import api_keys, database, messages, quick, replies, sessions, tokens, turns
from chatsvc.core.database import unit, within
from chatsvc.core.errors import Unavailable
from chatsvc.core.models.types import moment_value
from chatsvc.core.paging import Window
from chatsvc.core.prepared import Prepared
from chatsvc.core.sessions import Filters
from chatsvc.extensions import db
from tests.factories import unknown_id
from tests.migrations import filling
from tests.migrations.raw import Raw

MADE_ANEW = {"id", "created_at", "updated_at", "ended_at", "last_message_at"}


@pytest.fixture
def raw(context: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        yield connection


@pytest.fixture
def sent(raw: Raw) -> Iterator[list[quick.Sent]]:
    """Every prepared statement that is carried out, with what was given to it."""
    seen: list[quick.Sent] = []
    fetched = quick._fetched

    def note(engine: Any, driver: Any, remembered: Any, sent: list[quick.Sent]) -> Any:
        seen.extend(sent)
        return fetched(engine, driver, remembered, sent)

    with patch.object(quick, "_fetched", note):
        yield seen


def a_busy_day() -> None:
    """Verbs that between them send every prepared statement there is."""
    metadata = {"a": [1, None, "é"], "b": {"c": 1.5}, "n": 2**53}
    session = sessions.create("owner", title="Plans 🙂", agent_type="research", metadata=metadata)
    ended = sessions.create("owner", active=False)
    for said_by in ("user", "assistant", "system"):
        messages.append("owner", session.id, role=said_by, content=f"{said_by} 𝄞 \\ ' \" % %s $1", metadata=metadata)
    messages.append("owner", ended.id, role="user", content="goes on")
    sessions.get("owner", session.id)
    sessions.thread("owner", session.id, message_limit=2)
    for newest_first in (True, False):
        for role in (None, "user"):
            page = messages.page("owner", session.id, role=role, newest_first=newest_first, window=Window(1))
            if page.next_cursor:
                messages.page("owner", session.id, role=role, newest_first=newest_first, window=Window(1, cursor=page.next_cursor))
    for filters in (Filters(), Filters(exchanges=True), Filters(agent_type="research", active=True, search="PLANS"), Filters(status="ACTIVE", deleted=True)):
        page = sessions.page("owner", filters, Window(1))
        if page.next_cursor:
            sessions.page("owner", filters, Window(1, cursor=page.next_cursor))
    sessions.page("owner", Filters(), Window(1, offset=500))
    tokens.standing("owner", ["token:one", "sign-in:two"])
    row, text = api_keys.create("owner", name="Shop", scopes=("read", "write"))
    assert api_keys.standing(str(api_keys.digest_of(text)), "owner")
    api_keys.require(api_keys.Key(row.id, frozenset({"read"})), "owner", lambda: None)
    if tokens.carried_along():
        sessions.get("owner", session.id)
    database.require(None)


def both_ways(statement: Prepared, values: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Its rows through the toolkit and past it, each undone."""
    values = values | ({"the_id": str(uuid.uuid4())} if "the_id" in values else {})
    with db.engine.connect() as connection:
        connection.begin()
        with connection.begin_nested() as part:
            slow = [dict(row._mapping) for row in connection.execute(statement.statement, values)]
            part.rollback()
        found: Any = quick.within(connection, statement, values)
        fast = [row._asdict() for row in found]
        connection.rollback()
    return slow, fast


def test_every_prepared_statement_gives_the_rows_that_the_toolkit_gives(sent: list[quick.Sent]) -> None:
    a_busy_day()
    seen = list(sent)
    assert len({statement.name for statement, _ in seen}) >= 15
    for statement, values in seen:
        slow, fast = both_ways(statement, values)
        assert [list(row) for row in fast] == [list(row) for row in slow], statement.sql
        assert [[type(value) for value in row.values()] for row in fast] == [[type(value) for value in row.values()] for row in slow], statement.sql
        left_out = set() if statement.statement.is_select else MADE_ANEW
        for one, other in zip(fast, slow, strict=True):
            assert {name: value for name, value in one.items() if name not in left_out} == {
                name: value for name, value in other.items() if name not in left_out
            }


def test_the_statements_of_a_turn_are_the_same_both_ways(raw: Raw) -> None:
    filling.fill(raw)
    session_id, user_id, reply_id = raw.run("SELECT session_id, user_id, id FROM chat_messages WHERE status = 'streaming'")[0]
    where = {"session_id": str(session_id), "user_id": user_id, "where": str(session_id), "reply_id": reply_id, "upto": reply_id}
    for statement in (turns._lock(), replies._lock(), replies._history(of_conversation=False), replies._history(of_conversation=True)):
        slow, fast = both_ways(statement, where)
        assert fast == slow
    slow, fast = both_ways(replies._end(), where | {"the_status": "complete", "the_content": "é", "the_facts": {"a": 1}})
    assert fast == slow
    assert (fast[0]["content"], fast[0]["meta"]) == ("é", {"a": 1})


def test_every_list_of_every_kind_of_row_is_the_same_both_ways(raw: Raw, sent: list[quick.Sent]) -> None:
    """Over the rows that the migrations are tested with: every status, exchanges, rows in the bin, rows written by psql."""
    filling.fill(raw)
    for (user_id,) in raw.run("SELECT DISTINCT user_id FROM chat_sessions"):
        for deleted in (False, True):
            for row in sessions.page(user_id, Filters(exchanges=True, deleted=deleted), Window(100)).rows:
                if not deleted:
                    sessions.thread(user_id, row.id, message_limit=50)
                    messages.page(user_id, row.id, role=None, newest_first=False, window=Window(100))
    assert len(sent) > 10
    for statement, values in list(sent):
        slow, fast = both_ways(statement, values)
        assert fast == slow


def test_what_never_varies_stands_in_the_text(sent: list[quick.Sent]) -> None:
    session = sessions.create("owner")
    sent.clear()
    messages.append("owner", session.id, role="user", content="hello")
    ((statement, _),) = sent
    assert "status = 'ACTIVE'" in statement.sql
    assert "hello" not in statement.sql


ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")


@pytest.fixture
def unpooled(context: Flask) -> Iterator[None]:
    """Whatever a test finds out about this engine's connections is forgotten afterwards."""
    yield
    quick._pooled.discard(db.engine)
    db.engine.dispose()


def on_every_connection(statement: str) -> None:
    """What a pooler between the service and the server does: another connection behind the one we have."""
    pool: Any = db.engine.pool
    held = [db.engine.raw_connection() for _ in range(max(1, pool.checkedin()))]
    for one in held:
        driver: Any = one.dbapi_connection
        driver.autocommit = True
        with driver.cursor() as cursor:
            cursor.execute(statement)
    for one in held:
        one.close()


@ONLY_POSTGRESQL
@pytest.mark.usefixtures("unpooled")
@pytest.mark.parametrize("work", ["read", "write", "unit"])
def test_behind_a_pooler_that_forgets_all_goes_on_and_is_told_once(context: Flask, caplog: pytest.LogCaptureFixture, work: str) -> None:
    db.engine.dispose()
    session = sessions.create("owner")
    works: dict[str, Callable[[], object]] = {
        "read": lambda: sessions.get("owner", session.id),
        "write": lambda: messages.append("owner", session.id, role="user", content="one"),
        "unit": lambda: sessions.create("owner"),
    }
    works[work]()
    on_every_connection("DEALLOCATE ALL")
    before = sessions_and_messages()
    with caplog.at_level(logging.INFO, logger="chatsvc.core.quick"):
        for _ in range(3):
            works[work]()
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "pools the connections" in caplog.text
    after = sessions_and_messages()
    assert (after[0] - before[0], after[1] - before[1]) == {"read": (0, 0), "write": (0, 3), "unit": (3, 0)}[work]


@ONLY_POSTGRESQL
@pytest.mark.usefixtures("unpooled")
def test_behind_a_pooler_that_gives_out_a_connection_where_it_is_prepared_already(context: Flask) -> None:
    session = sessions.create("owner")
    statement = sessions._one()
    db.engine.dispose()
    db.engine.raw_connection().close()
    on_every_connection(f"PREPARE {statement.name} AS {statement.sql}")
    assert sessions.get("owner", session.id).id == session.id
    assert not quick.takes(db.engine)


def sessions_and_messages() -> tuple[int, int]:
    with db.engine.connect() as connection:
        row = connection.execute(text("SELECT (SELECT count(*) FROM chat_sessions), (SELECT count(*) FROM chat_messages)")).one()
        return row[0], row[1]


@ONLY_POSTGRESQL
def test_a_server_that_was_away_is_asked_again_by_a_read_and_told_by_a_write(context: Flask, raw: Raw) -> None:
    session = sessions.create("owner")
    sessions.get("owner", session.id)
    cut_off(raw)
    assert sessions.get("owner", session.id).id == session.id
    messages.append("owner", session.id, role="user", content="kept")
    cut_off(raw)
    with pytest.raises(Unavailable):
        messages.append("owner", session.id, role="user", content="not kept")
    messages.append("owner", session.id, role="user", content="kept too")
    assert [message.content for message in sessions.thread("owner", session.id, message_limit=5).messages] == ["kept", "kept too"]


def cut_off(raw: Raw) -> None:
    raw.run("SET ROLE NONE")  # a role without privileges may not
    raw.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'chatsvc'")
    raw.run("RESET ROLE")


@unit
def _one_that_may_be_and_one_that_may_not(tx: Connection, session_id: str) -> None:
    values: dict[str, Any] = {
        "id": session_id,
        "user_id": "owner",
        "title": None,
        "title_from": "message",
        "agent_type": None,
        "metadata": {},
        "status": "ACTIVE",
    }
    given = {f"the_{name}": value for name, value in values.items()} | moment_value("at")
    within(tx, sessions._insert(*values, active=True), given)
    within(tx, sessions._insert(*values, active=True), given | {"the_id": unknown_id(), "the_status": "NONE"})


def test_an_error_is_the_toolkit_s_own_and_the_unit_is_undone(context: Flask) -> None:
    with pytest.raises(IntegrityError) as told:
        _one_that_may_be_and_one_that_may_not("0b5d0f0e-0000-4000-8000-000000000001")
    assert isinstance(told.value, DBAPIError)
    assert told.value.connection_invalidated is False
    assert sessions_and_messages() == (0, 0)
    assert sessions.create("owner").user_id == "owner", "the connection is as good as before"


def test_a_connection_used_by_the_toolkit_in_any_mode_keeps_what_is_written_next(context: Flask) -> None:
    for mode in ("AUTOCOMMIT", "SERIALIZABLE"):
        db.engine.dispose()
        with db.engine.connect().execution_options(isolation_level=mode) as connection:
            connection.execute(text("SELECT 1"))
        session = sessions.create("owner")
        messages.append("owner", session.id, role="user", content="kept")
        db.engine.dispose()
        assert sessions.get("owner", session.id).message_count == 1


def test_a_statement_that_is_broken_off_takes_its_connection_along(context: Flask) -> None:
    session = sessions.create("owner")

    class Enough(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Enough

    pool: Any = db.engine.pool
    with patch.object(quick, "_fetched", stop), pytest.raises(Enough):
        sessions.get("owner", session.id)
    assert pool.checkedout() == 0
    assert sessions.get("owner", session.id).id == session.id
