"""Passwords that nobody may have, whoever makes the account."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from chatsvc.core import passwords, users
from chatsvc.core.errors import Invalid

STRONG = "Vb2kQ8tXz5LmR7wNc4HyJ9pSd6GfA3eU1oTiKqWx"
COMMON = ["password", "PassWord1", "12345678", "qwertyuiop", "iloveyou", "password123", "sunshine", "1q2w3e4r", "aaaaaaaa", "abababababab", "00000000"]
FINE = ["alicepass123", "testpass123", "correct horse battery", "a" * 17, "pässwörd-🔑", "Password1Password1x", "\ud800 no common word"]


@pytest.mark.parametrize("password", COMMON)
def test_what_everybody_tries_first_is_refused_in_any_case(password: str) -> None:
    assert passwords.problem(password, "alice") == passwords.TOO_COMMON
    assert passwords.problem(password.upper(), "alice") == passwords.TOO_COMMON


@pytest.mark.parametrize("password", FINE)
def test_anything_else_will_do(password: str) -> None:
    assert passwords.problem(password, "alice") is None


def test_ones_own_name_is_no_password() -> None:
    assert passwords.problem(" Alice-Liddell ", "alice-liddell") == "must not be the username"


def test_there_are_more_than_three_thousand_of_them() -> None:
    assert len(passwords._common()) == 5000


@pytest.fixture
def in_production(make_app: Callable[..., Flask]) -> Flask:
    return make_app(CHAT_ENV="production", JWT_SECRET_KEY=STRONG, CHAT_ENCRYPTION_KEY=STRONG)


def test_no_account_is_made_with_one(in_production: Flask) -> None:
    with in_production.app_context():
        with pytest.raises(Invalid, match="password is one of"):
            users.create("alice", "password123")
        users.create("alice", "quite another thing")


def test_no_account_is_given_one(in_production: Flask) -> None:
    with in_production.app_context():
        users.create("alice", "quite another thing")
        for password, why in (("password123", "password is one of"), ("ALICE", "must not be the username")):
            with pytest.raises(Invalid, match=why):
                users.change_password("alice", password)
        assert users.authenticate("alice", "quite another thing", address="192.0.2.1")
        users.change_password("alice", "and now for another")


def test_while_it_is_tried_out_anything_will_do(context: Flask) -> None:
    users.create("alice", "password123")


def test_registering_names_the_field(in_production: Flask) -> None:
    response = in_production.test_client().post("/auths/register", json={"username": "alice", "password": "password123"})
    assert (response.status_code, response.json) == (
        400,
        {"detail": f"password {passwords.TOO_COMMON}", "errors": [{"field": "password", "message": passwords.TOO_COMMON}]},
    )
