"""Replies as their rows are: how they are found, stopped, and ended when nobody writes them any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from chatsvc.core import heartbeat, replies, sessions, turns
from chatsvc.core.errors import Conflict, NotFound
from chatsvc.core.metrics import REPLIES
from chatsvc.core.models import ChatMessage, ReplyChunk, Worker
from chatsvc.core.models.types import now
from chatsvc.core.tally import Key
from chatsvc.extensions import metrics
from tests.api.v1 import rows
from tests.factories import unknown_id

WORKER = "4b1c0a52-3c1c-4f0e-9a53-0d4b6c1b7a11"


def begun(session_id: str | None = None) -> turns.Begun:
    heartbeat.tick(WORKER, [], [])
    return turns.begin("owner", worker_id=WORKER, session_id=session_id, message="Hello")


def put(app: Flask, session_id: str, role: str, content: str, **values: Any) -> int:
    row = {"session_id": session_id, "user_id": "owner", "role": role, "content": content, "created_at": now(), **values}
    return int(rows.run(app, insert(ChatMessage).values(**row).returning(ChatMessage.id))[0][0])


def wished_at(app: Flask, reply_id: int) -> Any:
    return rows.run(app, select(ChatMessage.cancel_requested_at).where(ChatMessage.id == reply_id))[0][0]


def counted(**labels: str) -> float:
    """How many replies have ended so, as far as this process knows."""
    numbers: dict[Key, float] = dict(metrics().together())
    return sum(value for key, value in numbers.items() if key.name == REPLIES.name and set(labels.items()) <= set(key.labels))


# Found, stopped and ended


def test_a_reply_in_a_session_that_was_removed_is_not_found_until_it_is_back(context: Flask) -> None:
    turn = begun()
    sessions.remove("owner", turn.session_id)
    with pytest.raises(NotFound):
        replies.get("owner", turn.reply.id)
    sessions.restore("owner", turn.session_id)
    assert replies.get("owner", turn.reply.id).id == turn.reply.id


def test_a_reply_that_is_asked_to_stop_again_was_asked_when_it_was_asked_first(context: Flask) -> None:
    turn = begun()
    replies.ask_to_stop("owner", turn.reply.id)
    first = wished_at(context, turn.reply.id)
    replies.ask_to_stop("owner", turn.reply.id)
    sessions.archive("owner", turn.session_id)
    assert first is not None
    assert wished_at(context, turn.reply.id) == first


def test_one_that_has_ended_is_not_marked_as_one_that_somebody_stopped(context: Flask) -> None:
    turn = begun()
    replies.end(turn.session_id, turn.reply.id, status="complete", content="Whole", facts={})
    with pytest.raises(Conflict):
        replies.ask_to_stop("owner", turn.reply.id)
    rows.run(context, update(ChatMessage).where(ChatMessage.id == turn.reply.id).values(status="cancelled"))
    replies.ask_to_stop("owner", turn.reply.id)
    assert wished_at(context, turn.reply.id) is None


@pytest.mark.parametrize(("stopped", "labels"), [(False, {"outcome": "failed", "kind": "interrupted"}), (True, {"outcome": "cancelled", "kind": "none"})])
def test_a_reply_that_is_ended_since_nobody_writes_it_is_counted_once(context: Flask, stopped: bool, labels: dict[str, str]) -> None:
    turn, before = begun(), counted(**labels)
    if stopped:
        replies.ask_to_stop("owner", turn.reply.id)
    assert replies.end_abandoned(turn.reply.id) is not None
    assert replies.end_abandoned(turn.reply.id) is None
    assert counted(**labels) == before + 1


def test_one_that_its_writer_ends_after_all_stays_as_it_was_ended(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    turn, before = begun(), counted(outcome="failed")
    chunks = replies.chunks

    def meanwhile(reply_ids: list[int]) -> Any:
        replies.end(turn.session_id, turn.reply.id, status="complete", content="Whole", facts={})
        return chunks(reply_ids)

    monkeypatch.setattr(replies, "chunks", meanwhile)
    assert replies.end_abandoned(turn.reply.id) is None
    assert rows.run(context, select(ChatMessage.status, ChatMessage.content).where(ChatMessage.id == turn.reply.id)) == [("complete", "Whole")]
    assert counted(outcome="failed") == before


def test_the_end_of_a_reply_asks_nothing_of_a_session_that_goes_on(context: Flask) -> None:
    turn = begun()
    with rows.statements(context) as seen:
        assert replies.end(turn.session_id, turn.reply.id, status="complete", content="Hello", facts={}) is not None
    assert [sql for sql in seen if sql.startswith("UPDATE chat_messages")]
    assert [sql for sql in seen if sql.startswith("UPDATE chat_sessions")] == []
    assert rows.of_session(context, turn.session_id).status == "ACTIVE"


# What a reply answers


def test_history_is_what_was_said_up_to_the_question_oldest_first(context: Flask) -> None:
    session_id, other = sessions.create("owner").id, sessions.create("owner").id
    put(context, session_id, "user", "One")
    put(context, session_id, "assistant", "Two", status="complete")
    put(context, session_id, "user", "Taken back", deleted_at=now())
    put(context, session_id, "assistant", "", status="failed")
    put(context, session_id, "assistant", "Half of", status="streaming")
    put(context, other, "user", "Elsewhere")
    question = put(context, session_id, "user", "Three")
    put(context, session_id, "user", "Later")
    assert [(turn.role, turn.content) for turn in replies.history(session_id, None, upto=question)] == [
        ("user", "One"),
        ("assistant", "Two"),
        ("user", "Three"),
    ]


def test_history_of_an_exchange_is_that_of_its_conversation(context: Flask) -> None:
    first, other = rows.exchange(context), rows.exchange(context)
    conversation_id = rows.of_session(context, first).conversation_id
    put(context, first, "user", "One", conversation_id=conversation_id)
    put(context, other, "user", "Elsewhere", conversation_id=rows.of_session(context, other).conversation_id)
    put(context, first, "assistant", "Two", conversation_id=conversation_id)
    put(context, sessions.create("owner").id, "user", "In a plain one")
    question = put(context, first, "user", "Three", conversation_id=conversation_id)
    assert [turn.content for turn in replies.history(unknown_id(), conversation_id, upto=question)] == ["One", "Two", "Three"]


def test_of_a_long_history_the_newest_part_is_told(context: Flask) -> None:
    session_id = sessions.create("owner").id
    said = [{"session_id": session_id, "user_id": "owner", "role": "user", "content": str(number)} for number in range(replies.HISTORY_MESSAGES + 1)]
    rows.run(context, insert(ChatMessage).values(said))
    upto = put(context, session_id, "user", str(len(said)))
    told = [turn.content for turn in replies.history(session_id, None, upto=upto)]
    assert (told[0], told[-1], len(told)) == ("2", str(replies.HISTORY_MESSAGES + 1), replies.HISTORY_MESSAGES)


# What is swept up


MUCH_LESS = -600.0  # than any limit, however long a busy machine takes


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def worker(app: Flask, seen: float) -> str:
    """One that was last seen so many seconds ago."""
    worker_id = unknown_id()
    rows.run(app, insert(Worker).values(id=worker_id, started_at=ago(seen), seen_at=ago(seen)))
    return worker_id


def test_the_sweep_ends_what_nobody_writes_any_more_and_nothing_else(context: Flask) -> None:
    lease = replies.LEASE_SECONDS
    gone, alive = worker(context, lease + 5), worker(context, MUCH_LESS)

    def reply(status: str = "streaming", *, old: bool = False, **values: Any) -> int:
        values |= {"created_at": ago(lease + 5) if old else ago(MUCH_LESS)}
        reply_id = put(context, sessions.create("owner").id, "assistant", "", status=status, **values)
        for at, text in ((5, "of"), (0, "Half ")):
            rows.run(context, insert(ReplyChunk).values(message_id=reply_id, at=at, user_id="owner", text=text))
        return reply_id

    failed = [reply(worker_id=gone), reply(worker_id=unknown_id(), old=True)]
    cancelled = [reply(worker_id=gone, cancel_requested_at=now()), reply(worker_id=None, cancel_requested_at=now())]
    going_on = [
        reply(worker_id=alive, old=True),
        reply(worker_id=alive, cancel_requested_at=now()),  # whoever writes it ends it
        reply(worker_id=unknown_id()),  # of a process that has only just begun
        reply(worker_id=None, old=True),  # which a callback is to bring
    ]
    ended = [reply("complete", worker_id=gone), reply("complete", worker_id=None, cancel_requested_at=now(), old=True)]
    assert replies.sweep() == len(failed + cancelled)
    now_there = {row.id: (row.status, row.content) for row in replies.states([*failed, *cancelled, *going_on, *ended])}
    assert now_there == {
        **dict.fromkeys(failed, ("failed", "Half of")),
        **dict.fromkeys(cancelled, ("cancelled", "Half of")),
        **dict.fromkeys(going_on, ("streaming", "")),
        **dict.fromkeys(ended, ("complete", "")),
    }
    assert {row.id for row in replies.ended([*failed, *going_on, *ended])} == {*failed, *ended}
    assert {chunk.message_id for chunk in replies.chunks([*failed, *cancelled, *going_on])} == set(going_on)
    assert replies.sweep() == 0


def test_workers_are_forgotten_once_they_are_long_gone_and_leave_no_reply(context: Flask) -> None:
    long_gone, a_while = 10 * replies.LEASE_SECONDS + 10, 5 * replies.LEASE_SECONDS
    idle, lately, busy, done = (worker(context, seen) for seen in (long_gone, a_while, long_gone, long_gone))
    for worker_id, status in ((busy, "streaming"), (done, "complete"), (None, "streaming")):
        put(context, sessions.create("owner").id, "assistant", "", status=status, worker_id=worker_id)
    replies._forget_workers()
    assert {row.id for row in rows.run(context, select(Worker.id))} & {idle, lately, busy, done} == {lately, busy}
    assert replies.sweep() == 1
    assert {row.id for row in rows.run(context, select(Worker.id))} & {lately, busy} == {lately}, "its reply has ended now"
