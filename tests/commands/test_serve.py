"""What `flask serve` does before it serves, and beside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from bench.streams import ROOT, SECRET, free_port, served
from chatsvc.commands.serve import DEMO, close_demo_accounts, open_demo_accounts
from chatsvc.core import users
from chatsvc.core.errors import WrongCredentials
from tests.commands.test_cleanup import LONG_AGO
from tests.migrations.raw import Raw
from tests.migrations.recount import look


def may_sign_in(name: str, password: str) -> bool:
    try:
        users.authenticate(name, password, address="127.0.0.1")
    except WrongCredentials:
        return False
    return True


def test_the_demo_accounts_are_made_once_and_can_sign_in(context: Flask) -> None:
    open_demo_accounts()
    open_demo_accounts()
    assert all(may_sign_in(name, password) for name, password in DEMO)


def test_where_they_are_not_wanted_they_are_closed_and_opened_again_where_they_are(context: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    open_demo_accounts()
    close_demo_accounts()
    assert "alice still had its well-known password and is disabled" in capsys.readouterr().out
    assert not any(may_sign_in(name, password) for name, password in DEMO)
    open_demo_accounts()
    assert all(may_sign_in(name, password) for name, password in DEMO)


def test_an_account_of_that_name_with_its_own_password_is_left_alone(context: Flask) -> None:
    users.create("alice", "a password of her own")
    open_demo_accounts()
    close_demo_accounts()
    assert may_sign_in("alice", "a password of her own")
    assert not may_sign_in("alice", "alicepass123")


def children(pid: int) -> dict[int, list[str]]:
    """The processes that this one has started, and how."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text().split("\0") for child in found}


def until(true: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    """One that is not to come so far as to serve."""
    return subprocess.run([sys.executable, "serve.py"], cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False)


def test_a_setting_that_cannot_be_used_is_told_in_one_line() -> None:
    told = start(PORT="abc")
    assert (told.returncode, told.stdout, told.stderr) == (1, "", "PORT must be a whole number from 1 to 65535.\n")


def test_what_cannot_be_made_ready_is_not_served(empty_database: str) -> None:
    with Raw(empty_database) as raw:
        raw.run("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        raw.run("INSERT INTO alembic_version VALUES ('999')")
    port = free_port()
    told = start(DATABASE_URL=empty_database, PORT=str(port), JWT_SECRET_KEY=SECRET)
    assert told.returncode == 1
    assert "999" in told.stderr
    assert "listens on" not in told.stdout
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass


def test_it_starts_the_repeating_cleanup_which_ends_with_it(app: Flask, database_url: str) -> None:
    with Raw(database_url) as raw:
        raw.message(raw.session(deleted_at=LONG_AGO))
        kept = raw.session()
        with served(free_port(), DATABASE_URL=database_url, WEB_CONCURRENCY="1", CHAT_SESSION_CLEANUP_INTERVAL="7") as pid:
            until(lambda: list(look(raw).sessions) == [kept])
            ((cleanup, command),) = [(child, words) for child, words in children(pid).items() if "cleanup" in words]
            assert command[command.index("cleanup") :] == ["cleanup", "all", "--every", "7", "--parent", str(pid), ""]
        until(lambda: not Path(f"/proc/{cleanup}").exists())
