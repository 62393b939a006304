"""What `flask serve` does before it serves."""

from __future__ import annotations

import pytest
from flask import Flask

from chatsvc.commands.serve import DEMO, close_demo_accounts, open_demo_accounts
from chatsvc.core import users
from chatsvc.core.errors import WrongCredentials


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
