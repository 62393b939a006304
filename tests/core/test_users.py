"""Local accounts, below any door."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type
from flask import Flask
from sqlalchemy import select, text

from chatsvc.core import throttle, users
from chatsvc.core.database import read
from chatsvc.core.errors import ChatError, Conflict, Invalid, NotFound, Unavailable, WrongCredentials
from chatsvc.core.models import LoginThrottle, User
from chatsvc.core.paging import Window
from chatsvc.extensions import db

pytestmark = pytest.mark.usefixtures("context")

HERE = "192.0.2.1"
GOOD = "alicepass123"


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that a password was really compared with, in order."""
    seen: list[str] = []
    verify = users._verify

    def noted(password_hash: str, password: str) -> bool:
        seen.append(password_hash)
        return verify(password_hash, password)

    monkeypatch.setattr(users, "_verify", noted)
    return seen


def hash_of(username: str) -> str:
    return str(read(select(User.password_hash).where(User.username == username))[0][0])


def refused(username: str, password: str) -> str:
    with pytest.raises(WrongCredentials) as caught:
        users.authenticate(username, password, address=HERE)
    return caught.value.message


def test_a_password_is_kept_as_argon2id_with_the_cost_that_is_advised() -> None:
    users.create("alice", GOOD)
    kept = hash_of("alice")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in kept
    hasher = users._hasher
    assert (hasher.type, hasher.memory_cost >= 19 * 1024, hasher.time_cost >= 2) == (Type.ID, True, True)


def test_nobody_s_hash_costs_what_everybody_s_does() -> None:
    assert not users._hasher.check_needs_rehash(users._NOBODY)
    with pytest.raises(VerifyMismatchError):  # compared to the end, and not given up as one that cannot be read
        users._hasher.verify(users._NOBODY, GOOD)


def test_two_accounts_with_one_password_have_different_hashes() -> None:
    users.create("alice", GOOD)
    users.create("bob", GOOD)
    assert hash_of("alice") != hash_of("bob")


def test_the_right_password_gives_the_account() -> None:
    made = users.create("alice", GOOD)
    found = users.authenticate("alice", GOOD, address=HERE)
    assert (found.id, found.username, found.role, found.disabled_at) == (made.id, "alice", "USER", None)


@pytest.mark.parametrize("spelling", ["ALICE", "Alice", "ａｌｉｃｅ", "𝐀𝐋𝐈𝐂𝐄"])
def test_a_name_is_the_same_name_however_it_is_written(spelling: str) -> None:
    made = users.create("alice", GOOD)
    assert users.authenticate(spelling, GOOD, address=HERE).id == made.id
    with pytest.raises(Conflict):
        users.create(spelling, GOOD)


