"""`flask users`: local accounts, from the shell."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from chatsvc.core import users
from chatsvc.core.errors import WrongCredentials
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
