"""`flask backup`: made while people write, put back elsewhere, and everything that was answered before it began is there."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask
from sqlalchemy import make_url, text

from chatsvc.core import backup, verify
from chatsvc.extensions import db
from tests import factories
from tests.conftest import watched
from tests.factories import Person, person
from tests.restoring import restored, skip_without_programs


@pytest.fixture(autouse=True)
def programs(engine_name: str) -> None:
    skip_without_programs(engine_name)


def backed_up(app: Flask, file: Path) -> str:
    result = app.test_cli_runner().invoke(args=["backup", str(file)])
    assert result.exit_code == 0, result.output
    assert result.output == f"{file}: {file.stat().st_size} bytes\n"
    return result.output


@pytest.fixture
def open_again(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Flask]]:
    """The service on what a backup holds."""
    opened = []

    def open_it(file: Path) -> Flask:
        server = None if engine_name == "sqlite" else request.getfixturevalue("server")
        place = restored(file, tmp_path / "elsewhere", server)
        app = watched(factories.settings(place.__enter__()))
        opened.append((app, place))
        return app

    yield open_it
    for app, place in opened:
        app.extensions["chatsvc.runtime"].stop(wait=True)
        with app.app_context():
            db.engine.dispose()
        place.__exit__(None, None, None)


def write_on(writer: Person, session_id: str, answered: list[int], until: threading.Event) -> None:
    while not until.is_set():
        answered.append(writer.message(session_id, f"Message {len(answered)}")["id"])


def ids_of(app: Flask, session_id: str) -> list[int]:
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM chat_messages WHERE session_id = :session ORDER BY id"), {"session": session_id}))


def test_what_was_answered_before_it_began_is_in_it_and_everything_agrees(
    app: Flask, tmp_path: Path, owner: Person, open_again: Callable[[Path], Flask]
) -> None:
    session_id, other = owner.session()["id"], owner.session()["id"]
    owner.post("/api/v1/chat", json={"message": "Hello", "session_id": other})
    answered: list[int] = []
    enough = threading.Event()
    writing = [threading.Thread(target=write_on, args=(person(app, "owner"), place, answered, enough)) for place in (session_id, other)]
    for thread in writing:
        thread.start()
    try:
        while len(answered) < 20:
            enough.wait(0.01)
        before = list(answered)
        backed_up(app, tmp_path / "chatsvc.backup")
        during = len(answered)
    finally:
        enough.set()
        for thread in writing:
            thread.join()
    assert during >= len(before)
    there = open_again(tmp_path / "chatsvc.backup")
    with there.app_context():
        assert list(verify.breaches()) == []
    kept = {place: ids_of(there, place) for place in (session_id, other)}
    assert set(before) <= {*kept[session_id], *kept[other]}
    for place, some in kept.items():
        assert some == ids_of(app, place)[: len(some)], "as of one moment: nothing later is there that lacks something earlier"
    again = person(there, "owner")
    assert again.get("/readyz").status_code == 200
    assert again.message(session_id)["id"] > max(*kept[session_id], *kept[other]), "and life goes on"


def test_no_password_stands_in_a_command_line(app: Flask, tmp_path: Path, engine_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine_name == "sqlite":
        pytest.skip("SQLite's copy starts no program")
    started: list[tuple[list[str], str]] = []

    def start(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        handed = re.search(r"passfile=([^&]+)", command[-1])
        assert handed is not None
        path = Path(unquote(handed[1]))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        started.append((command, path.read_text()))
        return subprocess.CompletedProcess(command, 1, "", "no such database")

    monkeypatch.setattr(subprocess, "run", start)
    with pytest.raises(backup.NoBackup, match="no such database"):
        backup._dump(tmp_path / "part", make_url("postgresql+psycopg2://chatsvc:a%3Ab%5Cc%40d@db.internal/chatsvc?sslmode=require"))
    command, passwords = started[0]
    assert passwords == "*:*:*:*:a\\:b\\\\c@d\n"
    assert not any("a:b" in part or "a%3Ab" in part for part in command)
    assert "sslmode=require" in command[-1]


def test_only_its_owner_may_read_it_and_nothing_lies_beside_it(app: Flask, tmp_path: Path) -> None:
    backed_up(app, tmp_path / "chatsvc.backup")
    assert [path.name for path in tmp_path.iterdir()] == ["chatsvc.backup"]
    assert stat.S_IMODE((tmp_path / "chatsvc.backup").stat().st_mode) == 0o600


def test_it_overwrites_nothing(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("dear")
    result = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "kept")])
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path / 'kept'} is there already; a backup overwrites nothing\n")
    assert (tmp_path / "kept").read_text() == "dear"


def test_where_nothing_can_be_written_it_says_so_and_leaves_nothing(app: Flask, tmp_path: Path, engine_name: str) -> None:
    result = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "nowhere" / "file")])
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path / 'nowhere' / 'file'} cannot be written: No such file or directory\n")
    assert list(tmp_path.iterdir()) == []


def test_one_that_fails_half_way_leaves_nothing(app: Flask, tmp_path: Path, engine_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(backup, "_reach_the_disk", full)
    result = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "file")])
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path / 'file'} cannot be written: No space left on device\n")
    assert list(tmp_path.iterdir()) == []


def test_without_the_program_it_says_what_is_missing(app: Flask, tmp_path: Path, engine_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "file")])
    if engine_name == "sqlite":
        assert result.exit_code == 0, "SQLite needs none"
    else:
        assert (result.exit_code, "pg_dump is not on this machine's PATH" in result.output) == (1, True)
        assert list(tmp_path.iterdir()) == []


def test_a_database_without_our_tables_is_not_taken_for_the_service_s(empty_database: str, tmp_path: Path) -> None:
    """What a command sees that was given no settings: an empty file of its own, whose backup would be one of nothing."""
    app = watched(factories.settings(empty_database))
    try:
        result = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "file.backup")])
        assert result.exit_code == 1
        assert "has no tables of chatsvc, so there is nothing to back up. Are the settings those of the service (DATABASE_URL)?" in result.output
        assert not list(tmp_path.glob("*.backup*"))
    finally:
        app.extensions["chatsvc.runtime"].stop(wait=True)
        with app.app_context():
            db.engine.dispose()
