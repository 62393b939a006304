"""How an exchange has ended, when somebody else was quicker; and what is passed over, and kept, when those are ended that nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, text, update

from chatsvc.core import cleanup, endings, replies
from chatsvc.core.models import AuditEvent, ChatMessage, ChatSession, ReplyChunk
from chatsvc.core.models.types import ago
from chatsvc.extensions import db
from tests.api.v1 import rows
from tests.factories import unknown_id

FAILED = {"error": {"kind": "timeout", "message": "Too slow"}}
HOURS_AGO = datetime.now(UTC) - timedelta(hours=2)


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


def silent(app: Flask) -> str:
    session_id = rows.exchange(app, status="ACTIVE")
    rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(created_at=HOURS_AGO))
    return session_id


def said(app: Flask, session_id: str, role: str, at: datetime, **values: Any) -> int:
    row = {"session_id": session_id, "user_id": "owner", "role": role, "content": "Ferns?", "created_at": at, **values}
    return int(rows.run(app, insert(ChatMessage).values(**row).returning(ChatMessage.id))[0][0])


def reply_in(app: Flask, session_id: str, *pieces: str, worker_id: str | None = None) -> int:
    """A reply that has come so far; of no worker, so that a callback is to bring the rest."""
    reply_id, at = said(app, session_id, "assistant", HOURS_AGO, content="", status="streaming", worker_id=worker_id), 0
    for piece in pieces:
        rows.run(app, insert(ReplyChunk).values(message_id=reply_id, at=at, user_id="owner", text=piece))
        at += len(piece)
    return reply_id


def test_one_in_which_something_was_said_lately_is_not_ended(context: Flask) -> None:
    one, other = silent(context), silent(context)
    said(context, other, "user", datetime.now(UTC))
    assert endings.count_time_out(timedelta(hours=1)) == 1
    assert endings.time_out(timedelta(hours=1)) == 1
    assert [rows.of_session(context, session_id).status for session_id in (one, other)] == ["TIMEOUT", "ACTIVE"]


def test_a_pass_of_nobody_is_written_down_when_it_ended_something(context: Flask) -> None:
    silent(context)
    assert [cleanup.time_out(1) for _ in range(2)] == [1, 0]
    assert rows.run(context, select(AuditEvent.action, AuditEvent.actor_id)) == [("cleanup.timeout", None)]
    cleanup.time_out(1, actor="admin")
    assert rows.run(context, select(AuditEvent.actor_id).where(AuditEvent.actor_id.is_not(None))) == [("admin",)]


@pytest.mark.parametrize("pieces", [(), ("Ferns ", "and ")])
def test_what_had_come_of_an_answer_is_kept_when_nobody_brings_the_rest(context: Flask, pieces: tuple[str, ...]) -> None:
    reply_id = reply_in(context, silent(context), *pieces)
    assert endings.time_out(timedelta(hours=1)) == 1
    (reply,) = replies.states([reply_id])
    assert (reply.status, reply.content, reply.meta) == ("failed", "".join(pieces), {"error": endings.TIMED_OUT})


@pytest.mark.parametrize(("ended", "kept"), [("CANCELLED", ("cancelled", {})), ("TIMEOUT", ("failed", {"error": endings.TIMED_OUT}))])
@pytest.mark.parametrize(("came", "text_kept"), [("complete", "Ferns and "), ("failed", "Ferns and mos")])
def test_an_answer_that_comes_after_the_end_is_left_aside_and_a_part_of_one_is_kept(
    context: Flask, ended: str, kept: tuple[str, dict[str, Any]], came: str, text_kept: str
) -> None:
    session_id = rows.exchange(context, status=ended)
    reply_id = reply_in(context, session_id, "Ferns ", "and ", worker_id=unknown_id())
    content = "Ferns and mosses" if came == "complete" else text_kept
    reply = replies.end(session_id, reply_id, status=came, content=content, facts={})
    assert reply is not None
    assert (reply.status, reply.content, reply.meta) == (kept[0], text_kept, kept[1])
    assert rows.of_session(context, session_id).status == ended


# Nobody answers: SQLite has one writer at a time, and nobody to pass over.
ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")


@contextmanager
def held(app: Flask, session_id: str, lock: str) -> Iterator[None]:
    """Somebody else's transaction has this row."""
    with db.engine.begin() as connection:
        connection.execute(text(f"SELECT 1 FROM chat_sessions WHERE id = :id FOR {lock}"), {"id": session_id})
        yield


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
