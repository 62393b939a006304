"""What the contract refuses gets a 4xx in the envelope and writes nothing; what it allows comes back as it was sent."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from flask import Flask

from tests.api.envelope.calls import SESSIONS, Body, answered, create, listed, read, refused
from tests.api.envelope.flows import CONVERSATIONS, PERSONAS
from tests.api.test_hostile_input import (
    BAD_METADATA,
    BAD_QUERIES,
    BAD_SESSION_IDS,
    BLANK,
    CHARACTERS,
    COLUMNS,
    JSON,
    LONG,
    MIB,
    NOT_TEXT,
    OTHERS,
    PAGES,
    RAW,
    STRANGE,
    VALUES,
    World,
    case,
    deep,
)
from tests.api.v1 import rows
from tests.factories import Person

ONE = f"{SESSIONS}/{{session}}"
BODIES: dict[tuple[str, str], Body] = {
    ("POST", SESSIONS): {"title": "Trip", "meta": {}},
    ("PUT", f"{ONE}/title"): {"title": "Trip"},
    ("PUT", f"{ONE}/meta"): {"meta": {}},
}
QUERIES = {
    SESSIONS: ("page", "limit", "cursor", "search", "status", "personaId", "conversationId", "offset"),
    ONE: (),
    f"{ONE}/messages": ("page", "limit", "cursor", "order"),
}
ROUTES = [*BODIES, *(("GET", path) for path in QUERIES), ("DELETE", ONE), ("PATCH", f"{ONE}/cancel")]
# Signed in place of a token; its own tests are in test_callbacks.py.
CALLBACK = {(f"{SESSIONS}/<session_id>/callback", "POST")}
BAD: dict[str, list[Any]] = {
    "title": [*NOT_TEXT, *BLANK, "x" * 201, "🙂" * 201, "a\0b", "\0"],
    "meta": [None, *BAD_METADATA],
}
BAD_IDS = ["", "x", "1", "null", "persona123", "%00", "{3f7cd70a-e334-4247-8b3b-0d9faee51e94}", "3f7cd70ae33442478b3b0d9faee51e94", "3f7cd70a" * 1000]
BAD_HERE: dict[str, list[str]] = {
    **{name: BAD_QUERIES[name] for name in ("page", "cursor", "search", "order")},
    "limit": [*PAGES, *LONG, "101"],
    "offset": [value for value in [*PAGES, *LONG] if value != "0"],
    "status": ["", " ", "active", "ACTIVE ", "ALL", "DELETED", "ACTIVE,FAILED", "%00", "null", "＀ACTIVE", "x" * 5000],
    "personaId": BAD_IDS,
    "conversationId": BAD_IDS,
}


@pytest.fixture
def world(app: Flask, owner: Person) -> World:
    session = create(owner, title="Trip to Ulm", meta={"a": 1})
    return World(app, owner, session["sessionId"], owner.message(session["sessionId"], "Hello")["id"])


def test_no_route_of_the_face_is_missing_here(app: Flask) -> None:
    known = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    here = {(path.format(session="<session_id>"), method) for method, path in ROUTES}
    assert here <= known
    assert here == {(rule, method) for rule, method in known if rule == SESSIONS or rule.startswith(f"{SESSIONS}/<session_id>")} - CALLBACK


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_that_cannot_be_understood_is_refused(world: World, method: str, path: str) -> None:
    for name, (raw, content_type, status) in RAW.items():
        with case(name):
            refused(world.owner.call(method, world.path(path), data=raw, content_type=content_type), status, "body")
    world.unharmed()


@pytest.mark.parametrize("name", BAD)
def test_a_field_of_the_wrong_kind_is_named(world: World, name: str) -> None:
    for (method, path), good in BODIES.items():
        for value in BAD[name] if name in good else ():
            with case(method, path, value):
                refused(world.owner.call(method, world.path(path), json={**good, name: value}), 400, name)
    world.unharmed()


def test_every_bad_field_is_named_at_once(world: World) -> None:
    for (method, path), good in BODIES.items():
        refused(world.owner.call(method, world.path(path), json={**dict.fromkeys(good, 1), "more": 1}), 400, *good, "more")
    world.unharmed()


def test_unknown_fields_and_columns_that_are_not_the_callers_are_refused(world: World) -> None:
    names = sorted({*COLUMNS, *OTHERS, "agentType", "isActive", "messagesCount", "personaId", "conversationId", "startedAt"})
    for (method, path), good in BODIES.items():
        for name in (one for one in names if one not in good):
            with case(method, path, name):
                refused(world.owner.call(method, world.path(path), json={**good, name: 7}), 400, name)
        for name in STRANGE:
            response = world.owner.call(method, world.path(path), json={**good, name: 1})
            assert response.status_code == 400
            (problem,) = (response.json or {})["errors"]
            assert problem["message"] == "is not a known field"
            assert len(problem["field"]) <= 64
            assert problem["field"].isprintable()
    world.unharmed()


@pytest.mark.parametrize("name", BAD_HERE)
def test_a_parameter_of_the_wrong_kind_is_named(world: World, name: str) -> None:
    for path, names in QUERIES.items():
        for value in BAD_HERE[name] if name in names else ():
            with case(path, value):
                refused(world.owner.get(f"{world.path(path)}?{name}={quote(value, safe='%+,[]=*')}"), 400, name)
    world.unharmed()


def test_unknown_and_repeated_parameters_are_refused_on_every_route(world: World) -> None:
    for method, path in ROUTES:
        body = BODIES.get((method, path))
        for name in ("user_id", "userId", "page_size", "sort", "PAGE", "page[]", "title", "token", "persona_id", "_"):
            refused(world.owner.call(method, f"{world.path(path)}?{name}=1", json=body), 400, name)
    for path, names in QUERIES.items():
        for name in names:
            refused(world.owner.get(f"{world.path(path)}?{name}=1&{name}=1"), 400, name)
    world.unharmed()


def test_an_id_that_cannot_be_one_is_one_that_does_not_exist(world: World) -> None:
    session_id = world.session_id
    spellings = (session_id, session_id.replace("-", ""), session_id[:-1], "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in session_id))
    for bad in BAD_SESSION_IDS:
        text = bad.format(*spellings) if bad.startswith(("{", "urn", "%20{")) else bad
        for method, path in ROUTES:
            if "{session}" in path and (method, path, bad) != ("GET", ONE, "stats"):  # which is a route of its own
                response = world.owner.call(method, world.path(path, session=text), json=BODIES.get((method, path)))
                assert refused(response, 404) == {"success": False, "message": "Session not found"}, (method, path, bad)
    world.unharmed()


def test_a_method_that_a_route_does_not_know_is_refused(world: World) -> None:
    allowed: dict[str, set[str]] = {}
    for method, path in ROUTES:
        allowed.setdefault(path, set()).add(method)
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} - methods:
            response = world.owner.call(method, world.path(path), json={"title": "x"})
            refused(response, 405)
            assert {name.strip() for name in response.headers["Allow"].split(",")} - {"HEAD", "OPTIONS"} == methods
    for path in ("/api", "/api/", "/api/nowhere", f"{world.path(ONE)}/nowhere", "/api/v1x", "/api/v2/chat-sessions"):
        refused(world.owner.get(path), 404)
    world.unharmed()


def test_nobody_is_refused_in_the_envelope_too(world: World) -> None:
    client = world.app.test_client(use_cookies=False)
    for method, path in ROUTES:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {world.owner.token}"}):
            response = client.open(world.path(path), method=method, headers=headers, json=BODIES.get((method, path)))
            refused(response, 401)
            assert response.headers["WWW-Authenticate"] == "Bearer"
    world.unharmed()


# Personas and conversations


TALKS: dict[tuple[str, str], Body] = {
    ("POST", PERSONAS): {"name": "Gardener", "kind": "echo"},
    ("PUT", f"{PERSONAS}/{{persona}}"): {"name": "Gardener"},
    ("PATCH", f"{PERSONAS}/{{persona}}"): {"name": "Gardener"},
    ("POST", CONVERSATIONS): {"personaId": "3f7cd70a-e334-4247-8b3b-0d9faee51e94"},
    ("PUT", f"{CONVERSATIONS}/{{conversation}}"): {"title": "Trip"},
    ("PUT", f"{CONVERSATIONS}/{{conversation}}/title"): {"title": "Trip"},
    ("POST", f"{CONVERSATIONS}/{{conversation}}/messages"): {"message": "Hello"},
}


@pytest.mark.parametrize(("method", "path"), TALKS)
def test_nothing_odd_gets_into_personas_and_conversations(app: Flask, admin: Person, method: str, path: str) -> None:
    persona_id = answered(admin.post(PERSONAS, json={"name": "Gardener", "kind": "echo"}), 201)["personaId"]
    conversation_id = answered(admin.post(CONVERSATIONS, json={"personaId": persona_id}), 201)["conversationId"]
    url, good = path.format(persona=persona_id, conversation=conversation_id), TALKS[method, path]
    before = [rows.run(app, f"SELECT * FROM {table} ORDER BY id") for table in ("personas", "conversations", "chat_sessions")]
    for name, (raw, content_type, status) in RAW.items():
        with case(name):
            refused(admin.call(method, url, data=raw, content_type=content_type), status, "body")
    for name in sorted({*OTHERS, "user_id", "userId", "created_at", "createdAt", "id"} - set(good)):
        with case(name):
            refused(admin.call(method, url, json={**good, name: 7}), 400, name)
    for field in good:
        for value in [*NOT_TEXT, *BLANK, "a\0b"] if field != "personaId" else [*NOT_TEXT, *BAD_IDS]:
            with case(field, value):
                refused(admin.call(method, url, json={**good, field: value}), 400, field)
    assert before == [rows.run(app, f"SELECT * FROM {table} ORDER BY id") for table in ("personas", "conversations", "chat_sessions")]


def test_ids_of_personas_and_conversations_that_cannot_be_ones(owner: Person) -> None:
    for bad in ("persona456", "conv123", "0", "null", "%00", "%20", "%ff", "stats", "x" * 5000, "00000000-0000-0000-0000-000000000000"):
        refused(owner.get(f"{PERSONAS}/{bad}"), 404)
        for path in ("", "/messages", "/chat-sessions"):
            refused(owner.get(f"{CONVERSATIONS}/{bad}{path}"), 404)


# What is allowed


def test_meta_comes_back_equal(world: World) -> None:
    sent = {"values": VALUES}
    made = world.owner.post(SESSIONS, json={"meta": sent})
    session_id = answered(made, 201)["sessionId"]
    path = f"{SESSIONS}/{session_id}"
    for response in (made, world.owner.get(path), world.owner.put(f"{path}/meta", json={"meta": sent}), world.owner.put(f"{path}/title", json={"title": "x"})):
        assert json.loads(response.data)["data"]["meta"] == sent
    assert json.loads(world.owner.get(f"{SESSIONS}?limit=1").data)["data"]["sessions"][0]["meta"] == sent
    # With exchanges the rows come out of a larger statement, and must be the same.
    assert json.loads(world.owner.get(f"{SESSIONS}?limit=1&offset=0").data)["data"]["sessions"][0]["meta"] == sent
    assert not rows.breaches(world.app)


def test_every_character_is_kept_exactly(world: World) -> None:
    for text in CHARACTERS:
        session = create(world.owner, title=text, meta={text: text})
        world.owner.message(session["sessionId"], text, metadata={text: [text]})
        found = read(world.owner, session["sessionId"])
        assert (found["title"], found["meta"], found["lastMessage"]) == (text, {text: text}, text)
        (message,) = answered(world.owner.get(f"{SESSIONS}/{session['sessionId']}/messages"))["messages"]
        assert (message["content"], message["metadata"]) == (text, {text: [text]})
        assert listed(world.owner, f"?search={quote(text)}")["pagination"]["total"] == 1
        assert listed(world.owner, f"?offset=0&search={quote(text)}")["pagination"]["total"] == 1


def test_what_is_exactly_at_the_limit_is_allowed(world: World) -> None:
    for meta in ({"a": "x" * (16 * 1024 - 8)}, {"a": "é" * (8 * 1024 - 4)}, deep(32)):
        session = create(world.owner, meta=meta)
        assert answered(world.owner.put(f"{SESSIONS}/{session['sessionId']}/meta", json={"meta": meta}))["meta"] == meta
    for (method, path), good in BODIES.items():
        raw = orjson.dumps(good)
        response = world.owner.call(method, world.path(path), data=raw + b" " * (MIB - len(raw)), content_type=JSON)
        assert response.status_code in (200, 201)
    for path in (SESSIONS, world.path(f"{ONE}/messages")):
        answered(world.owner.get(f"{path}?limit=100"))
        answered(world.owner.get(f"{path}?page=1000000"))
    answered(world.owner.get(f"{SESSIONS}?offset=1000000"))


def test_of_a_key_given_twice_the_last_counts(world: World) -> None:
    raw = b'{"title":7,"title":"Trip","meta":{"a":1,"a":{"b":1,"b":2}}}'
    session = answered(world.owner.post(SESSIONS, data=raw, content_type=JSON), 201)
    assert (session["title"], session["meta"]) == ("Trip", {"a": {"b": 2}})
