"""Ids that come in a body, a query, a cursor or a key: somebody else's does what one that is not there does. A new place fails until it is here."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema
from werkzeug.test import TestResponse

from chatsvc.api.common.door import route_of
from chatsvc.api.common.fields import Uuid
from tests.api.test_authorization import APP, CHAT, CONVERSATIONS, ENVELOPE, PERSONAS, World, world
from tests.api.test_mass_assignment import everything
from tests.api.v1.calls import SESSIONS
from tests.factories import Person

__all__ = ["world"]

# Everybody may know of a persona. What is said of users and subjects is for admins, or about oneself.
SHARED, FORBIDDEN, MASKED = "everybody's", "forbidden", "as if it were not there"
PLACES: dict[tuple[str, str, str], str] = {
    ("POST", CHAT, "session_id"): MASKED,
    ("POST", CHAT, "retry"): MASKED,
    ("POST", CHAT, "persona_id"): SHARED,
    ("POST", f"{CHAT}/stream", "session_id"): MASKED,
    ("POST", f"{CHAT}/stream", "retry"): MASKED,
    ("POST", f"{CHAT}/stream", "persona_id"): SHARED,
    ("POST", CONVERSATIONS, "personaId"): SHARED,
    ("GET", CONVERSATIONS, "personaId"): SHARED,
    ("GET", ENVELOPE, "personaId"): SHARED,
    ("GET", ENVELOPE, "conversationId"): MASKED,
    ("GET", f"{ENVELOPE}/stats", "personaId"): SHARED,
    ("GET", f"{ENVELOPE}/stats", "userId"): FORBIDDEN,
    ("GET", f"{CHAT}/sessions", "user_id"): FORBIDDEN,
    ("GET", "/api/audit-events", "actorId"): FORBIDDEN,
    ("GET", "/api/audit-events", "subject"): FORBIDDEN,
    ("GET", "/chat-ui/admin", "persona"): SHARED,
}
NAMED_SO = {"retry", "user_id", "userId", "actorId", "subject"}
ALLS_LISTS = {PERSONAS, "/api/api-keys", "/auths/users", "/api/audit-events"}


def ids_in(schema: type[Schema] | None) -> set[str]:
    given = {field.data_key or name: field for name, field in schema().fields.items()} if schema else {}
    return {name for name, field in given.items() if isinstance(field, Uuid) or name in NAMED_SO}


def declared(app: Flask) -> dict[tuple[str, str], Any]:
    found = {}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if route := route_of(app, rule.endpoint):
                found[method, rule.rule] = route
    return found


def test_every_place_is_known(app: Flask) -> None:
    there = {(*key, name) for key, route in declared(app).items() for name in ids_in(route.body) | ids_in(route.query)}
    assert there == set(PLACES)


def ask(person: Person, method: str, rule: str, name: str, value: object) -> TestResponse:
    if method == "GET":
        return person.get(f"{rule}?{name}={value}")
    return person.post(rule, json={**({"message": "Hello"} if name != "retry" else {}), name: value})


@pytest.mark.parametrize(("method", "rule", "name"), [place for place, kind in PLACES.items() if kind is MASKED])
def test_somebody_elses_id_is_one_that_is_not_there(app: Flask, world: World, method: str, rule: str, name: str) -> None:
    theirs = {"session_id": "session_id", "retry": "reply_id", "conversationId": "conversation_id"}[name]
    # An unknown session that is a UUID of version 4 is made (contract, section 3); of another version it is none.
    unknown: object = 2**62 if name == "retry" else uuid.uuid1() if name == "session_id" else uuid.uuid4()
    for person in ("stranger", "admin"):
        before = everything(app)
        told, expected = (ask(world.people[person], method, rule, name, value) for value in (world.own["owner"][theirs], unknown))
        assert (told.status_code, told.data) == (expected.status_code, expected.data)
        assert told.status_code == 404 or "Secret" not in told.text
        assert everything(app) == before


@pytest.mark.parametrize(("method", "rule", "name"), [place for place, kind in PLACES.items() if kind is FORBIDDEN])
def test_other_users_are_named_by_admins_only(world: World, method: str, rule: str, name: str) -> None:
    told = [ask(world.people["stranger"], method, rule, name, user_id) for user_id in ("owner", "nobody-there")]
    assert [response.status_code for response in told] == [403, 403]
    assert told[0].data == told[1].data
    assert ask(world.people["admin"], method, rule, name, "owner").status_code == 200


def test_one_s_own_session_and_somebody_elses_reply(world: World) -> None:
    own, theirs = world.own["stranger"], world.own["owner"]
    for path in (CHAT, f"{CHAT}/stream"):
        told = [world.people["stranger"].post(path, json={"session_id": own["session_id"], "retry": reply}) for reply in (theirs["reply_id"], 2**62)]
        assert [response.status_code for response in told] == [404, 404]
        assert told[0].data == told[1].data


def test_a_cursor_is_good_for_whom_it_was_made(app: Flask, world: World) -> None:
    """Every list that pages by cursor: its own user goes on with it, nobody else."""
    tried = 0
    for (method, rule), route in declared(app).items():
        names = {field.data_key or name for name, field in route.query().fields.items()} if route.query else set()
        if method != "GET" or "cursor" not in names:
            continue
        for person in world.people.values() if "<" not in rule else ():
            person.session(title="One more", agent_type=None)
            person.post(CONVERSATIONS, json={"personaId": world.own["owner"]["persona_id"]})
        own, size = world.own["owner"], "page_size" if "page_size" in names else "limit"
        path, foreign = rule, rule
        for name, value in own.items():
            path, foreign = path.replace(f"<{name}>", str(value)), foreign.replace(f"<{name}>", str(world.own["stranger"][name]))
        reader, other = (world.people["admin"], world.people["stranger"]) if rule in ALLS_LISTS else (world.people["owner"], world.people["stranger"])
        if "messages" in rule and "conversation_id" not in rule:
            world.people["owner"].message(str(own["session_id"]), "One more")
        first = reader.get(f"{path}?{size}=1")
        cursor = cursor_of(first)
        if cursor is None:
            assert rule.startswith((f"{CONVERSATIONS}/<", "/auths/users")), f"{rule}: no second page to ask for"
            continue
        tried += 1
        assert reader.get(f"{path}?{size}=1&cursor={cursor}").status_code == 200, rule
        told = other.get(f"{foreign}?{size}=1&cursor={cursor}")
        assert told.status_code == (200 if rule == PERSONAS else 403 if rule in ALLS_LISTS else 400), (rule, told.text)
    assert tried >= 8


def cursor_of(response: TestResponse) -> str | None:
    assert response.status_code == 200, response.text
    if "Link" in response.headers:
        return response.headers["Link"].split("cursor=")[1].split(">")[0].split("&")[0]
    found = response.json
    if not isinstance(found, dict):
        return None
    told = found.get("data", found)
    cursor: str | None = told.get("pagination", told).get("nextCursor", told.get("next_cursor"))
    return cursor


@pytest.mark.parametrize(("path", "body"), [(SESSIONS, {}), (ENVELOPE, {}), (APP, {}), (CHAT, {"message": "Hello"}), (f"{CHAT}/stream", {"message": "Hello"})])
def test_an_idempotency_key_is_its_users_own(world: World, path: str, body: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "the-same-for-both"}
    mine, theirs = (world.people[who].post(path, json=body, headers=key) for who in ("owner", "stranger"))
    assert mine.status_code == theirs.status_code
    assert "Idempotent-Replayed" not in theirs.headers
    assert mine.text != theirs.text
