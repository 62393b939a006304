"""A migration keeps readers out of a large table for moments only: what takes long is not done after such a lock (PostgreSQL; on SQLite nobody is kept from reading)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config import ROOT
from tests.migrations import processes
from tests.migrations.conftest import Database
from tests.migrations.later import COLUMNS, LAST, LATER, NEWEST, write_revisions

SINCE = "013"  # what is older was never out

# PostgreSQL itself looks: whether, when an index is begun, nobody may read the table any more; and whether a table is written anew.
GUARD = """
SET ROLE NONE;
CREATE FUNCTION keeps_readers_out() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF tg_event = 'table_rewrite' OR EXISTS (
    SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock'
      AND relation IN ('chat_messages'::regclass, 'chat_sessions'::regclass))
  THEN
    RAISE EXCEPTION 'keeps readers out for long';
  END IF;
END $$;
CREATE EVENT TRIGGER slow_after_lock ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION keeps_readers_out();
CREATE EVENT TRIGGER written_anew ON table_rewrite EXECUTE FUNCTION keeps_readers_out();
"""


def guard(database: Database) -> None:
    if database.raw.one("SELECT NOT rolsuper FROM pg_roles WHERE rolname = session_user"):
        pytest.skip("event triggers need a superuser, which the role of TEST_DATABASE_URL is not")
    database.raw.run(GUARD)


def migrations(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_no_revision_does_what_takes_long_while_nobody_may_read(database: Database, tmp_path: Path) -> None:
    write_revisions(migrations(tmp_path))
    database.upgrade(SINCE)
    guard(database)
    for way, to in (("upgrade", LAST), ("downgrade", SINCE)):
        code, said = processes.flask(tmp_path, database.url, "db", way, "-d", str(tmp_path / "migrations"), to)
        assert code == 0, said
        assert database.revision == to


BAD = {
    "an index after a column": ('server_default="7"))', 'server_default="7"))\n        op.create_index(f"idx_{{table}}_of_later", table, ["of_later"])'),
    "a table written anew": ('server_default="7"', 'server_default=sa.text("floor(random() * 7)::int")'),
}


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("good", "bad"), BAD.values(), ids=BAD)
def test_one_that_does_is_found(database: Database, tmp_path: Path, good: str, bad: str) -> None:
    (migrations(tmp_path) / f"versions/{LATER}_of_later.py").write_text(COLUMNS.replace(good, bad).format(later=LATER, newest=NEWEST))
    database.upgrade()
    guard(database)
    code, said = processes.flask(tmp_path, database.url, "db", "upgrade", "-d", str(tmp_path / "migrations"))
    assert code
    assert "keeps readers out for long" in said
    assert database.revision == NEWEST
