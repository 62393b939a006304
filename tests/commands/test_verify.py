"""`flask verify`: its words and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys

from flask import Flask

from chatsvc.commands.verify import SHOWN
from config import ROOT
from tests.factories import SECRET
from tests.migrations.raw import Raw


def test_a_clean_database_is_said_to_be_so(app: Flask, database_url: str) -> None:
    with Raw(database_url) as raw:
        raw.message(raw.session())
    result = app.test_cli_runner().invoke(args=["verify"])
    assert (result.exit_code, result.output) == (0, "verified: everything agrees with the rows\n")


def test_a_breach_is_told_with_its_place_and_fails_the_command(app: Flask, database_url: str) -> None:
    with Raw(database_url) as raw:
        session = raw.session()
        raw.run("UPDATE chat_sessions SET message_count = 3")
    result = app.test_cli_runner().invoke(args=["verify"])
    assert (result.exit_code, result.output) == (1, f"{session}: message_count is 3, the rows say 0\n1 breaches\n")


def test_of_very_many_breaches_the_first_are_shown_and_all_are_counted(app: Flask, database_url: str) -> None:
    with Raw(database_url) as raw, raw.transaction():
        for _ in range(SHOWN + 20):
            raw.session(message_count=1)
    result = app.test_cli_runner().invoke(args=["verify"])
    lines = result.output.splitlines()
    assert (result.exit_code, len(lines), lines[-1]) == (1, SHOWN + 1, f"{SHOWN + 20} breaches; the first {SHOWN} are shown")


def test_a_shell_sees_the_exit_code(app: Flask, database_url: str) -> None:
    def verify() -> int:
        environ = {**os.environ, "DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET}
        return subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, capture_output=True, timeout=60, check=False).returncode

    with Raw(database_url) as raw:
        session = raw.session()
        assert verify() == 0
        raw.run("UPDATE chat_sessions SET last_message = 'x' WHERE id = ?", session)
        assert verify() == 1
