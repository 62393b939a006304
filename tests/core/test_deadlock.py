"""A read that meets a migration: each holds a table that the other wants, and the database breaks the read off."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import messages, sessions
from tests.migrations.raw import Raw

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


def until_waiting(raw: Raw, amount: int) -> None:
    ends_at = time.monotonic() + 20
    while raw.one(WAITING) < amount:
        assert time.monotonic() < ends_at
        time.sleep(0.01)


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_read_that_is_broken_off_is_asked_again(context: Flask, database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    session_id = sessions.create("owner").id
    messages.append("owner", session_id, role="user", content="Ferns")
    with Raw(database_url) as migration, Raw(database_url) as watch, ThreadPoolExecutor(2) as pool:

        def read() -> Any:
            with context.app_context():
                return sessions.thread("owner", session_id, message_limit=10)

        def go_on() -> None:
            migration.run("LOCK TABLE chat_sessions IN ACCESS EXCLUSIVE MODE")
            migration.run("COMMIT")

        before = watch.one("SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database WHERE datname = current_database()")
        migration.run("BEGIN")
        migration.run("LOCK TABLE chat_messages IN ACCESS EXCLUSIVE MODE")
        reading = pool.submit(read)
        until_waiting(watch, 1)
        second = threading.Thread(target=go_on)
        second.start()
        thread = reading.result(timeout=20)
        second.join(20)
        assert [message.content for message in thread.messages] == ["Ferns"]
        ends_at = time.monotonic() + 10
        while watch.one("SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database WHERE datname = current_database()") == before:
            assert time.monotonic() < ends_at, "the two did not meet, so nothing was shown"
            time.sleep(0.1)