@pytest.mark.parametrize("name", ["", "a" * 65, " alice", "al\u200bice", "alice\ufe0f", "a  b", "a\0b", "\ud800"])
def test_nobody_gets_a_name_that_cannot_be_read_whoever_makes_the_account(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        users.create(name, GOOD)
    assert [problem.field for problem in caught.value.problems] == ["username"]


@pytest.mark.parametrize(("one", "other"), [("Straße", "STRASSE"), ("ß\u0301", "SS\u0301"), ("ﬁona", "FIONA"), ("Ω", "Ω"), ("İ", "i̇"), ("ſam", "sam")])
def test_letters_that_fold_to_others_make_no_second_name(one: str, other: str) -> None:
    assert users.name_key(one) == users.name_key(other)


@pytest.mark.parametrize("name", ["ᾳ", "ΐ", "ﬃ", "ǰ", "ʼn", "Å", "㎓", "ẛ̣", "ﷺ" * 40])
def test_the_key_of_a_key_is_itself(name: str) -> None:
    key = users.name_key(name)
    assert users.name_key(key) == key
    assert len(key) <= 255


def test_passwords_are_compared_whole() -> None:
    long = "x" * 72
    users.create("alice", long + "1")
    assert users.authenticate("alice", long + "1", address=HERE)
    refused("alice", long + "2")
    refused("alice", long)


@pytest.mark.parametrize("password", [" spaces around ", "pässwörd-🔑-𝔘", "a" * 256, "tab\tand\nline"])
def test_a_password_is_taken_as_it_is(password: str) -> None:
    users.create("alice", password)
    assert users.authenticate("alice", password, address=HERE)
    assert refused("alice", password.strip() + "x")


def test_a_wrong_name_a_wrong_password_and_a_disabled_account_cost_and_say_the_same(looked_at: list[str]) -> None:
    users.create("alice", GOOD)
    users.create("gone", GOOD)
    users.disable("gone")
    looked_at.clear()
    said = {refused("alice", "wrong-password"), refused("nobody", "wrong-password"), refused("gone", GOOD), refused("gone", "wrong-password")}
    assert said == {"Wrong username or password"}
    assert len(looked_at) == 4
    # One comparison each, all at the same cost.
    assert len({kept.rpartition("$")[0].rpartition("$")[0] for kept in looked_at}) == 1


def test_a_disabled_account_with_the_right_password_does_not_make_its_address_known() -> None:
    users.create("gone", GOOD)
    users.disable("gone")
    refused("gone", GOOD)
    assert [row.succeeded_at for row in read(select(LoginThrottle.succeeded_at))] == [None, None]


def test_a_guess_that_has_to_wait_is_not_looked_at(looked_at: list[str]) -> None:
    users.create("alice", GOOD)
    for _ in range(throttle.FREE_TRIES):
        refused("alice", "wrong-password")
    for password in ("wrong-password", GOOD):
        with pytest.raises(ChatError, match="Too many wrong passwords"):
            users.authenticate("alice", password, address=HERE)
    assert len(looked_at) == throttle.FREE_TRIES


def test_guessing_at_a_name_that_does_not_exist_is_throttled_alike(looked_at: list[str]) -> None:
    for _ in range(throttle.FREE_TRIES):
        refused("nobody", "wrong-password")
    with pytest.raises(ChatError, match="Too many wrong passwords"):
        users.authenticate("NOBODY", "wrong-password", address=HERE)
    assert len(looked_at) == throttle.FREE_TRIES


def test_when_too_many_sign_in_at_once_those_turned_away_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    users.create("alice", GOOD)
    with monkeypatch.context() as patched:
        patched.setattr(users, "HASH_WAIT_SECONDS", 0)
        patched.setattr(users, "_at_once", threading.BoundedSemaphore(1))
        with users._Turn():
            for _ in range(throttle.FREE_TRIES * 2):
                with pytest.raises(Unavailable):
                    users.authenticate("alice", GOOD, address=HERE)
    assert users.authenticate("alice", GOOD, address=HERE)


def test_no_more_than_two_passwords_are_compared_at_once_in_a_process(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    users.create("alice", GOOD)
    running, most = 0, 0
    lock = threading.Lock()
    real = PasswordHasher.verify

    def noted(self: PasswordHasher, *args: Any, **rest: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(self, *args, **rest)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(PasswordHasher, "verify", noted)

    def sign_in(number: int) -> None:
        with context.app_context():
            users.authenticate("alice", GOOD, address=f"192.0.2.{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign_in, range(8)))
    assert most == 2


def test_an_old_hash_is_renewed_at_the_next_sign_in() -> None:
    users.create("alice", GOOD)
    weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(GOOD)
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE users SET password_hash = :hash"), {"hash": weaker})
    users.authenticate("alice", GOOD, address=HERE)
    assert hash_of("alice").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert users.authenticate("alice", GOOD, address=HERE)
    assert hash_of("alice").split("$")[4] == weaker.split("$")[4], "by which its sign-ins are known"


@pytest.mark.parametrize("kept", ["", "not a hash", "$argon2id$v=19$m=1$broken", "$2b$12$abcdefghijklmnopqrstuuJ8ZzZ"])
def test_a_hash_that_cannot_be_read_lets_nobody_in(kept: str) -> None:
    users.create("alice", GOOD)
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE users SET password_hash = :hash"), {"hash": kept})
    refused("alice", GOOD)


def test_whether_an_account_has_a_password_is_known_of_a_closed_one_too() -> None:
    users.create("alice", GOOD)
    assert [users.has_password(*one) for one in (("ALICE", GOOD), ("alice", "wrong-password"), ("nobody", GOOD))] == [True, False, False]
    users.disable("alice")
    assert users.has_password("alice", GOOD)


def test_one_name_is_given_once_to_many_who_ask_at_once(context: Flask) -> None:
    def make(number: int) -> bool:
        with context.app_context():
            try:
                users.create("Alice" if number % 2 else "alice", GOOD)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1


def test_an_account_is_promoted_and_disabled_by_name_in_any_case() -> None:
    users.create("alice", GOOD)
    assert users.promote("ALICE").role == "ADMIN"
    assert users.disable("Alice").disabled_at is not None


def test_a_password_that_is_set_again_is_another_one_to_its_sign_ins() -> None:
    users.create("alice", GOOD)
    first = users.credential(users.authenticate("alice", GOOD, address=HERE))
    users.change_password("ALICE", GOOD)
    again = users.credential(users.authenticate("alice", GOOD, address=HERE))
    assert first != again
    assert hash_of("alice").split("$")[4] not in (first, again)


@pytest.mark.parametrize("verb", [users.promote, users.disable, lambda name: users.change_password(name, GOOD)])
def test_an_account_that_is_not_there_cannot_be_changed(verb: Any) -> None:
    with pytest.raises(NotFound):
        verb("nobody")


def test_accounts_are_listed_oldest_first_a_page_at_a_time() -> None:
    names = [f"user{number}" for number in range(5)]
    for name in names:
        users.create(name, GOOD)
    seen, cursor = [], None
    while True:
        rows, cursor = users.everybody(Window(2, cursor=cursor))
        assert len(rows) <= 2
        seen += [row.username for row in rows]
        if cursor is None:
            break
    assert seen == names
    assert all("password" not in name for name in rows[0]._mapping)
