"""Somebody ends a session between the look at it and the reply's first row: no reply is left running in a session that has ended."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask

from chatsvc.core import sessions, turns
from tests.api.v1 import rows
from tests.api.v1.calls import answered, body_of
from tests.factories import Person

RUNNING_WHERE_ENDED = """SELECT count(*) AS amount FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id
    WHERE m.status = 'streaming' AND s.status <> 'ACTIVE'"""
ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")


@ONLY_POSTGRESQL  # SQLite has one writer at a time: nobody comes between there
def test_a_session_that_is_archived_while_a_turn_begins_is_resumed_by_it(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    locked = turns._locked
    ended: list[str] = []

    def archive() -> None:
        with app.app_context():
            ended.append(sessions.archive("owner", session_id).status)

    def first_archived(*given: Any) -> Any:
        if not ended:
            other = threading.Thread(target=archive)
            other.start()
            other.join(10)
        return locked(*given)

    with patch.object(turns, "_locked", first_archived):
        response = owner.post("/api/v1/chat", json={"message": "Hello", "session_id": session_id})
    assert ended == ["COMPLETED"]
    assert answered(response)["assistant_message"]["content"] == "Hello"
    assert body_of(owner, f"/api/v1/chat-sessions/{session_id}")["status"] == "ACTIVE"


def test_chats_and_archives_at_once_leave_no_reply_running_in_an_ended_session(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    statuses: list[int] = []

    def send() -> None:
        statuses.append(owner.post("/api/v1/chat", json={"message": "Hello", "session_id": session_id}).status_code)

    def end() -> None:
        statuses.append(owner.delete(f"/api/v1/chat-sessions/{session_id}").status_code)

    for _ in range(10):
        threads = [threading.Thread(target=work) for work in (send, end, send, end)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert set(statuses) <= {200, 409}
    assert rows.run(app, RUNNING_WHERE_ENDED)[0].amount == 0
    assert rows.breaches(app) == []
