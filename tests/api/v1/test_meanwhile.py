"""What somebody else does between a look and the write that follows it: whoever comes second is told so, and nothing is half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from chatsvc.core import cap, idempotency, replies, sessions, turns
from chatsvc.core.database import LockNotHad
from chatsvc.core.errors import KeyBusy
from tests.api.v1 import rows
from tests.api.v1.calls import answered
from tests.api.v1.streams import CHAT, HandedOut, follow, told
from tests.factories import Person, unknown_id

# SQLite has one writer at a time: nobody comes between there.
ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")
SESSIONS = "/api/v1/chat-sessions"


def first_removed(app: Flask, real: Callable[..., Any], session_id: str) -> Callable[..., Any]:
    """The same function, but for its first call, before which somebody else soft-deletes this session."""
    gone: list[str] = []

    def remove() -> None:
        with app.app_context():
            sessions.remove("owner", session_id)

    def called(*given: Any, **rest: Any) -> Any:
        if not gone:
            gone.append(session_id)
            other = threading.Thread(target=remove)
            other.start()
            other.join(10)
        return real(*given, **rest)

    return called


@ONLY_POSTGRESQL
def test_a_message_for_a_session_that_goes_while_it_is_resumed_is_not_taken(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    owner.delete(f"{SESSIONS}/{session_id}")
    before = rows.count(app, "chat_messages")
    with patch.object(cap, "lock", first_removed(app, cap.lock, session_id)):
        response = owner.post(f"{SESSIONS}/{session_id}/messages", {"content": "Hello", "message_type": "user"})
    assert response.status_code == 404, response.text
    assert rows.count(app, "chat_messages") == before
    assert rows.of_session(app, session_id).status == "COMPLETED"


@ONLY_POSTGRESQL
def test_a_session_that_goes_while_it_is_archived_is_not_there(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    with patch.object(sessions, "_end", first_removed(app, sessions._end, session_id)):
        response = owner.delete(f"{SESSIONS}/{session_id}")
    assert response.status_code == 404, response.text
    assert rows.of_session(app, session_id).status == "ACTIVE"


@ONLY_POSTGRESQL
def test_a_turn_in_a_session_that_goes_while_it_begins_leaves_nothing(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    with patch.object(turns, "_locked", first_removed(app, turns._locked, session_id)):
        response = owner.post(CHAT, {"message": "Hello", "session_id": session_id})
    assert response.status_code == 404, response.text
    assert rows.count(app, "chat_messages") == 0


def test_a_turn_whose_rival_has_ended_meanwhile_begins_anew(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    with app.app_context():
        turns.begin("owner", worker_id=unknown_id(), session_id=None, message="Elsewhere")  # which goes on, and is no rival
    begun: list[int] = []
    begin = turns._begin

    def refused_once(*given: Any, **rest: Any) -> Any:
        begun.append(1)
        if len(begun) == 1:
            raise IntegrityError("INSERT", {}, Exception("one reply at a time"))  # as the index says it
        return begin(*given, **rest)

    with patch.object(turns, "_begin", refused_once):
        response = owner.post(CHAT, {"message": "Hello", "session_id": session_id})
    assert answered(response)["assistant_message"]["content"] == "Hello"
    assert len(begun) == 2


def test_a_turn_whose_rival_goes_on_is_told_which_reply_runs(app: Flask, owner: Person, handed: HandedOut) -> None:
    session_id = owner.session()["id"]
    with app.app_context():
        turns.begin("owner", worker_id=unknown_id(), session_id=None, message="Elsewhere")
    stream = follow(owner, json={"message": "Hello", "session_id": session_id})
    reply_id = next(stream).data["reply_id"]
    with patch.object(turns, "_begin", side_effect=IntegrityError("INSERT", {}, Exception("one reply at a time"))):
        for body in ({"message": "Again", "session_id": session_id}, {"retry": reply_id}):
            response = owner.post(CHAT, body)
            assert response.status_code == 409, response.text
            assert told(response)["reply_id"] == reply_id
    handed.say("Fine", None)
    assert [event.name for event in stream][-1] == "done"


def test_a_reply_that_is_being_written_cannot_be_asked_for_anew(owner: Person, handed: HandedOut) -> None:
    stream = follow(owner, json={"message": "Hello"})
    reply_id = next(stream).data["reply_id"]
    response = owner.post(CHAT, {"retry": reply_id})
    assert response.status_code == 409
    assert told(response)["reply_id"] == reply_id
    handed.say("Fine", None)
    assert [event.name for event in stream][-1] == "done"


def test_a_reply_whose_question_is_gone_cannot_be_asked_for_anew(owner: Person) -> None:
    first = answered(owner.post(CHAT, {"message": "Hello"}))
    session_id, question, reply = first["session_id"], first["user_message"]["id"], first["assistant_message"]["id"]
    assert owner.delete(f"/chat/sessions/{session_id}/messages/{question}").status_code == 204
    response = owner.post(CHAT, {"retry": reply})
    assert response.status_code == 409
    assert "no longer there" in told(response)["detail"]
    assert owner.get(f"{SESSIONS}/{session_id}").json == {**answered(owner.get(f"{SESSIONS}/{session_id}")), "message_count": 1}


def test_a_key_whose_question_was_erased_stands_for_nothing_any_more(app: Flask, owner: Person, handed: HandedOut) -> None:
    session_id, key = owner.session()["id"], {"Idempotency-Key": "one"}
    body = {"message": "Hello", "session_id": session_id}
    stream = follow(owner, json=body, headers=key)
    question = next(stream).data["user_message"]["id"]
    rows.run(app, "DELETE FROM chat_messages WHERE id = :id", id=question)
    response = owner.post(f"{CHAT}/stream", body, headers=key)
    assert (response.status_code, told(response)) == (404, {"detail": "Session not found"})
    handed.say("Fine", None)
    list(stream)


def test_a_reply_that_has_ended_is_not_ended_again(app: Flask, owner: Person) -> None:
    reply = answered(owner.post(CHAT, {"message": "Hello"}))["assistant_message"]
    with app.app_context():
        assert replies.end_abandoned(reply["id"]) is None
        assert replies.get("owner", reply["id"]).content == "Hello"


def test_a_lock_that_is_not_had_is_the_key_only_while_the_key_is_not_ours(context: Flask) -> None:
    def busy() -> idempotency.Answer:
        raise LockNotHad("The database is busy")

    with pytest.raises(LockNotHad, match="The database is busy") as caught:
        idempotency.once(idempotency.Claim("owner", unknown_id(), "print"), busy)
    assert not isinstance(caught.value, KeyBusy)
    with patch.object(idempotency, "take", side_effect=LockNotHad("The database is busy")), pytest.raises(KeyBusy):
        idempotency.once(idempotency.Claim("owner", unknown_id(), "print"), busy)
