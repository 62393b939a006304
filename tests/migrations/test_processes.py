"""Migrating as it is done: by processes, several at once, killed in the middle, on servers that will not do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from config import ROOT
from tests import postgres
from tests.factories import SECRET
from tests.migrations import processes
from tests.migrations.catalog import catalog, dump, revision
from tests.migrations.conftest import Database
from tests.migrations.filling import NEWEST, fill
from tests.migrations.raw import Raw
from tests.migrations.recount import breaches, look

ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
# How many of the moments at which a migrating process can die are tried; all of them: MIGRATION_KILLS=1000
KILLS = int(os.environ.get("MIGRATION_KILLS", "5"))


def test_four_processes_that_upgrade_at_once_all_succeed_and_leave_one_result(empty_database: str, tmp_path: Path) -> None:
    running = [processes.start(tmp_path, empty_database, "db", "upgrade") for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4, [process.output() for process in running]
    with Raw(empty_database) as raw:
        assert revision(raw) == f"{NEWEST:03}"
        assert raw.one("SELECT count(*) FROM alembic_version") == 1
        together = catalog(raw)
    alone = Database(empty_database)
    alone.downgrade("base")
    alone.upgrade()
    assert alone.schema == together
    alone.close()


def test_the_flask_command_of_a_shell_goes_up_refuses_to_lose_data_and_can_be_forced(empty_database: str) -> None:
    def flask(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "DATABASE_URL": empty_database, "JWT_SECRET_KEY": SECRET, "LOG_LEVEL": "warning"}
        return subprocess.run([sys.executable, "-m", "flask", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    up = flask("db", "upgrade")
    assert (up.returncode, up.stderr) == (0, "")
    with Raw(empty_database) as raw:
        fill(raw)
        raw.run("UPDATE chat_sessions SET agent_type = 'research' WHERE conversation_id IS NULL")
        # Replaced secrets, the last two columns, go with these, and nobody is asked.
        personas = "SELECT * FROM personas ORDER BY id"
        before = {**dump(raw), "personas": [row[:-2] for row in raw.run(personas)]}
        refused = flask("db", "downgrade", "009")
        # The steps that lose nothing to be kept are taken; the one that would is not.
        assert (refused.returncode, {**dump(raw), "personas": raw.run(personas)}, revision(raw)) == (1, before, "013")
        assert "This step down would lose 2 receipts of erasures, which cannot be made again." in refused.stderr
        assert "Traceback" not in refused.stderr
        assert flask("db", "downgrade", "-x", "force=true").returncode == 0
        assert revision(raw) == "012"


@pytest.mark.parametrize("start", ["base", "006"])
def test_a_process_killed_in_the_middle_leaves_a_whole_revision_and_the_next_upgrade_completes(database: Database, tmp_path: Path, start: str) -> None:
    schemas: dict[str | None, list[str]] = {None: []}
    for number in range(1, NEWEST + 1):
        database.upgrade(f"{number:03}")
        schemas[f"{number:03}"] = database.schema
    died = set()
    for moment in _moments(database, start):
        database.downgrade(start, force=True)
        if start == "006" and not database.raw.run("SELECT id FROM chat_sessions"):
            fill(database.raw, 6)
        with processes.start(tmp_path, database.url, "db", "upgrade", dies_at=moment) as running:
            assert running.wait() == -signal.SIGKILL, running.output()
        died.add(database.revision)
        assert database.schema == schemas[database.revision]
        with processes.start(tmp_path, database.url, "db", "upgrade") as again:
            assert again.wait() == 0, again.output()
        assert (database.schema, breaches(look(database.raw))) == (schemas[f"{NEWEST:03}"], [])
    assert len(died) > 1


def _moments(database: Database, start: str) -> list[int]:
    """Some of the statements and commits that an upgrade from there consists of, evenly spread."""
    met, here = 0, threading.get_ident()

    def count(*given: object) -> None:
        nonlocal met
        met += threading.get_ident() == here  # the services of other tests have heartbeats

    database.downgrade(start)
    for what in ("before_cursor_execute", "commit"):
        event.listen(Engine, what, count)
    database.upgrade()
    for what in ("before_cursor_execute", "commit"):
        event.remove(Engine, what, count)
    return list(range(met, 0, -max(1, met // KILLS)))


@ONLY_POSTGRESQL
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_letter_is_refused_in_a_sentence(engine_name: str, server: str, tmp_path: Path, encoding: str) -> None:
    with postgres.new_database(server) as url:
        name = make_url(url).database
        with Raw(server) as raw:
            raw.run(f"DROP DATABASE {name}")
            raw.run(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        code, said = processes.flask(tmp_path, url, "db", "upgrade")
        assert (code, said.strip()) == (
            1,
            f"This PostgreSQL database is encoded in {encoding}. chatsvc needs UTF8: createdb --encoding=UTF8 --template=template0 NAME",
        )
        with Raw(url) as raw:
            assert (revision(raw), catalog(raw)) == (None, [])


@ONLY_POSTGRESQL
def test_a_server_that_cannot_fold_letters_is_refused_in_a_sentence(database: Database, tmp_path: Path) -> None:
    if database.raw.one("SELECT current_setting('server_version_num')::int >= 180000"):
        pytest.skip("PostgreSQL 18 folds letters by itself")
    database.raw.run("SET ROLE NONE")  # a role without privileges may not
    database.raw.run('DROP COLLATION "und-x-icu"')
    code, said = processes.flask(tmp_path, database.url, "db", "upgrade")
    assert (code, database.revision) == (1, "007")
    assert said.startswith("This PostgreSQL was built without ICU")


def test_migrations_want_a_database_and_say_so(empty_database: str, tmp_path: Path) -> None:
    code, said = processes.flask(tmp_path, empty_database, "db", "upgrade", "--sql")
    assert (code, said.strip()) == (1, "The migrations look at the data they change, so they run against a database only (no --sql).")
