"""`flask cleanup`, as the processes that it is in life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests.migrations import processes
from tests.migrations.raw import Raw
from tests.migrations.recount import look

LONG_AGO = (datetime.now(UTC) - timedelta(days=40)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("command", ["purge", "all"])
def test_a_pass_says_what_it_erased(app: Flask, database_url: str, command: str) -> None:
    with Raw(database_url) as raw:
        raw.message(raw.session(deleted_at=LONG_AGO))
        raw.message(raw.session(), deleted_at=LONG_AGO)
        raw.insert("revoked_tokens", token_id="t", user_id="owner", expires_at=LONG_AGO)
    result = app.test_cli_runner().invoke(args=["cleanup", command])
    said = "purged 1 sessions, 1 messages, 0 idempotency keys, 1 sign-in records, 0 audit events, 0 receipts, 0 replaced secrets\n"
    more = (
        "erased 0 sessions kept long enough, 0 messages\nhid the addresses of 0 exchanges, 0 audit events, 0 sign-in records\n"
        "finished 0 erasures that were broken off\n"
    )
    assert (result.exit_code, result.output) == (0, said if command == "purge" else f"timed out 0 exchanges\n{said}{more}")


def test_two_processes_at_once_do_no_harm(app: Flask, database_url: str, tmp_path: Path) -> None:
    with Raw(database_url) as raw:
        kept = raw.session()
        with raw.transaction():
            for _ in range(40):
                raw.message(raw.session(deleted_at=LONG_AGO))
            for _ in range(700):
                raw.message(kept, deleted_at=LONG_AGO)
        running = [processes.start(tmp_path, database_url, "cleanup", "purge") for _ in range(2)]
        assert [process.wait() for process in running] == [0, 0], [process.output() for process in running]
        said = [process.output().split() for process in running]
        assert [sum(int(words[place]) for words in said) for place in (1, 3)] == [40, 700]
        assert (list(look(raw).sessions), look(raw).messages) == ([kept], {})


def test_the_repeating_one_goes_on_after_a_pass_that_failed(empty_database: str, tmp_path: Path) -> None:
    with processes.start(tmp_path, empty_database, "cleanup", "all", "--every", "0.001") as running:
        running.wait_for("this cleanup pass failed")
        assert processes.flask(tmp_path, empty_database, "db", "upgrade")[0] == 0
        with Raw(empty_database) as raw:
            raw.session(deleted_at=LONG_AGO)
        running.wait_for("purged 1 sessions")
        assert running.process.is_alive()


def test_without_repeating_a_pass_that_fails_says_so_with_its_exit_code(empty_database: str, tmp_path: Path) -> None:
    code, said = processes.flask(tmp_path, empty_database, "cleanup", "purge")
    assert code == 1
    assert "purged" not in said


def test_the_repeating_one_ends_with_the_process_that_it_serves(app: Flask, database_url: str, tmp_path: Path) -> None:
    with processes.start(tmp_path, database_url, "cleanup", "all", "--every", "1", "--parent", "1") as running:
        assert running.wait(20) == 0, running.output()
        assert "purged" in running.output()


@pytest.mark.parametrize("hours", ["0", "-1", "soon"])
def test_hours_that_make_no_sense_are_refused(app: Flask, hours: str) -> None:
    assert app.test_cli_runner().invoke(args=["cleanup", "purge", "--every", hours]).exit_code == 2
