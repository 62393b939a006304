"""What the policies of retention erase, and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import erasure, retention, verify
from chatsvc.core.sessions import STATUSES
from config import SettingError
from tests import factories
from tests.migrations.raw import Raw
from tests.migrations.recount import look

Make = Callable[..., Flask]


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def raw(app: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        if not connection.on_sqlite:
            connection.run("SET timezone = 'UTC'")
        yield connection


def session(raw: Raw, status: str = "COMPLETED", *, messages: int = 1, days: float = 100, **values: Any) -> str:
    """One that was touched last so many days ago."""
    made = raw.session(status=status, ended_at=None if status == "ACTIVE" else ago(days=days), **values)
    for _ in range(messages):
        raw.message(made, "Hello", created_at=ago(days=days))
    raw.run("UPDATE chat_sessions SET created_at = ?, updated_at = ? WHERE id = ?", ago(days=days), ago(days=days), made)
    return made


def left(raw: Raw) -> set[str]:
    return {str(row[0]) for row in raw.run("SELECT id FROM chat_sessions")}


def applied(app: Flask) -> dict[str, int]:
    """What a pass has erased, which is what a dry run had said."""
    with app.app_context():
        told = retention.count_outlived()
        assert retention.erase_outlived() == told
        assert retention.erase_outlived() == {}
        return told


def test_nothing_goes_by_itself(raw: Raw, app: Flask) -> None:
    made = {session(raw, status, days=9000) for status in STATUSES}
    assert applied(app) == {}
    assert left(raw) == made


def test_what_nobody_has_touched_for_the_days_goes_whatever_its_status(raw: Raw, make_app: Make) -> None:
    old = {session(raw, status, days=30.1) for status in STATUSES}
    new = {session(raw, status, days=29.9) for status in STATUSES}
    assert applied(make_app(CHAT_RETENTION_DAYS="30")) == {**dict.fromkeys(STATUSES, 1), "messages": 5}
    assert left(raw) == new
    assert not old & new


def test_a_status_may_have_days_of_its_own(raw: Raw, make_app: Make) -> None:
    kept = {session(raw, "ACTIVE", days=900), session(raw, "COMPLETED", days=80), session(raw, "FAILED", days=10), session(raw, "CANCELLED", days=300)}
    session(raw, "COMPLETED", days=95)
    session(raw, "FAILED", days=40, messages=3)
    session(raw, "CANCELLED", days=370)
    policies = {"CHAT_RETENTION": "COMPLETED=90, FAILED=30,ACTIVE=0", "CHAT_RETENTION_DAYS": "365"}
    assert applied(make_app(**policies)) == {"COMPLETED": 1, "FAILED": 1, "CANCELLED": 1, "messages": 5}
    assert left(raw) == kept


def test_only_what_is_named_goes(raw: Raw, make_app: Make) -> None:
    kept = {session(raw, status, days=900) for status in STATUSES if status != "TIMEOUT"}
    session(raw, "TIMEOUT", days=900)
    assert applied(make_app(CHAT_RETENTION="TIMEOUT=1")) == {"TIMEOUT": 1, "messages": 1}
    assert left(raw) == kept


def test_exchanges_and_deleted_ones_go_too_and_everything_agrees_afterwards(raw: Raw, make_app: Make) -> None:
    persona = raw.insert("personas", name="Guide", kind="echo")
    talk = raw.insert("conversations", user_id="owner", persona_id=persona)
    session(raw, persona_id=persona, conversation_id=talk)
    session(raw, deleted_at=ago(days=1))
    raw.insert("idempotency_keys", user_id="owner", key="k", fingerprint="f", status=201, body="Private", session_id=session(raw))
    app = make_app(CHAT_RETENTION_DAYS="90")
    assert applied(app)["COMPLETED"] == 3
    assert raw.run("SELECT key, body FROM idempotency_keys") == [("k", None)]
    assert raw.run("SELECT count(*) FROM conversations") == [(1,)]
    with app.app_context():
        assert list(verify.breaches()) == []


def test_a_long_one_goes_in_parts_and_is_hidden_as_soon_as_the_first_has_gone(raw: Raw, make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH", 4)
    made = session(raw, messages=10)
    before = raw.one("SELECT updated_at FROM chat_sessions")
    with make_app(CHAT_RETENTION_DAYS="90").app_context():
        assert retention._erase([made]) == {"messages": 4}
        # Broken off here, the next pass finds it again: it looks as old as it was.
        assert raw.one("SELECT updated_at FROM chat_sessions") == before
        assert raw.one("SELECT deleted_at FROM chat_sessions") is not None
        assert list(verify.breaches()) == []
        assert retention.erase_outlived() == {"COMPLETED": 1, "messages": 6}


def test_more_than_a_slice_goes_in_one_pass(raw: Raw, make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatsvc.core.walking.SLICE", 7)
    with raw.transaction():
        made = [session(raw, days=100 if number % 2 else 1, messages=0) for number in range(50)]
    assert applied(make_app(CHAT_RETENTION_DAYS="90")) == {"COMPLETED": 25}
    assert left(raw) == set(made[::2])


def test_two_at_once_erase_everything_once(raw: Raw, make_app: Make) -> None:
    with raw.transaction():
        for _ in range(60):
            session(raw)
    app = make_app(CHAT_RETENTION_DAYS="90")

    def erase() -> dict[str, int]:
        with app.app_context():
            return retention.erase_outlived()

    with ThreadPoolExecutor(3) as pool:
        done = [running.result() for running in [pool.submit(erase) for _ in range(3)]]
    assert sum(one.get("COMPLETED", 0) for one in done) == 60
    assert look(raw).messages == {}


def test_one_that_is_touched_meanwhile_stays(raw: Raw, make_app: Make) -> None:
    made = session(raw)
    with make_app(CHAT_RETENTION_DAYS="90").app_context():
        raw.message(made, "I am back")
        assert retention._erase([made]) == {}
    assert left(raw) == {made}


def test_what_was_erased_is_noted(raw: Raw, make_app: Make) -> None:
    session(raw)
    applied(make_app(CHAT_RETENTION_DAYS="90"))
    assert raw.run("SELECT action, actor_id FROM audit_events") == [("cleanup.retention", None)]


MALFORMED = [
    "COMPLETED",
    "COMPLETED=",
    "COMPLETED=x",
    "COMPLETED=-1",
    "completed=3",
    "DONE=3",
    "COMPLETED=3;FAILED=4",
    "COMPLETED=3,COMPLETED=4",
    "COMPLETED=36501",
]


@pytest.mark.parametrize("value", [*MALFORMED, "=3", ",", "COMPLETED=3,", "COMPLETED=³"])
def test_a_policy_that_cannot_be_read_stops_the_start(value: str) -> None:
    with pytest.raises(SettingError, match=r"CHAT_RETENTION must look like COMPLETED=90,FAILED=30"):
        factories.settings("sqlite:////tmp/x.db", CHAT_RETENTION=value)


@pytest.mark.parametrize(("name", "value"), [("CHAT_RETENTION_DAYS", "-1"), ("CHAT_IP_RETENTION_DAYS", "soon"), ("CHAT_IP_RETENTION_MODE", "hide")])
def test_nor_can_any_other_of_these(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        factories.settings("sqlite:////tmp/x.db", **{name: value})
