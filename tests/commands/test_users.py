"""`flask users`: local accounts, from the shell."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from chatsvc.core import users
from chatsvc.core.database import read
from chatsvc.core.errors import WrongCredentials
from chatsvc.core.models import AuditEvent
from tests.migrations.raw import Raw

Run = Callable[..., Result]
PASSWORD = "a long enough password"


@pytest.fixture
def run(app: Flask) -> Run:
    def flask_users(*arguments: str, typed: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=["users", *arguments], input=typed)

    return flask_users


def test_an_account_is_made_and_can_sign_in(run: Run, app: Flask) -> None:
    made = run("create", "Alice", "--password", PASSWORD)
    assert (made.exit_code, made.output.startswith("Alice (USER) ")) == (0, True)
    with app.app_context():
        assert users.authenticate("alice", PASSWORD, address="127.0.0.1").id in made.output


def test_the_password_is_read_from_a_pipe(run: Run, app: Flask) -> None:
    assert run("create", "Alice", typed=f"{PASSWORD}\n").exit_code == 0
    with app.app_context():
        assert users.authenticate("Alice", PASSWORD, address="127.0.0.1").role == "USER"


def test_an_admin_is_made_with_a_flag(run: Run) -> None:
    assert run("create", "root", "--admin", "--password", PASSWORD).output.startswith("root (ADMIN) ")


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_too_short_or_too_long_is_refused_in_a_sentence(run: Run, password: str) -> None:
    refused = run("create", "Alice", "--password", password)
    assert (refused.exit_code, refused.output) == (1, "Error: The password must have 8 to 256 characters.\n")
    assert run("list").output == ""


def test_a_name_that_is_taken_in_any_case_is_refused_in_a_sentence(run: Run) -> None:
    run("create", "Alice", "--password", PASSWORD)
    refused = run("create", "ALICE", "--password", PASSWORD)
    assert (refused.exit_code, refused.output) == (1, "Error: This username is taken\n")


def test_an_account_is_promoted_whatever_the_case_of_its_name(run: Run) -> None:
    run("create", "Alice", "--password", PASSWORD)
    assert run("promote", "aLICE").output == "Alice is an ADMIN now.\n"
    assert "ADMIN" in run("list").output


def test_a_disabled_account_cannot_sign_in(run: Run, app: Flask) -> None:
    run("create", "Alice", "--password", PASSWORD)
    assert run("disable", "Alice").output == "Alice is disabled.\n"
    assert "disabled" in run("list").output
    with app.app_context(), pytest.raises(WrongCredentials):
        users.authenticate("Alice", PASSWORD, address="127.0.0.1")


NEW = "another password, long enough"


def signs_in(app: Flask, password: str) -> bool:
    with app.app_context():
        try:
            return bool(users.authenticate("alice", password, address="127.0.0.1"))
        except WrongCredentials:
            return False


def test_an_account_gets_another_password_whatever_the_case_of_its_name(run: Run, app: Flask) -> None:
    run("create", "Alice", "--password", PASSWORD)
    run("create", "Bob", "--password", PASSWORD)
    changed = run("password", "aLICE", "--password", NEW)
    assert (changed.exit_code, changed.output) == (0, "Alice has a new password, and every sign-in has ended.\n")
    assert (signs_in(app, PASSWORD), signs_in(app, NEW)) == (False, True)
    with app.app_context():
        assert users.authenticate("bob", PASSWORD, address="127.0.0.1")
        (event,) = read(select(AuditEvent).where(AuditEvent.action == "user.password_changed"))
        found = users.authenticate("alice", NEW, address="127.0.0.1")
        assert (event.actor_id, event.subject, event.details) == (None, found.id, {"username": "Alice"})


def test_the_new_password_is_read_from_a_pipe(run: Run, app: Flask) -> None:
    run("create", "Alice", "--password", PASSWORD)
    assert run("password", "Alice", typed=f"{NEW}\n").exit_code == 0
    assert signs_in(app, NEW)


def test_on_a_terminal_it_is_typed_twice_and_not_shown(run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run("create", "Alice", "--password", PASSWORD)
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("chatsvc.commands.users.sys", SimpleNamespace(stdin=terminal))
    changed = run("password", "Alice", typed=f"{NEW}\nanother slip of the hand\n{NEW}\n{NEW}\n")
    assert changed.exit_code == 0
    assert "do not match" in changed.output
    assert NEW not in changed.output
    assert signs_in(app, NEW)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_new_password_too_short_or_too_long_changes_nothing(run: Run, app: Flask, password: str) -> None:
    run("create", "Alice", "--password", PASSWORD)
    refused = run("password", "Alice", "--password", password)
    assert (refused.exit_code, refused.output) == (1, "Error: The password must have 8 to 256 characters.\n")
    assert signs_in(app, PASSWORD)


def test_a_new_password_opens_no_account_that_is_disabled(run: Run, app: Flask) -> None:
    run("create", "Alice", "--password", PASSWORD)
    run("disable", "Alice")
    assert run("password", "Alice", "--password", NEW).output == "Alice has a new password, and every sign-in has ended; the account is still disabled.\n"
    assert not signs_in(app, NEW)


def test_nobody_gets_a_password_by_a_name_that_nobody_has(run: Run) -> None:
    missing = run("password", "Nobody", "--password", NEW)
    assert (missing.exit_code, missing.output) == (1, "Error: User not found\n")


@pytest.mark.parametrize("verb", ["promote", "disable"])
def test_a_name_that_nobody_has_is_answered_with_a_sentence(run: Run, verb: str) -> None:
    missing = run(verb, "Nobody")
    assert (missing.exit_code, missing.output) == (1, "Error: User not found\n")


def test_the_list_has_every_account_oldest_first_however_many_there_are(run: Run, app: Flask, database_url: str) -> None:
    with Raw(database_url) as raw:
        for number in range(250):
            at = f"2026-01-01 00:{number // 60:02}:{number % 60:02}.000000"
            raw.insert("users", id=f"id {number}", username=f"name {number}", username_key=f"name {number}", password_hash="x", created_at=at)
    lines = run("list").output.splitlines()
    assert [line.partition("name ")[2] for line in lines] == [str(number) for number in range(250)]
    assert lines[7] == "id 7  USER   active    name 7"
