"""A message to a persona and its answer: what is sent, told, kept and refused; how an exchange ends, and that it stays ended."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import MESSAGE, MOMENT, SESSIONS, answered, cancel, refused
from tests.api.envelope.flows import (
    CONVERSATIONS,
    EXCHANGE,
    SECRET,
    call_back,
    change,
    conversation,
    ended,
    events,
    failed,
    flow,
    held_back,
    meanwhile,
    persona,
    running_in,
    said,
    send,
    sent,
    session,
    signature,
    taken,
)
from tests.api.v1 import calls as v1
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT, follow, text_of
from tests.factories import Person, person, unknown_id
from tests.responders.upstream import Caller, Upstream, stall
from tests.responders.upstream import flow as streamed

QUESTION = "Which plants like shade?"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def gardener(admin: Person, n8n: Upstream) -> dict[str, Any]:
    return flow(admin, n8n, secret=SECRET)


@pytest.fixture
def talk(owner: Person, gardener: dict[str, Any]) -> str:
    return conversation(owner, gardener)


@pytest.fixture
def echo_talk(owner: Person, admin: Person) -> str:
    return conversation(owner, persona(admin))


# Sent and answered


def test_a_message_is_answered(app: Flask, owner: Person, talk: str, gardener: dict[str, Any], n8n: Upstream) -> None:
    done = sent(owner, talk)
    assert list(done) == EXCHANGE
    question, reply = done["userMessage"], done["reply"]
    assert list(question) == list(reply) == MESSAGE
    assert (done["status"], question["role"], question["content"], reply["role"], reply["content"]) == ("COMPLETED", "user", QUESTION, "assistant", "Ferns")
    assert (question["status"], reply["status"], question["sessionId"], reply["sessionId"]) == ("complete", "complete", *[done["sessionId"]] * 2)
    shown = session(owner, done["sessionId"])
    assert (shown["status"], shown["conversationId"], shown["personaId"]) == ("COMPLETED", talk, gardener["personaId"])
    assert (shown["title"], shown["lastMessage"], shown["messagesCount"]) == (QUESTION, "Ferns", 2)
    assert (shown["errorMessage"], shown["errorKind"]) == (None, None)
    assert MOMENT.fullmatch(shown["endedAt"])
    assert shown["durationMs"] >= 0
    assert shown["lastActivityAt"] == shown["lastMessageAt"] == reply["createdAt"]
    assert said(owner, done["sessionId"]) == [("user", QUESTION, "complete"), ("assistant", "Ferns", "complete")]
    assert rows.breaches(app) == []


def test_each_message_is_a_session_of_its_own(owner: Person, echo_talk: str) -> None:
    done = [sent(owner, echo_talk, f"Question {n}") for n in range(3)]
    assert len({one["sessionId"] for one in done}) == 3
    assert [one["reply"]["content"] for one in done] == [f"Question {n}" for n in range(3)]


def test_the_webhook_gets_the_five_fields_and_what_they_cannot_carry(owner: Person, talk: str, gardener: dict[str, Any], n8n: Upstream) -> None:
    done = sent(owner, talk, "Ümläut 𝄞")
    (caller,) = n8n.callers
    told = {"message": "Ümläut 𝄞", "conversationId": talk, "personaId": gardener["personaId"], "userId": "owner", "sessionId": done["sessionId"]}
    assert (caller.method, caller.target) == ("POST", "/webhook/chat")
    assert json.loads(caller.raw) == told
    assert list(json.loads(caller.raw)) == list(told)
    assert caller.headers["content-type"] == "application/json"
    assert caller.headers["idempotency-key"] == str(done["reply"]["messageId"])
    assert "x-chatsvc-callback" not in caller.headers, "the service has not been told how it is reached"
    wanted = signature(SECRET, caller.raw, float(caller.headers["x-chatsvc-timestamp"]))
    assert caller.headers["x-chatsvc-signature"] == wanted["X-Chatsvc-Signature"]


def test_the_callback_address_is_under_the_public_one(make_app: Callable[..., Flask], admin: Person, n8n: Upstream) -> None:
    app = make_app(PUBLIC_URL="https://chat.example.com/base")
    owner = person(app, "owner")
    done = sent(owner, conversation(owner, flow(person(app, "admin", role="ADMIN"), n8n)))
    assert n8n.requests[0][1]["x-chatsvc-callback"] == f"https://chat.example.com/base/api/chat-sessions/{done['sessionId']}/callback"


FORMS = {
    "reply": (b'{"reply": "Ferns"}', "application/json"),
    "a list of one": (b'[{"text": "Ferns"}]', "application/json"),
    "plain text": (b"Ferns", "text/plain"),
    "n8n's plain text": (b"Ferns", "text/html; charset=utf-8"),
    "message": (b'{"message": "Ferns"}', "application/json"),
    "n8n's stream": (streamed("Fe", "rns"), "application/json"),
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_form_its_answer_has(owner: Person, talk: str, n8n: Upstream, form: str) -> None:
    n8n.script = lambda caller: caller.answer(FORMS[form][0], content_type=FORMS[form][1])
    assert sent(owner, talk)["reply"]["content"] == "Ferns"


def test_what_is_known_of_the_client_is_kept_and_wins_over_what_it_says(owner: Person, echo_talk: str) -> None:
    claimed = {"userAgent": "me", "ipAddress": "192.0.2.1", "deviceInfo": [1], "plant": {"kind": "fern"}, "n": 1}
    headers = {"User-Agent": "Mozilla/5.0 (X11)", "Sec-CH-UA": '"Chromium";v="140"', "X-Forwarded-For": "192.0.2.9"}
    done = answered(send(owner, echo_talk, metadata=claimed, headers=headers), 201, "Message sent successfully")
    meta = session(owner, done["sessionId"])["meta"]
    known = {"userAgent": "Mozilla/5.0 (X11)", "ipAddress": "127.0.0.1", "deviceInfo": '"Chromium";v="140"'}
    assert meta == {**known, "plant": {"kind": "fern"}, "n": 1}
    bare = sent(owner, echo_talk, metadata=claimed)
    assert session(owner, bare["sessionId"])["meta"]["deviceInfo"] is None
    without = sent(owner, echo_talk)
    assert set(session(owner, without["sessionId"])["meta"]) == {"userAgent", "ipAddress", "deviceInfo"}


def test_what_is_too_long_of_the_client_is_cut(owner: Person, echo_talk: str) -> None:
    done = answered(send(owner, echo_talk, headers={"User-Agent": "x" * 5000}), 201, "Message sent successfully")
    assert session(owner, done["sessionId"])["meta"]["userAgent"] == "x" * 1000


def test_what_cannot_be_sent_is_refused_and_makes_nothing(app: Flask, owner: Person, echo_talk: str) -> None:
    for given, fields in (
        ({}, ("message",)),
        ({"message": None}, ("message",)),
        ({"message": " \n"}, ("message",)),
        ({"message": "x" * 10_001}, ("message",)),
        ({"message": "a\0b"}, ("message",)),
        ({"message": "Hello", "metadata": []}, ("metadata",)),
        ({"message": "Hello", "metadata": {"a": "x" * 17_000}}, ("metadata",)),
        ({"message": "Hello", "sessionId": unknown_id()}, ("sessionId",)),
        ({"message": 1, "metadata": 1, "more": 1}, ("message", "metadata", "more")),
    ):
        refused(owner.post(f"{CONVERSATIONS}/{echo_talk}/messages", json=given), 400, *fields)
    refused(owner.post(f"{CONVERSATIONS}/{unknown_id()}/messages", json={"message": "Hello"}), 404)
    assert rows.count(app, "chat_sessions") == 0
    assert sent(owner, echo_talk, "x" * 10_000)["reply"]["content"] == "x" * 10_000


def test_sends_are_limited_like_chats(make_app: Callable[..., Flask], admin: Person) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_SEND="2/minute")
    owner = person(app, "owner")
    talk = conversation(owner, persona(admin))
    for _ in range(2):
        sent(owner, talk)
    response = send(owner, talk)
    refused(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60


# Failures


def broken_off(caller: Caller) -> None:
    caller.head(content_type="application/json", Content_Length="100")
    caller.send(b'{"output": "Fe')
    caller.sock.close()


FAILURES: dict[str, tuple[Any, int, str, str]] = {
    "a status": (lambda caller: caller.answer(b"{}", status=500), 502, "bad_status", "500"),
    "an empty answer": (lambda caller: caller.answer(b""), 502, "bad_response", "empty"),
    "a web page": (lambda caller: caller.answer(b"<!doctype html><p>Hello", content_type="text/html"), 502, "bad_response", "web page"),
    "a hang": (stall, 504, "timeout", "Webhook timeout after 0.3 seconds"),
    "an end in the middle": (broken_off, 502, "bad_response", ""),
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_failure_is_told_and_the_question_kept(app: Flask, owner: Person, admin: Person, n8n: Upstream, how: str) -> None:
    script, status, kind, part = FAILURES[how]
    talk = conversation(owner, flow(admin, n8n, timeoutMs=300))
    n8n.script = script
    words, exchange = failed(send(owner, talk), status)
    assert part in words
    assert exchange["userMessage"]["content"] == QUESTION
    shown = session(owner, exchange["sessionId"])
    assert (shown["status"], shown["errorMessage"], shown["errorKind"]) == ("FAILED", words, kind)
    assert shown["endedAt"] is not None
    assert said(owner, exchange["sessionId"])[0] == ("user", QUESTION, "complete")
    (noted,) = events(admin, "webhook.failed")
    assert (noted["actorId"], noted["details"]["kind"], noted["details"]["session_id"]) == ("owner", kind, exchange["sessionId"])
    n8n.script = lambda caller: caller.answer(b'{"output": "Ferns"}')
    sent(owner, talk)
    assert rows.breaches(app) == []


def test_nobody_there(owner: Person, admin: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    _, exchange = failed(send(owner, conversation(owner, persona(admin, kind="webhook", webhookUrl=url))), 502)
    assert session(owner, exchange["sessionId"])["errorKind"] == "unreachable"


def test_a_private_address_is_refused_where_it_is_not_allowed(make_app: Callable[..., Flask], n8n: Upstream) -> None:
    app = make_app(WEBHOOK_ALLOW_NETWORKS="")
    owner = person(app, "owner")
    _, exchange = failed(send(owner, conversation(owner, flow(person(app, "admin", role="ADMIN"), n8n))), 502)
    assert session(owner, exchange["sessionId"])["errorKind"] == "unreachable"
    assert n8n.callers == []


def test_after_five_failures_it_is_left_alone_for_a_while(owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n)
    talk = conversation(owner, made)
    n8n.script = lambda caller: caller.answer(b"", status=500)
    for _ in range(5):
        failed(send(owner, talk), 502)
    response = send(owner, talk)
    _, exchange = failed(response, 503)
    assert response.headers["Retry-After"] == "30"
    assert len(n8n.requests) == 5
    assert session(owner, exchange["sessionId"])["errorKind"] == "circuit_open"
    shown = answered(admin.get(f"/api/personas/{made['personaId']}"))["circuit"]
    assert (shown["state"], shown["failures"]) == ("open", 5)
    (opened,) = events(admin, "circuit.opened")
    assert (opened["actorId"], opened["subject"], opened["details"]) == (None, made["personaId"], {"failures": 5, "kind": "bad_status"})


# Sent again


def test_a_retry_gets_the_first_answer_and_asks_nobody(app: Flask, owner: Person, stranger: Person, talk: str, n8n: Upstream) -> None:
    first, again = (send(owner, talk, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (len(n8n.requests), rows.count(app, "chat_sessions")) == (1, 1)
    refused(send(owner, talk, "Another", headers={"Idempotency-Key": "k"}), 422)
    refused(send(owner, talk, headers={"Idempotency-Key": "é"}), 400, "Idempotency-Key")
    refused(send(stranger, talk, headers={"Idempotency-Key": "k"}), 404)
    assert rows.count(app, "chat_sessions") == 1


def test_a_failure_is_replayed_as_it_was(owner: Person, talk: str, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b"", status=500)
    first, again = (send(owner, talk, headers={"Idempotency-Key": "k"}) for _ in range(2))
    failed(first, 502)
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (502, first.data, "true")
    assert len(n8n.requests) == 1


def test_a_retry_while_it_is_running_is_told_which_reply_to_wait_for(owner: Person, talk: str, n8n: Upstream) -> None:
    gate = held_back(n8n, b'{"output": "Ferns"}')
    with meanwhile(lambda: send(owner, talk, headers={"Idempotency-Key": "k"})) as running:
        exchange = running_in(owner, talk)
        response = send(owner, talk, headers={"Idempotency-Key": "k"})
        assert response.status_code == 409
        body = response.json or {}
        assert (body["success"], list(body["data"])) == (False, ["reply_id"])
        messages = answered(owner.get(f"{SESSIONS}/{exchange}/messages"))["messages"]
        assert body["data"]["reply_id"] == messages[1]["messageId"]
        gate.set()
    first = answered(running.result(), 201)
    assert answered(send(owner, talk, headers={"Idempotency-Key": "k"}), 201) == first
    assert len(n8n.requests) == 1


def test_what_was_refused_does_not_use_the_key_up(owner: Person, admin: Person, gardener: dict[str, Any], talk: str) -> None:
    change(admin, gardener, isActive=False)
    refused(send(owner, talk, headers={"Idempotency-Key": "k"}), 409)
    change(admin, gardener, isActive=True)
    answered(send(owner, talk, headers={"Idempotency-Key": "k"}), 201)


def test_a_key_of_an_erased_exchange_stays_taken(owner: Person, talk: str) -> None:
    done = answered(send(owner, talk, headers={"Idempotency-Key": "k"}), 201)
    answered(owner.delete(f"{SESSIONS}/{done['sessionId']}"))
    again = send(owner, talk, headers={"Idempotency-Key": "k"})
    refused(again, 404)
    assert again.json == {"success": False, "message": "Session not found"}


# Answered later


def test_who_does_not_want_to_wait_is_told_so_at_once(owner: Person, talk: str, n8n: Upstream) -> None:
    gate = held_back(n8n, b'{"output": "Ferns"}')
    response = send(owner, talk, headers=ASYNC)
    exchange = taken(response)
    assert response.headers["Preference-Applied"] == "respond-async"
    assert exchange["userMessage"]["content"] == QUESTION
    assert session(owner, exchange["sessionId"])["status"] == "ACTIVE"
    gate.set()
    assert ended(owner, exchange["sessionId"])["status"] == "COMPLETED"
    assert said(owner, exchange["sessionId"])[1] == ("assistant", "Ferns", "complete")


@pytest.mark.parametrize("wish", ["respond-async, wait=10", "return=minimal; foo, Respond-Async", "handling=lenient,respond-async"])
def test_the_wish_may_be_one_of_several(owner: Person, echo_talk: str, wish: str) -> None:
    taken(send(owner, echo_talk, headers={"Prefer": wish}))


@pytest.mark.parametrize("wish", ["respond-asynchronously", "wait=100", "", 'foo="x'])
def test_another_wish_is_no_hindrance(owner: Person, echo_talk: str, wish: str) -> None:
    response = send(owner, echo_talk, headers={"Prefer": wish})
    answered(response, 201)
    assert "Preference-Applied" not in response.headers


def test_a_failure_of_one_that_is_not_waited_for_shows_in_the_session(owner: Person, talk: str, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b"", status=500)
    shown = ended(owner, taken(send(owner, talk, headers=ASYNC))["sessionId"])
    assert (shown["status"], shown["errorKind"]) == ("FAILED", "bad_status")


def test_a_retry_of_one_that_was_taken_on_is_told_the_same_while_it_runs_and_afterwards(owner: Person, talk: str, n8n: Upstream) -> None:
    gate = held_back(n8n)
    headers = {**ASYNC, "Idempotency-Key": "k"}
    first, again = (send(owner, talk, headers=headers) for _ in range(2))
    exchange = taken(first)
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (202, first.data, "true")
    gate.set()
    ended(owner, exchange["sessionId"])
    assert send(owner, talk, headers=headers).data == first.data
    assert len(n8n.requests) == 1


# Exchanges are final


def test_an_exchange_is_renamed_described_and_removed_but_not_gone_on_with(app: Flask, owner: Person, talk: str) -> None:
    done = sent(owner, talk)
    session_id = done["sessionId"]
    before = rows.of_session(app, session_id)
    for response in (
        v1.send(owner, session_id),
        owner.post(CHAT, json={"message": "And?", "session_id": session_id}),
        owner.post(f"{CHAT}/stream", json={"message": "And?", "session_id": session_id}),
        owner.post(CHAT, json={"retry": done["reply"]["messageId"]}),
        owner.delete(f"{v1.SESSIONS}/{session_id}"),
        owner.put(f"{v1.SESSIONS}/{session_id}", json={"is_active": True}),
        owner.put(f"{v1.SESSIONS}/{session_id}", json={"is_active": False}),
        owner.put(f"{v1.SESSIONS}/{session_id}", json={"title": "Mine", "is_active": True}),
    ):
        v1.refused(response, 409)
    assert rows.of_session(app, session_id) == before
    assert len(said(owner, session_id)) == 2
    assert answered(owner.put(f"{SESSIONS}/{session_id}/title", json={"title": "Mine"}))["title"] == "Mine"
    assert v1.change(owner, session_id, title="Again mine", metadata={"a": 1})["metadata"] == {"a": 1}
    assert answered(owner.put(f"{SESSIONS}/{session_id}/meta", json={"meta": {}}))["meta"] == {}
    assert session(owner, session_id)["status"] == "COMPLETED"
    assert answered(owner.delete(f"{SESSIONS}/{session_id}"), 200, "Session deleted successfully") == {"sessionId": session_id, "deletedMessages": 2}


def test_an_exchange_is_read_on_every_face_and_listed_on_this_one_alone(owner: Person, talk: str) -> None:
    session_id = sent(owner, talk)["sessionId"]
    assert [one["content"] for one in v1.body_of(owner, f"{v1.SESSIONS}/{session_id}")["messages"]] == [QUESTION, "Ferns"]
    assert v1.body_of(owner, f"{CHAT}/sessions/{session_id}")["title"] == QUESTION
    assert v1.body_of(owner, v1.SESSIONS)["sessions"] == v1.body_of(owner, f"{CHAT}/sessions")["sessions"] == []
    assert v1.body_of(owner, f"{v1.SESSIONS}/stats/user")["total_sessions"] == 0
    assert owner.delete(f"{CHAT}/sessions/{session_id}").status_code == 204
    refused(owner.get(f"{SESSIONS}/{session_id}"), 404)


def test_exchanges_do_not_count_towards_the_cap(owner: Person, echo_talk: str) -> None:
    active = [owner.session()["id"] for _ in range(5)]
    for _ in range(3):
        sent(owner, echo_talk)
    assert [v1.body_of(owner, f"{v1.SESSIONS}/{session_id}")["is_active"] for session_id in active] == [True] * 5


def test_several_of_one_conversation_may_run_at_once(owner: Person, talk: str, n8n: Upstream) -> None:
    gate = held_back(n8n, b'{"output": "Ferns"}')
    begun = [taken(send(owner, talk, f"Question {n}", headers=ASYNC))["sessionId"] for n in range(3)]
    running = answered(owner.get(f"{CONVERSATIONS}/{talk}/chat-sessions"))["sessions"]
    assert {one["sessionId"] for one in running} == set(begun)
    gate.set()
    assert {ended(owner, one)["status"] for one in begun} == {"COMPLETED"}


# Cancelled


def test_one_that_is_cancelled_is_told_so_and_a_late_answer_changes_nothing(app: Flask, owner: Person, admin: Person, talk: str, n8n: Upstream) -> None:
    gate = held_back(n8n)
    with meanwhile(lambda: send(owner, talk)) as running:
        session_id = running_in(owner, talk)
        shown = answered(cancel(owner, session_id), 200, "Session cancelled successfully")
        assert (shown["status"], shown["errorMessage"], shown["errorKind"]) == ("CANCELLED", None, None)
    words, exchange = failed(running.result(), 409, "CANCELLED")
    assert words == "This exchange was cancelled"
    assert exchange["sessionId"] == session_id
    gate.set()
    refused(cancel(owner, session_id), 409)
    assert session(owner, session_id)["status"] == "CANCELLED"
    assert said(owner, session_id) == [("user", QUESTION, "complete"), ("assistant", "", "cancelled")]
    (noted,) = events(admin, "session.cancelled")
    assert (noted["actorId"], noted["subject"]) == ("owner", session_id)
    assert rows.breaches(app) == []


def test_what_has_ended_is_not_cancelled(owner: Person, talk: str) -> None:
    session_id = sent(owner, talk)["sessionId"]
    assert refused(cancel(owner, session_id), 409)["message"] == "This session has ended already; it is COMPLETED"
    assert session(owner, session_id)["status"] == "COMPLETED"


def test_one_that_waits_for_a_callback_is_cancelled_too(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    talk = conversation(owner, flow(admin, n8n, secret=SECRET, answers="callback"))
    n8n.script = lambda caller: caller.answer(b"", status=202)
    session_id = taken(send(owner, talk))["sessionId"]
    assert answered(cancel(owner, session_id))["status"] == "CANCELLED"
    refused(call_back(app, session_id), 409)
    assert said(owner, session_id) == [("user", QUESTION, "complete"), ("assistant", "", "cancelled")]


# Personas behind /api/v1/chat


@pytest.mark.parametrize("way", ["chat", "stream"])
def test_a_plain_session_is_answered_by_the_persona_that_it_names(owner: Person, gardener: dict[str, Any], n8n: Upstream, way: str) -> None:
    def chat(**asked: Any) -> tuple[str, str]:
        if way == "stream":
            heard = list(follow(owner, json=asked))
            return heard[0].data["session_id"], text_of(heard)
        body = v1.answered(owner.post(CHAT, json=asked))
        return body["session_id"], body["assistant_message"]["content"]

    session_id, reply = chat(message=QUESTION, persona_id=gardener["personaId"])
    assert reply == "Ferns"
    told = n8n.requests[0][2]
    assert told == {"message": QUESTION, "conversationId": session_id, "personaId": gardener["personaId"], "userId": "owner", "sessionId": session_id}
    assert session(owner, session_id)["personaId"] == gardener["personaId"]
    assert chat(message="And?", session_id=session_id) == (session_id, "Ferns")
    assert chat(message="Hello there", session_id=session_id, persona_id=None) == (session_id, "Hello there")
    assert session(owner, session_id)["personaId"] is None
    assert len(n8n.requests) == 2
    assert session(owner, session_id)["status"] == "ACTIVE"


def test_a_streamed_flow_is_streamed_on(owner: Person, gardener: dict[str, Any], n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(streamed("Ferns ", "and ", "moss"))
    heard = list(follow(owner, json={"message": QUESTION, "persona_id": gardener["personaId"]}))
    assert text_of(heard) == "Ferns and moss"
    assert heard[-1].data["assistant_message"]["status"] == "complete"


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
def test_a_persona_that_is_not_there_or_not_active_does_not_answer(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], path: str) -> None:
    named = v1.answered(owner.post(CHAT, json={"message": "Hello", "persona_id": gardener["personaId"]}))["session_id"]
    persona(admin)  # another, who is active and was not named
    before = rows.dump(app)
    v1.refused(owner.post(path, json={"message": "Hello", "persona_id": unknown_id()}), 404)
    v1.refused(owner.post(path, json={"message": "Hello", "persona_id": "persona456"}), 400, "persona_id")
    change(admin, gardener, isActive=False)
    v1.refused(owner.post(path, json={"message": "Hello", "persona_id": gardener["personaId"]}), 409)
    v1.refused(owner.post(path, json={"message": "And?", "session_id": named}), 409)
    assert rows.dump(app) == before
    v1.answered(owner.post(CHAT, json={"message": "And?", "session_id": named, "persona_id": None}))


def test_a_callback_answers_a_plain_session_that_waits_for_it(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n, secret=SECRET, answers="callback")
    session_id = unknown_id()

    asked = threading.Event()

    def later(caller: Caller) -> None:
        caller.answer(b"", status=202)
        asked.set()

    n8n.script = later
    with meanwhile(lambda: owner.post(CHAT, json={"message": QUESTION, "session_id": session_id, "persona_id": made["personaId"]})) as running:
        assert asked.wait(10)
        answered(call_back(app, session_id, "Ferns, later"), 200, "Answer received successfully")
    body = v1.answered(running.result())
    assert (body["assistant_message"]["content"], body["assistant_message"]["status"]) == ("Ferns, later", "complete")
    refused(call_back(app, session_id), 409)
