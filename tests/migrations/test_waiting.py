"""A migration that has to wait for somebody's long transaction does not make everybody else wait as long."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from psycopg2.errors import DeadlockDetected

from tests.migrations import processes
from tests.migrations.conftest import Database
from tests.migrations.filling import NEWEST
from tests.migrations.raw import Raw

HELD_SECONDS = 4.0
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'chat_messages'::regclass"


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_writes_go_on_while_a_migration_waits_for_a_table(database: Database, tmp_path: Path) -> None:
    database.upgrade("009")
    session_id, longest, written = database.raw.session(), 0.0, 0
    with Raw(database.url) as reader, Raw(database.url) as watch:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM chat_messages")  # as a dump does, for as long as it takes
        with processes.start(tmp_path, database.url, "db", "upgrade") as migration:
            ends_at = time.monotonic() + 30
            while not watch.one(WAITING):
                assert time.monotonic() < ends_at, migration.output()
                time.sleep(0.01)
            ends_at = time.monotonic() + HELD_SECONDS
            while time.monotonic() < ends_at:
                began = time.monotonic()
                with suppress(DeadlockDetected):  # nothing was written; the service does it again
                    database.raw.message(session_id)
                    written += 1
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.05)
            reader.run("COMMIT")
            assert migration.wait() == 0, migration.output()
    assert database.revision == f"{NEWEST:03}"
    assert written
    assert longest < HELD_SECONDS / 4
