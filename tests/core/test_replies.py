"""Replies as their rows are: how they are found, stopped, and ended when nobody writes them any more."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from chatsvc.core import heartbeat, replies, sessions, turns
from chatsvc.core.errors import NotFound
from chatsvc.core.metrics import REPLIES
from chatsvc.core.models import ChatMessage
from chatsvc.core.tally import Key
from chatsvc.extensions import metrics
from tests.api.v1 import rows

WORKER = "4b1c0a52-3c1c-4f0e-9a53-0d4b6c1b7a11"


def begun(session_id: str | None = None) -> turns.Begun:
    heartbeat.tick(WORKER, [], [])
    return turns.begin("owner", worker_id=WORKER, session_id=session_id, message="Hello")


def wished_at(app: Flask, reply_id: int) -> Any:
    return rows.run(app, select(ChatMessage.cancel_requested_at).where(ChatMessage.id == reply_id))[0][0]


def counted(**labels: str) -> float:
    """How many replies have ended so, as far as this process knows."""
    numbers: dict[Key, float] = dict(metrics().together())
    return sum(value for key, value in numbers.items() if key.name == REPLIES.name and set(labels.items()) <= set(key.labels))


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


@pytest.mark.parametrize(("stopped", "labels"), [(False, {"outcome": "failed", "kind": "interrupted"}), (True, {"outcome": "cancelled", "kind": "none"})])
def test_a_reply_that_is_ended_since_nobody_writes_it_is_counted_once(context: Flask, stopped: bool, labels: dict[str, str]) -> None:
    turn, before = begun(), counted(**labels)
    if stopped:
        replies.ask_to_stop("owner", turn.reply.id)
    assert replies.end_abandoned(turn.reply.id) is not None
    assert replies.end_abandoned(turn.reply.id) is None
    assert counted(**labels) == before + 1


def test_the_end_of_a_reply_asks_nothing_of_a_session_that_goes_on(context: Flask) -> None:
    turn = begun()
    with rows.statements(context) as seen:
        assert replies.end(turn.session_id, turn.reply.id, status="complete", content="Hello", facts={}) is not None
    assert [sql for sql in seen if sql.startswith("UPDATE chat_messages")]
    assert [sql for sql in seen if sql.startswith("UPDATE chat_sessions")] == []
    assert rows.of_session(context, turn.session_id).status == "ACTIVE"
