"""`flask users erase` and `flask cleanup`, as the processes that they are in life: counted, broken off, two at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from chatsvc.core import runtime, scrubbing, users
from tests.api.v1 import rows
from tests.migrations import processes
from tests.migrations.raw import Raw
from tests.whole import dumped, holding

Run = Callable[..., Result]
MARK = "zq7marked"
NAME, PASSWORD = f"{MARK} alice", "a long enough password"


@pytest.fixture
def run(app: Flask) -> Run:
    def flask(*arguments: str, typed: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=arguments, input=typed)

    return flask


@pytest.fixture
def alice(app: Flask, database_url: str) -> str:
    """An account with 30 sessions of 50 messages."""
    with app.app_context():
        user_id = str(users.create(NAME, PASSWORD).id)
    with Raw(database_url) as raw, raw.transaction():
        for _ in range(30):
            session = raw.session(user_id, title=MARK, title_from="person")
            for number in range(50):
                raw.message(session, f"{MARK} {number}" * 5, user_id=user_id)
        raw.insert("idempotency_keys", user_id=user_id, key="k", fingerprint="f", body=MARK)
    return user_id


def test_a_dry_run_says_what_there_is_and_changes_nothing(run: Run, database_url: str, alice: str) -> None:
    before = dumped(database_url)
    told = run("users", "erase", NAME, "--dry-run")
    assert (told.exit_code, told.output) == (0, f"user {alice} ({NAME}): 30 sessions, 1500 messages, 1 idempotencyKeys, 1 accounts\n")
    assert run("users", "erase", alice, "--dry-run", "--keep-account").output.endswith("1500 messages, 1 idempotencyKeys\n")
    assert dumped(database_url).count(MARK.encode()) == before.count(MARK.encode())


def test_it_asks_first_and_then_leaves_nothing(run: Run, app: Flask, database_url: str, alice: str) -> None:
    assert run("users", "erase", NAME, typed="n\n").exit_code == 1
    assert holding(database_url, MARK)["chat_messages"] == 1500
    done = run("users", "erase", NAME, "--yes")
    assert done.exit_code == 0, done.output
    assert "erased 30 sessions, 1500 messages, 1 idempotencyKeys, 1 accounts" in done.output
    assert MARK.encode() not in dumped(database_url)
    assert not rows.breaches(app)
    receipt = run("users", "receipts", alice).output
    assert receipt == done.output.splitlines(keepends=True)[1]
    assert alice not in receipt
    assert run("users", "receipts", "somebody else").output == ""
    assert run("users", "erase", alice, "--dry-run").output == f"user {alice}, who has no account here: nothing\n"


@pytest.mark.parametrize("statement", [5, 12, 30, 60, 95])
def test_one_that_was_killed_goes_on_when_it_is_asked_for_again(app: Flask, database_url: str, tmp_path: Path, alice: str, statement: int) -> None:
    with processes.start(tmp_path, database_url, "users", "erase", "--id", alice, "--yes", dies_at=statement) as running:
        assert running.wait() == -9, running.output()
    assert not rows.breaches(app)
    code, said = processes.flask(tmp_path, database_url, "users", "erase", "--id", alice, "--yes")
    assert code == 0, said
    assert MARK.encode() not in dumped(database_url)
    with Raw(database_url) as raw:
        assert raw.one("SELECT count(*) FROM erasures WHERE finished_at IS NULL") == 0
        told: Any = [app.json.loads(row[0]) if isinstance(row[0], str) else row[0] for row in raw.run("SELECT counts FROM erasures")]
    assert sum(one.get("messages", 0) for one in told) == 1500, "each is counted once"


def test_one_that_was_killed_is_finished_by_the_cleanup_too(run: Run, database_url: str, tmp_path: Path, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SWEEP_SECONDS", 1e9)  # or the service of earlier tests, which is here yet, might be the first
    with processes.start(tmp_path, database_url, "users", "erase", "--id", alice, "--yes", dies_at=40) as running:
        assert running.wait() == -9, running.output()
    with Raw(database_url) as raw:
        raw.run("UPDATE erasures SET seen_at = '2026-01-01 00:00:00.000000'")
    assert "would finish 1 erasures that were broken off" in run("cleanup", "all", "--dry-run").output
    assert MARK in repr(holding(database_url, MARK)) or holding(database_url, MARK)
    assert "finished 1 erasures that were broken off" in run("cleanup", "all").output
    assert MARK.encode() not in dumped(database_url)


def test_two_processes_at_once_are_one_erasure(app: Flask, database_url: str, tmp_path: Path, alice: str) -> None:
    running = [processes.start(tmp_path, database_url, "users", "erase", "--id", alice, "--yes") for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0], [process.output() for process in running]
    assert MARK.encode() not in dumped(database_url)
    assert not rows.breaches(app)


def test_each_cleanup_says_what_it_would_do_and_does_not(run: Run, make_app: Callable[..., Flask], database_url: str) -> None:
    app = make_app(CHAT_RETENTION="COMPLETED=90", CHAT_IP_RETENTION_DAYS="30")
    long_ago = "2024-01-01 00:00:00.000000"
    with Raw(database_url) as raw:
        persona = raw.insert("personas", name="Guide", kind="echo")
        talk = raw.insert("conversations", user_id="owner", persona_id=persona)
        raw.session(persona_id=persona, conversation_id=talk, created_at=long_ago, metadata='{"ipAddress": "203.0.113.7"}')
        raw.message(raw.session(deleted_at=long_ago), deleted_at=long_ago)
        raw.message(raw.session(), deleted_at=long_ago)
        old = raw.session(status="COMPLETED", ended_at=long_ago)
        raw.message(old)
        raw.run("UPDATE chat_sessions SET updated_at = ? WHERE id = ?", long_ago, old)
        raw.insert("revoked_tokens", token_id="t", user_id="owner", expires_at=long_ago)
    records = "0 idempotency keys, 1 sign-in records, 0 audit events, 0 receipts, 0 replaced secrets"
    would = (
        "would time out 1 exchanges\n"
        f"would purge 1 sessions, 1 messages, {records}\n"
        "would erase 1 sessions kept long enough (1 COMPLETED), 1 messages\n"
        "would hide the addresses of 1 exchanges, 0 audit events, 0 sign-in records\n"
        "would finish 0 erasures that were broken off\n"
    )
    before = {table: rows.count(app, table) for table in ("chat_sessions", "chat_messages", "revoked_tokens", "audit_events")}
    for _ in range(2):
        assert app.test_cli_runner().invoke(args=["cleanup", "all", "--dry-run"]).output == would
    assert {table: rows.count(app, table) for table in before} == before
    for command, line in zip(("timeout", "purge", "retention", "addresses"), would.splitlines(), strict=False):
        assert app.test_cli_runner().invoke(args=["cleanup", command, "--dry-run"]).output == f"{line}\n"
    done = app.test_cli_runner().invoke(args=["cleanup", "all"]).output
    for told, promised in (
        ("would time out", "timed out"),
        ("would purge", "purged"),
        ("would erase", "erased"),
        ("would hide", "hid"),
        ("would finish", "finished"),
    ):
        would = would.replace(told, promised)
    assert done == would


def test_the_file_is_written_anew_when_it_is_told_to(run: Run, app: Flask, database_url: str, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "LARGEST", 1)
    monkeypatch.setattr(scrubbing.scrub, "__kwdefaults__", {"largest": 1})
    done = run("users", "erase", NAME, "--yes").output
    told = run("cleanup", "scrub")
    assert told.exit_code == 0, told.output
    if database_url.startswith("sqlite"):
        assert "file not written anew yet (flask cleanup scrub)" in done
        assert told.output == "the file was written anew; 1 receipts say so now\n"
        assert "file written anew;" in run("users", "receipts", alice).output
        assert MARK.encode() not in dumped(database_url)
    else:
        assert "PostgreSQL cleans its files by itself" in told.output
