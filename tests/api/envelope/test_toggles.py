"""What can be switched off: personas and conversations, and the keeping of messages. Each on every face."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import SESSIONS, answered, cancel, refused
from tests.api.envelope.flows import (
    CONVERSATIONS,
    EVENTS,
    PERSONAS,
    SECRET,
    call_back,
    conversation,
    ended,
    failed,
    flow,
    held_back,
    meanwhile,
    persona,
    running_in,
    send,
    session,
    taken,
    until,
)
from tests.api.v1 import calls as v1
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT, follow, text_of
from tests.factories import Person, person, unknown_id
from tests.responders.upstream import Upstream

QUESTION = "Which plants like shade?"
OFF = "Conversations and personas are switched off here (ENABLE_CHAT_SESSIONS is false)"


# Without personas and conversations


@pytest.fixture
def without_personas(make_app: Callable[..., Flask]) -> Flask:
    return make_app(ENABLE_CHAT_SESSIONS="false")


def test_conversation_and_persona_routes_say_that_they_are_off(without_personas: Flask, admin: Person, owner: Person) -> None:
    made = persona(admin)
    talk = conversation(owner, made)
    routes = [
        ("POST", PERSONAS, {"name": "Gardener", "kind": "echo"}),
        ("GET", PERSONAS, None),
        *(
            (method, f"{PERSONAS}/{made['personaId']}", body)
            for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None))
        ),
        ("POST", CONVERSATIONS, {"personaId": made["personaId"]}),
        ("GET", CONVERSATIONS, None),
        *(
            (method, f"{CONVERSATIONS}/{talk}{path}", body)
            for method, path, body in (("GET", "", None), ("PUT", "", {"title": "x"}), ("PUT", "/title", {"title": "x"}))
        ),
        *((method, f"{CONVERSATIONS}/{talk}/messages", body) for method, body in (("GET", None), ("POST", {"message": "Hello"}))),
        ("GET", f"{CONVERSATIONS}/{talk}/chat-sessions", None),
        ("POST", f"{CONVERSATIONS}/{unknown_id()}/messages", {"message": ""}),
    ]
    before = rows.dump(without_personas)
    there = {(rule.rule, method) for rule in without_personas.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    asked = {(path.replace(talk, "<conversation_id>").replace(made["personaId"], "<persona_id>"), method) for method, path, _ in routes[:-1]}
    assert asked == {(rule, method) for rule, method in there if rule.startswith((PERSONAS, CONVERSATIONS))}
    for who in (person(without_personas, "owner"), person(without_personas, "admin", role="ADMIN")):
        for method, path, body in routes:
            response = who.call(method, path, json=body)
            assert refused(response, 503)["message"] == OFF
            assert response.headers["Retry-After"]
    assert rows.dump(without_personas) == before


def test_everything_else_goes_on_without_them(without_personas: Flask) -> None:
    owner, admin = person(without_personas, "owner"), person(without_personas, "admin", role="ADMIN")
    made = answered(owner.post(SESSIONS, json={"title": "Trip"}), 201)["sessionId"]
    assert [one["sessionId"] for one in answered(owner.get(f"{SESSIONS}?status=ACTIVE"))["sessions"]] == [made]
    assert answered(owner.get(f"{SESSIONS}/stats"))["total"] == 1
    assert answered(admin.post(f"{SESSIONS}/cleanup")) == {"timedOut": 0}
    answered(admin.get(EVENTS))
    assert v1.answered(owner.post(CHAT, json={"message": "Hello"}))["assistant_message"]["content"] == "Hello"
    assert text_of(list(follow(owner, json={"message": "Hello there"}))) == "Hello there"
    assert v1.body_of(owner, f"{v1.SESSIONS}/stats/user")["total_sessions"] == 3
    assert without_personas.test_cli_runner().invoke(args=["cleanup", "all"]).exit_code == 0


# Without messages


@pytest.fixture
def forgetful(make_app: Callable[..., Flask]) -> Flask:
    return make_app(CHAT_ENABLE_MESSAGE_HISTORY="false")


@pytest.fixture
def boss(forgetful: Flask) -> Person:
    return person(forgetful, "admin", role="ADMIN")


@pytest.fixture
def user(forgetful: Flask) -> Person:
    return person(forgetful, "owner")


def nothing_is_kept(app: Flask, owner: Person, session_id: str) -> dict[str, Any]:
    shown = session(owner, session_id)
    assert (shown["title"], shown["lastMessage"], shown["lastMessageAt"], shown["messagesCount"]) == (None, None, None, 0)
    assert rows.count(app, "chat_messages") == rows.count(app, "reply_chunks") == 0
    assert "shade" not in str(rows.dump(app))
    assert rows.breaches(app) == []
    return shown


def test_an_exchange_is_answered_and_nothing_of_it_kept(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    made = flow(boss, n8n, secret=SECRET)
    talk = conversation(user, made)
    done = answered(send(user, talk, metadata={"n": 1}), 201, "Message sent successfully")
    question, reply = done["userMessage"], done["reply"]
    assert (done["status"], question["messageId"], question["content"], reply["messageId"], reply["content"]) == ("COMPLETED", None, QUESTION, None, "Ferns")
    shown = nothing_is_kept(forgetful, user, done["sessionId"])
    assert (shown["status"], shown["conversationId"], shown["personaId"], shown["meta"]["n"]) == ("COMPLETED", talk, made["personaId"], 1)
    assert shown["durationMs"] >= 0
    kept = rows.of_session(forgetful, done["sessionId"])
    assert kept.updated_at == kept.created_at, "nothing was said in it since"
    told = json.loads(n8n.callers[0].raw)
    assert told == {"message": QUESTION, "conversationId": talk, "personaId": made["personaId"], "userId": "owner", "sessionId": done["sessionId"]}
    assert n8n.callers[0].headers["idempotency-key"]
    assert answered(user.get(f"{SESSIONS}/stats"))["successRate"] == 1
    assert [one["sessionId"] for one in answered(user.get(f"{CONVERSATIONS}/{talk}/chat-sessions?status=ALL"))["sessions"]] == [done["sessionId"]]


def test_a_failure_shows_in_the_session_all_the_same(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    talk = conversation(user, flow(boss, n8n))
    n8n.script = lambda caller: caller.answer(b"", status=500)
    words, exchange = failed(send(user, talk), 502)
    shown = nothing_is_kept(forgetful, user, exchange["sessionId"])
    assert (shown["status"], shown["errorKind"], shown["errorMessage"]) == ("FAILED", "bad_status", words)


def test_a_callback_completes_it(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b"", status=202)
    talk = conversation(user, flow(boss, n8n, secret=SECRET, answers="callback"))
    exchange = taken(send(user, talk))
    assert exchange["userMessage"]["messageId"] is None
    assert session(user, exchange["sessionId"])["status"] == "ACTIVE"
    refused(call_back(forgetful, exchange["sessionId"], headers={}), 401)
    answered(call_back(forgetful, exchange["sessionId"], "Ferns in the shade"), 200, "Answer received successfully")
    refused(call_back(forgetful, exchange["sessionId"]), 409)
    assert nothing_is_kept(forgetful, user, exchange["sessionId"])["status"] == "COMPLETED"


def test_it_can_be_left_to_itself(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    talk = conversation(user, flow(boss, n8n))
    exchange = taken(send(user, talk, headers={"Prefer": "respond-async"}))
    assert ended(user, exchange["sessionId"])["status"] == "COMPLETED"


def test_it_can_be_cancelled_and_a_late_answer_changes_nothing(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    talk = conversation(user, flow(boss, n8n))
    gate = held_back(n8n)
    with meanwhile(lambda: send(user, talk)) as running:
        session_id = running_in(user, talk)
        assert answered(cancel(user, session_id))["status"] == "CANCELLED"
    words, _ = failed(running.result(), 409, "CANCELLED")
    assert words == "This exchange was cancelled"
    gate.set()
    assert nothing_is_kept(forgetful, user, session_id)["status"] == "CANCELLED"


def test_one_that_the_cleanup_has_ended_is_told_so(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    talk = conversation(user, flow(boss, n8n))
    gate = held_back(n8n)
    with meanwhile(lambda: send(user, talk)) as running:
        session_id = running_in(user, talk)
        assert until(lambda: answered(boss.post(f"{SESSIONS}/cleanup", json={"maxAgeHours": 0.00001}))["timedOut"]) == 1
        gate.set()
    failed(running.result(), 504, "TIMEOUT")
    assert nothing_is_kept(forgetful, user, session_id)["status"] == "TIMEOUT"


def test_one_that_is_erased_meanwhile_is_gone(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    talk = conversation(user, flow(boss, n8n))
    gate = held_back(n8n)
    with meanwhile(lambda: send(user, talk)) as running:
        session_id = running_in(user, talk)
        answered(user.delete(f"{SESSIONS}/{session_id}"))
        gate.set()
    refused(running.result(), 404)


def test_a_key_cannot_be_kept_and_message_routes_are_closed(forgetful: Flask, user: Person, boss: Person) -> None:
    talk = conversation(user, persona(boss))
    refused(send(user, talk, headers={"Idempotency-Key": "k"}), 400, "Idempotency-Key")
    v1.refused(user.post(CHAT, json={"message": "Hello"}, headers={"Idempotency-Key": "k"}), 400, "Idempotency-Key")
    assert rows.count(forgetful, "chat_sessions") == 0
    session_id = answered(send(user, talk), 201)["sessionId"]
    refused(user.get(f"{CONVERSATIONS}/{talk}/messages"), 403)
    refused(user.get(f"{SESSIONS}/{session_id}/messages"), 403)
    plain = v1.answered(user.post(CHAT, json={"message": QUESTION}))
    assert (plain["user_message"]["id"], plain["assistant_message"]["id"]) == (None, None)
    v1.refused(v1.send(user, plain["session_id"]), 403)
    v1.refused(user.get(f"{v1.SESSIONS}/{plain['session_id']}/messages"), 403)
    assert v1.body_of(user, f"{v1.SESSIONS}/{plain['session_id']}")["messages"] == []
    assert v1.body_of(user, f"{CHAT}/sessions/{plain['session_id']}")["messages"] == []
    nothing_is_kept(forgetful, user, plain["session_id"])


def test_a_plain_session_is_answered_by_its_persona(forgetful: Flask, user: Person, boss: Person, n8n: Upstream) -> None:
    made = flow(boss, n8n)
    heard = list(follow(user, json={"message": QUESTION, "persona_id": made["personaId"]}))
    assert (heard[0].data["reply_id"], text_of(heard)) == (None, "Ferns")
    session_id = heard[0].data["session_id"]
    assert n8n.requests[0][2]["sessionId"] == n8n.requests[0][2]["conversationId"] == session_id
    assert nothing_is_kept(forgetful, user, session_id)["personaId"] == made["personaId"]


def test_a_conversation_still_comes_first_when_it_was_active_last(forgetful: Flask, user: Person, boss: Person) -> None:
    made = persona(boss)
    first, second = conversation(user, made), conversation(user, made)
    answered(send(user, first), 201)
    assert [one["conversationId"] for one in answered(user.get(CONVERSATIONS))["conversations"]] == [first, second]
