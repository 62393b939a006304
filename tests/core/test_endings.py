"""How an exchange whose messages are not kept has ended, when somebody else was quicker; and what is passed over when those are ended that nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from chatsvc.core import endings
from chatsvc.core.models.types import ago
from chatsvc.extensions import db
from tests.api.v1 import rows
from tests.factories import unknown_id

FAILED = {"error": {"kind": "timeout", "message": "Too slow"}}


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("ACTIVE", ("complete", {})),
        ("COMPLETED", ("complete", {})),
        ("CANCELLED", ("cancelled", {})),
        ("FAILED", ("failed", FAILED)),
        ("TIMEOUT", ("failed", FAILED)),
    ],
)
def test_whoever_comes_second_is_told_how_it_ended(context: Flask, before: str, told: tuple[str, dict[str, Any]]) -> None:
    session_id = rows.exchange(context, status=before)
    if told[0] == "failed":
        rows.run(context, "UPDATE chat_sessions SET error_kind = 'timeout', error_message = 'Too slow' WHERE status = :status", status=before)
    assert endings.unkept(session_id, "complete", {}) == told
    assert rows.of_session(context, session_id).status == ("COMPLETED" if before == "ACTIVE" else before)


def test_of_one_that_is_gone_there_is_nothing_to_tell(context: Flask) -> None:
    assert endings.unkept(unknown_id(), "complete", {}) is None


# Nobody answers: SQLite has one writer at a time, and nobody to pass over.
ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")


@contextmanager
def held(app: Flask, session_id: str, lock: str) -> Iterator[None]:
    """Somebody else's transaction has this row."""
    with db.engine.begin() as connection:
        connection.execute(text(f"SELECT 1 FROM chat_sessions WHERE id = :id FOR {lock}"), {"id": session_id})
        yield


def silent(app: Flask) -> str:
    session_id = rows.exchange(app, status="ACTIVE")
    rows.run(app, "UPDATE chat_sessions SET created_at = created_at - interval '2 hours' WHERE id = :id", id=session_id)
    return session_id


@ONLY_POSTGRESQL
def test_many_are_ended_some_at_a_time(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "BATCH", 2)
    for _ in range(5):
        silent(context)
    assert [endings._time_out_some(ago(timedelta(hours=1))) for _ in range(4)] == [2, 2, 1, 0]


@ONLY_POSTGRESQL
def test_one_that_somebody_is_about_to_end_is_passed_over_and_not_waited_for(context: Flask) -> None:
    one, other = silent(context), silent(context)
    with held(context, one, "NO KEY UPDATE"):
        assert endings.time_out(timedelta(hours=1)) == 1
    assert [rows.of_session(context, session_id).status for session_id in (one, other)] == ["ACTIVE", "TIMEOUT"]
    assert endings.time_out(timedelta(hours=1)) == 1


@ONLY_POSTGRESQL
def test_one_to_which_somebody_only_refers_is_ended(context: Flask) -> None:
    """As a row that is written beside it does, by its foreign key."""
    session_id = silent(context)
    with held(context, session_id, "KEY SHARE"):
        assert endings.time_out(timedelta(hours=1)) == 1
    assert rows.of_session(context, session_id).status == "TIMEOUT"
