"""A migration of a later release, carried out under a service that goes on: what its connections remember is no longer true."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatsvc.core import messages, sessions
from chatsvc.core.database import unit
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters
from tests.migrations.conftest import Database

CHANGED = {
    "postgresql": [f"ALTER TABLE {table} ALTER COLUMN agent_type TYPE varchar(60)" for table in ("chat_sessions", "chat_messages")],
    "sqlite": [f"ALTER TABLE {table} ADD COLUMN of_later TEXT" for table in ("chat_sessions", "chat_messages")],
}


def read(session_id: str) -> Any:
    return sessions.get("owner", session_id)


def thread(session_id: str) -> Any:
    return sessions.thread("owner", session_id, message_limit=10)


def listed(session_id: str) -> Any:
    return sessions.page("owner", Filters(), Window(10)), messages.page("owner", session_id, role=None, newest_first=False, window=Window(10))


def append(session_id: str) -> Any:
    return messages.append("owner", session_id, role="user", content="Ferns")


@unit
def append_in_a_unit(tx: Any, session_id: str) -> Any:
    return messages.append("owner", session_id, role="user", content="Ferns")


@unit
def create_in_a_unit(tx: Any, session_id: str) -> Any:
    return sessions.create("owner", agent_type="research")


@pytest.mark.parametrize("verb", [read, thread, listed, append, append_in_a_unit, create_in_a_unit])
def test_what_a_migration_changed_is_asked_anew(changed: Callable[[Callable[[str], Any]], str], verb: Callable[[str], Any]) -> None:
    session_id = changed(verb)
    verb(session_id)


def test_nothing_is_written_twice_for_it(changed: Callable[[Callable[[str], Any]], str]) -> None:
    session_id = changed(append_in_a_unit)
    before = sessions.get("owner", session_id).message_count
    append_in_a_unit(session_id)
    append(session_id)
    assert sessions.get("owner", session_id).message_count == before + 2


@pytest.fixture
def changed(database: Database, engine_name: str) -> Any:
    """Lets a verb be done on several connections at once, then changes the tables from elsewhere."""
    database.upgrade()

    def change(verb: Callable[[str], Any]) -> str:
        session_id: str = sessions.create("owner").id

        def once(_: int) -> None:
            with database.app.app_context():
                verb(session_id)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(once, range(12)))
        for statement in CHANGED[engine_name]:
            database.raw.run(statement)
        return session_id

    with database.app.app_context():
        yield change
