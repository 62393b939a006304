"""Conversations: begun with a persona, listed, read, renamed; what was said in them, and the exchanges that they consist of."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import MESSAGE, MOMENT, SESSION, SESSIONS, answered, refused
from tests.api.envelope.flows import CONVERSATIONS, call_back, change, conversation, flow, persona, send, sent, session, taken
from tests.api.v1 import rows
from tests.factories import Person, unknown_id
from tests.responders.upstream import Upstream

CONVERSATION = ["conversationId", "personaId", "title", "createdAt", "updatedAt", "lastMessageAt"]


@pytest.fixture
def gardener(admin: Person) -> dict[str, Any]:
    return persona(admin)


@pytest.fixture
def talk(owner: Person, gardener: dict[str, Any]) -> str:
    return conversation(owner, gardener)


def read(who: Person, conversation_id: str) -> Any:
    return answered(who.get(f"{CONVERSATIONS}/{conversation_id}"), 200, "Conversation retrieved successfully")


def listed(who: Person, query: str = "") -> Any:
    return answered(who.get(f"{CONVERSATIONS}{query}"), 200, "Conversations retrieved successfully")


def said(who: Person, conversation_id: str, query: str = "") -> Any:
    return answered(who.get(f"{CONVERSATIONS}/{conversation_id}/messages{query}"), 200, "Messages retrieved successfully")


def exchanges(who: Person, conversation_id: str, query: str = "") -> Any:
    return answered(who.get(f"{CONVERSATIONS}/{conversation_id}/chat-sessions{query}"), 200, "Sessions retrieved successfully")


# Begin, read, rename


def test_it_begins_with_a_persona(owner: Person, gardener: dict[str, Any]) -> None:
    begun = answered(owner.post(CONVERSATIONS, json={"personaId": gardener["personaId"]}), 201, "Conversation created successfully")
    assert list(begun) == CONVERSATION
    assert (begun["personaId"], begun["title"], begun["lastMessageAt"]) == (gardener["personaId"], None, None)
    assert MOMENT.fullmatch(begun["createdAt"])
    assert begun["createdAt"] == begun["updatedAt"]
    assert read(owner, begun["conversationId"]) == begun
    titled = answered(owner.post(CONVERSATIONS, json={"personaId": gardener["personaId"].upper(), "title": "My garden"}), 201)
    assert (titled["title"], titled["personaId"]) == ("My garden", gardener["personaId"])


def test_what_cannot_begin_is_refused(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any]) -> None:
    persona_id = gardener["personaId"]
    for given, fields in (
        ({}, ("personaId",)),
        ({"personaId": None}, ("personaId",)),
        ({"personaId": "persona456"}, ("personaId",)),
        ({"personaId": persona_id, "title": " "}, ("title",)),
        ({"personaId": persona_id, "title": "x" * 201}, ("title",)),
        ({"personaId": persona_id, "userId": "stranger"}, ("userId",)),
    ):
        refused(owner.post(CONVERSATIONS, json=given), 400, *fields)
    assert refused(owner.post(CONVERSATIONS, json={"personaId": unknown_id()}), 404)["message"] == "Persona not found"
    change(admin, gardener, isActive=False)
    assert refused(owner.post(CONVERSATIONS, json={"personaId": persona_id}), 409)["message"] == "This persona is not active"
    assert rows.count(app, "conversations") == 0


def test_a_retry_begins_it_once(app: Flask, owner: Person, gardener: dict[str, Any]) -> None:
    first, again = (owner.post(CONVERSATIONS, json={"personaId": gardener["personaId"]}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (again.data, again.status_code, again.headers["Idempotent-Replayed"]) == (first.data, 201, "true")
    refused(owner.post(CONVERSATIONS, json={"personaId": gardener["personaId"], "title": "Other"}, headers={"Idempotency-Key": "k"}), 422)
    assert rows.count(app, "conversations") == 1


@pytest.mark.parametrize("path", ["", "/title"])
def test_it_is_renamed(owner: Person, talk: str, path: str) -> None:
    before = read(owner, talk)
    renamed = answered(owner.put(f"{CONVERSATIONS}/{talk}{path}", json={"title": "My garden"}), 200, "Conversation updated successfully")
    assert renamed == {**before, "title": "My garden", "updatedAt": renamed["updatedAt"]} == read(owner, talk)
    assert renamed["updatedAt"] >= before["updatedAt"]
    assert answered(owner.put(f"{CONVERSATIONS}/{talk}{path}", json={"title": None}))["title"] is None
    for title in ("", " ", "x" * 201, 1):
        refused(owner.put(f"{CONVERSATIONS}/{talk}{path}", json={"title": title}), 400, "title")
    refused(owner.put(f"{CONVERSATIONS}/{talk}{path}", json={}), 400, "title")
    assert read(owner, talk)["title"] is None


def test_somebody_elses_looks_like_one_that_is_not_there(owner: Person, stranger: Person, admin: Person, talk: str) -> None:
    sent(owner, talk)
    for who in (stranger, admin):
        for method, path, body in (
            ("GET", "", None),
            ("PUT", "", {"title": "Mine"}),
            ("GET", "/messages", None),
            ("GET", "/chat-sessions", None),
            ("POST", "/messages", {"message": "Hello"}),
        ):
            gone = refused(who.call(method, f"{CONVERSATIONS}/{talk}{path}", json=body), 404)
            assert gone == refused(who.call(method, f"{CONVERSATIONS}/{unknown_id()}{path}", json=body), 404)
            assert gone == refused(who.call(method, f"{CONVERSATIONS}/conv123{path}", json=body), 404)
        assert listed(who)["conversations"] == []
    assert len(said(owner, talk)["messages"]) == 2


# Lists


def test_the_most_recently_active_comes_first(owner: Person, gardener: dict[str, Any]) -> None:
    made = [conversation(owner, gardener, title=f"Garden {n}") for n in range(5)]

    def order(query: str = "") -> list[str]:
        return [one["conversationId"] for one in listed(owner, query)["conversations"]]

    assert order() == made[::-1]
    sent(owner, made[0])
    answered(owner.put(f"{CONVERSATIONS}/{made[2]}", json={"title": "Renamed"}))
    assert order() == [made[2], made[0], made[4], made[3], made[1]]
    shown = listed(owner)["conversations"][1]
    assert MOMENT.fullmatch(shown["lastMessageAt"])
    assert shown["lastMessageAt"] == said(owner, made[0])["messages"][-1]["createdAt"]
    found = listed(owner, "?limit=2")
    assert {**found["pagination"], "nextCursor": "…"} == {"page": 1, "limit": 2, "total": 5, "pages": 3, "nextCursor": "…"}
    assert order("?limit=2&page=3") == [made[1]]
    assert order("?page=4") == []
    walked, cursor = [], found["pagination"]["nextCursor"]
    walked += [one["conversationId"] for one in found["conversations"]]
    while cursor:
        found = listed(owner, f"?limit=2&cursor={cursor}")
        walked, cursor = walked + [one["conversationId"] for one in found["conversations"]], found["pagination"]["nextCursor"]
    assert walked == order()


def test_those_of_one_persona(owner: Person, admin: Person, gardener: dict[str, Any]) -> None:
    other = persona(admin, name="Cook")
    gardens, kitchen = [conversation(owner, gardener) for _ in range(2)], conversation(owner, other)
    found = listed(owner, f"?personaId={other['personaId']}")
    assert ([one["conversationId"] for one in found["conversations"]], found["pagination"]["total"]) == ([kitchen], 1)
    assert [one["conversationId"] for one in listed(owner, f"?personaId={gardener['personaId']}")["conversations"]] == gardens[::-1]
    assert listed(owner, f"?personaId={unknown_id()}")["pagination"]["total"] == 0
    for query in ("personaId=persona456", "limit=0", "page=0", "cursor=x", "status=ACTIVE"):
        refused(owner.get(f"{CONVERSATIONS}?{query}"), 400, query.partition("=")[0])


# What was said


def test_what_was_said_in_all_exchanges_is_one_list(owner: Person, talk: str) -> None:
    done = [sent(owner, talk, f"Question {n}") for n in range(3)]
    found = said(owner, talk)
    assert list(found) == ["messages", "pagination"]
    assert [list(one) for one in found["messages"]] == [MESSAGE] * 6
    assert found["messages"] == [message for one in done for message in (one["userMessage"], one["reply"])]
    assert found["pagination"] == {"page": 1, "limit": 20, "total": 6, "pages": 1, "nextCursor": None}
    newest = said(owner, talk, "?order=desc&limit=4")
    assert newest["messages"] == found["messages"][:1:-1]
    rest = said(owner, talk, f"?order=desc&limit=4&cursor={newest['pagination']['nextCursor']}")
    assert (rest["messages"], rest["pagination"]["nextCursor"]) == (found["messages"][1::-1], None)
    assert said(owner, talk, "?limit=4&page=2")["messages"] == found["messages"][4:]
    assert said(owner, talk, "?page=9")["messages"] == []


def test_what_is_gone_is_not_in_it(app: Flask, owner: Person, talk: str) -> None:
    hidden, erased, stays = (sent(owner, talk, f"Question {n}") for n in range(3))
    rows.soft_delete(app, "owner", hidden["sessionId"])
    answered(owner.delete(f"{SESSIONS}/{erased['sessionId']}"))
    found = said(owner, talk)
    assert [one["sessionId"] for one in found["messages"]] == [stays["sessionId"]] * 2
    assert found["pagination"]["total"] == 2
    assert [one["sessionId"] for one in exchanges(owner, talk, "?status=ALL")["sessions"]] == [stays["sessionId"]]


# The exchanges


def test_its_exchanges_are_the_active_ones_unless_others_are_asked_for(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n, secret="s", answers="callback")
    talk = conversation(owner, made)
    n8n.script = lambda caller: caller.answer(b"", status=202)
    waiting, answered_, cancelled = (taken(send(owner, talk, f"Question {n}"))["sessionId"] for n in range(3))
    answered(call_back(app, answered_, secret="s"))
    answered(owner.call("PATCH", f"{SESSIONS}/{cancelled}/cancel"))
    n8n.script = lambda caller: caller.answer(b"", status=500)
    failed = (send(owner, talk).json or {})["data"]["sessionId"]

    def ids(query: str) -> set[str]:
        return {one["sessionId"] for one in exchanges(owner, talk, query)["sessions"]}

    assert ids("") == ids("?status=ACTIVE") == {waiting}
    assert ids("?status=ALL") == {waiting, answered_, cancelled, failed}
    assert [ids(f"?status={status}") for status in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT")] == [{answered_}, {cancelled}, {failed}, set()]
    (shown,) = exchanges(owner, talk)["sessions"]
    assert list(shown) == SESSION
    assert shown == session(owner, waiting)
    assert (shown["conversationId"], shown["personaId"]) == (talk, made["personaId"])
    # The same through the list of sessions.
    for query in (f"?conversationId={talk}", f"?personaId={made['personaId']}", "?offset=0"):
        assert {one["sessionId"] for one in answered(owner.get(f"{SESSIONS}{query}"))["sessions"]} == ids("?status=ALL")
    assert {one["sessionId"] for one in answered(owner.get(f"{SESSIONS}?status=FAILED"))["sessions"]} == {failed}
    assert answered(owner.get(SESSIONS))["sessions"] == []


def test_exchanges_page_by_offset_and_by_cursor(owner: Person, talk: str) -> None:
    done = [sent(owner, talk, f"Question {n}")["sessionId"] for n in range(5)][::-1]
    found = exchanges(owner, talk, "?status=ALL&limit=2&offset=1")
    assert [one["sessionId"] for one in found["sessions"]] == done[1:3]
    assert {**found["pagination"], "nextCursor": "…"} == {"limit": 2, "offset": 1, "total": 5, "nextCursor": "…"}
    rest = exchanges(owner, talk, f"?status=ALL&limit=2&cursor={found['pagination']['nextCursor']}")
    assert [one["sessionId"] for one in rest["sessions"]] == done[3:]
    assert rest["pagination"]["nextCursor"] is None
    assert exchanges(owner, talk, "?status=ALL&offset=9")["pagination"]["total"] == 5
    refused(owner.get(f"{CONVERSATIONS}/{talk}/chat-sessions?status=ALL&offset=1&cursor={found['pagination']['nextCursor']}"), 400, "cursor")
    for query in ("status=active", "limit=0", "limit=101", "offset=-1", "offset=1000001", "page=1", "cursor=x"):
        refused(owner.get(f"{CONVERSATIONS}/{talk}/chat-sessions?{query}"), 400, query.partition("=")[0])
