"""`POST /api/v1/chat`: a message and its whole reply."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest
from flask import Flask

from chatsvc.core import verify
from chatsvc.responders.base import ResponderError
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT, HandedOut, told
from tests.factories import Person, person, unknown_id

SESSIONS = "/api/v1/chat-sessions"


def test_a_message_makes_a_session_and_is_answered(owner: Person) -> None:
    response = owner.post(CHAT, json={"message": "Hello there"})
    assert response.status_code == 200
    body = told(response)
    assert body["user_message"]["content"] == body["assistant_message"]["content"] == "Hello there"
    assert (body["assistant_message"]["status"], body["assistant_message"]["agent_type"]) == ("complete", None)
    session = told(owner.get(f"{SESSIONS}/{body['session_id']}"))
    assert (session["title"], session["last_message"], session["message_count"], session["agent_type"]) == ("Hello there", "Hello there", 2, None)


def test_an_unknown_session_id_makes_that_session(owner: Person) -> None:
    wanted = unknown_id()
    assert told(owner.post(CHAT, json={"message": "Hello", "session_id": wanted}))["session_id"] == wanted
    assert told(owner.get(f"{SESSIONS}/{wanted}"))["message_count"] == 2


def test_only_a_random_uuid_makes_a_session(owner: Person) -> None:
    assert owner.post(CHAT, json={"message": "Hello", "session_id": str(uuid.uuid1())}).status_code == 404
    response = owner.post(CHAT, json={"message": "Hello", "session_id": "nonsense"})
    assert (response.status_code, told(response)["errors"][0]["field"]) == (400, "session_id")


def test_somebody_elses_session_and_a_deleted_one_are_not_found(owner: Person, stranger: Person) -> None:
    theirs = stranger.session()["id"]
    mine = owner.session()["id"]
    assert owner.delete(f"{CHAT}/sessions/{mine}").status_code == 204
    for session_id in (theirs, mine):
        response = owner.post(CHAT, json={"message": "Hello", "session_id": session_id})
        assert (response.status_code, told(response)) == (404, {"detail": "Session not found"})
    assert told(stranger.get(f"{SESSIONS}/{theirs}"))["message_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": "  "},
        {"message": "x", "retry": 1},
        {"message": None},
        {"retry": 0},
        {"retry": "1"},
        {"message": "x", "role": "user"},
        {"message": "x" * 10_001},
    ],
)
def test_bad_input_writes_nothing(owner: Person, body: dict[str, object]) -> None:
    response = owner.post(CHAT, json=body)
    assert response.status_code == 400, response.text
    assert told(response)["errors"]
    assert told(owner.get(SESSIONS))["total"] == 0


def test_the_responder_is_sent_the_conversation(owner: Person, handed: HandedOut) -> None:
    session = owner.session()
    owner.message(session["id"], "First")
    owner.message(session["id"], "Answer", "assistant")
    handed.say("ok", None)
    owner.post(CHAT, json={"message": "Second", "session_id": session["id"]})
    assert [(turn.role, turn.content) for turn in handed.questions[0].history] == [("user", "First"), ("assistant", "Answer"), ("user", "Second")]


@pytest.mark.parametrize(("kind", "status"), [("timeout", 504), ("circuit_open", 503), ("unreachable", 502), ("bad_status", 502), ("bad_response", 502)])
def test_a_failing_responder_loses_nothing(owner: Person, handed: HandedOut, kind: str, status: int) -> None:
    handed.say("Half an ", ResponderError(kind, "The model did not answer"))  # type: ignore[arg-type]
    response = owner.post(CHAT, json={"message": "Hello"})
    body = told(response)
    assert (response.status_code, body["detail"]) == (status, "The model did not answer")
    assert (body["assistant_message"]["status"], body["assistant_message"]["content"], body["user_message"]["content"]) == ("failed", "Half an ", "Hello")
    assert ("Retry-After" in response.headers) == (status == 503)
    handed.say("fine", None)
    assert owner.post(CHAT, json={"message": "Again", "session_id": body["session_id"]}).status_code == 200


def test_the_same_key_answers_once(owner: Person, handed: HandedOut) -> None:
    handed.say("Only once", None)
    first = owner.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"})
    again = owner.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, told(again), again.headers["Idempotent-Replayed"]) == (200, told(first), "true")
    assert len(handed.questions) == 1
    assert owner.post(CHAT, json={"message": "Other"}, headers={"Idempotency-Key": "k"}).status_code == 422


def test_a_failure_is_replayed_too(owner: Person, handed: HandedOut) -> None:
    handed.say(ResponderError("timeout", "Too slow"))
    first = owner.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"})
    again = owner.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, told(again)) == (504, 504, told(first))
    assert len(handed.questions) == 1


def test_one_reply_at_a_time_per_session(app: Flask, owner: Person, handed: HandedOut) -> None:
    session_id = owner.session()["id"]
    answers: list[tuple[int, dict[str, object]]] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        response = person(app, "owner").post(CHAT, json={"message": "Hello", "session_id": session_id})
        answers.append((response.status_code, told(response)))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(answers) < 7:
        threads[0].join(0.05)
    running = {body["reply_id"] for status, body in answers}
    assert [status for status, _ in answers] == [409] * 7
    handed.say("done", None)
    for thread in threads:
        thread.join(10)
    status, body = answers[7]
    assert (status, running) == (200, {body["assistant_message"]["id"]})  # type: ignore[index]
    assert told(owner.get(f"{SESSIONS}/{session_id}"))["message_count"] == 2


def test_a_retry_answers_the_same_message_again(app: Flask, owner: Person) -> None:
    first = told(owner.post(CHAT, json={"message": "Hello"}))
    again = owner.post(CHAT, json={"retry": first["assistant_message"]["id"]})
    assert again.status_code == 200
    assert told(again)["user_message"] == first["user_message"]
    assert told(again)["assistant_message"]["id"] > first["assistant_message"]["id"]
    session = told(owner.get(f"{SESSIONS}/{first['session_id']}"))
    assert [message["id"] for message in session["messages"]] == [first["user_message"]["id"], told(again)["assistant_message"]["id"]]
    assert owner.post(CHAT, json={"retry": first["assistant_message"]["id"]}).status_code == 404
    with app.app_context():
        assert list(verify.breaches()) == []


def test_nobody_retries_somebody_elses_reply(owner: Person, stranger: Person) -> None:
    reply = told(owner.post(CHAT, json={"message": "Hello"}))["assistant_message"]["id"]
    theirs = stranger.post(CHAT, json={"retry": reply})
    unknown = stranger.post(CHAT, json={"retry": 10**12})
    assert (theirs.status_code, theirs.data) == (404, unknown.data)


def test_what_a_person_said_is_no_reply_to_be_given_anew(app: Flask, owner: Person) -> None:
    first = told(owner.post(CHAT, json={"message": "Hello"}))
    again = told(owner.post(CHAT, json={"message": "More", "session_id": first["session_id"]}))
    before = rows.dump(app)
    for message in (first, again):
        response = owner.post(CHAT, json={"retry": message["user_message"]["id"]})
        assert (response.status_code, told(response)) == (404, {"detail": "Reply not found"})
    assert rows.dump(app) == before


def test_an_archived_session_is_resumed(owner: Person) -> None:
    session = owner.session()
    owner.delete(f"{SESSIONS}/{session['id']}")
    assert owner.post(CHAT, json={"message": "Back", "session_id": session["id"]}).status_code == 200
    assert told(owner.get(f"{SESSIONS}/{session['id']}"))["is_active"] is True


def test_a_persona_that_is_not_there_is_not_found(owner: Person) -> None:
    assert told(owner.post(CHAT, json={"message": "Hello", "persona_id": unknown_id()})) == {"detail": "Persona not found"}


def test_an_endless_reply_ends_at_the_limit(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_REPLY_MAX_CHARS="10", CHAT_ECHO_DELAY_MS="0")
    response = person(app, "owner").post(CHAT, json={"message": "0123456 89 more than ten"})
    assert (response.status_code, told(response)["assistant_message"]["content"], told(response)["assistant_message"]["status"]) == (
        502,
        "0123456 89",
        "failed",
    )


def test_without_history_the_reply_is_only_told(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_ENABLE_MESSAGE_HISTORY="false")
    owner = person(app, "owner")
    body = told(owner.post(CHAT, json={"message": "Hello there"}))
    assert (body["user_message"]["id"], body["assistant_message"]["id"], body["assistant_message"]["content"]) == (None, None, "Hello there")
    session = told(owner.get(f"{SESSIONS}/{body['session_id']}"))
    assert (session["title"], session["message_count"], session["messages"]) == (None, 0, [])
    refused = owner.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, told(refused)["errors"][0]["field"]) == (400, "Idempotency-Key")
