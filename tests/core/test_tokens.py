"""Which tokens still count, below any door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from chatsvc.core import cleanup, tokens, users
from chatsvc.core.database import read
from chatsvc.core.models import RevokedToken

pytestmark = pytest.mark.usefixtures("context")

LATER = datetime.now(UTC) + timedelta(days=30)


def spend(token_id: str = "token:1") -> bool:
    return tokens.spend("alice", token_id, sign_in_id="sign-in:1", expires_at=LATER)


def revoked(*token_ids: str) -> int:
    return int(tokens.standing("alice", list(token_ids)).revoked)


def test_nothing_is_known_of_an_outside_user_but_that_nothing_is_revoked() -> None:
    standing = tokens.standing("somebody of elsewhere", ["token:1", "sign-in:1"])
    assert tuple(standing) == (None, None, None, 0)


def test_an_accounts_name_role_and_state_are_known_at_once() -> None:
    made = users.create("alice", "alicepass123", role="ADMIN")
    assert tuple(tokens.standing(made.id, ["token:1"])) == ("alice", "ADMIN", None, 0)
    users.disable("alice")
    assert tokens.standing(made.id, ["token:1"]).disabled_at is not None


@pytest.mark.parametrize("user_id", ["é" * 255, "🔑", "' OR 1=1 --", "%", "alice\nbob", "\u202e", "00000000-0000-0000-0000-000000000000"])
def test_any_text_can_be_a_user_id(user_id: str) -> None:
    tokens.revoke(user_id, "token:1", expires_at=LATER)
    assert tokens.standing(user_id, ["token:1"]).revoked == 1


def test_a_revoked_token_is_revoked_and_another_is_not() -> None:
    tokens.revoke("alice", "token:1", expires_at=LATER)
    assert (revoked("token:1"), revoked("token:2"), revoked("token:1", "sign-in:1")) == (1, 0, 1)


def test_revoking_twice_is_revoking() -> None:
    for _ in range(2):
        tokens.revoke("alice", "token:1", expires_at=LATER)
    assert revoked("token:1") == 1


def test_a_refresh_token_is_spent_once_and_the_second_time_ends_the_sign_in() -> None:
    assert spend()
    assert revoked("sign-in:1") == 0
    assert not spend()
    assert revoked("sign-in:1") == 1
    assert not spend()


def test_of_many_who_spend_one_token_at_once_one_does(context: Flask) -> None:
    def attempt(number: int) -> bool:
        with context.app_context():
            return spend()

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, range(12))) == 1
    assert revoked("sign-in:1") == 1


def test_a_revocation_is_kept_until_the_token_would_have_run_out() -> None:
    tokens.revoke("alice", "token:old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    tokens.revoke("alice", "token:live", expires_at=LATER)
    cleanup.purge()
    assert [row.token_id for row in read(select(RevokedToken.token_id))] == ["token:live"]
