"""Every route that there is, asked by everybody, about everything. A route that is missing from the table fails the build."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.api.common.door import Allow, route_of
from chatsvc.core import users
from chatsvc.core.errors import Conflict
from tests import factories, secrecy, tables
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS
from tests.factories import Person, token, unknown_id

Ids = dict[str, object]
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Line:
    """What a route answers: to whom it is open, with which body, and the status when all is well."""

    allow: Allow = Allow.USER
    status: int = 200
    body: dict[str, Any] | None = None
    # Routes open to anyone answer everybody alike, unless it is the credentials in the body that count.
    refuses_all: int | None = None


@dataclass
class World:
    """What each of the cast has, and the tokens they hold."""

    app: Flask
    people: dict[str, Person]
    own: dict[str, Ids] = field(default_factory=dict)
    known: secrecy.Known = ([], {})  # to those who watch for what must not be told

    def headers(self, who: str) -> dict[str, str]:
        if who == "anonymous":
            return {}
        claims = {"role": "ADMIN"} if who == "admin" else {}
        # Each with an id of its own: signing out with one must not spoil the next.
        lifetime = -3600 if who == "expired" else 3600
        return {"Authorization": f"Bearer {token('owner' if who == 'expired' else who, lifetime=lifetime, jti=uuid.uuid4().hex, **claims)}"}

    def ask(self, who: str, method: str, rule: str, ids: Ids) -> TestResponse:
        path = rule
        for name, value in ids.items():
            path = path.replace(f"<{name}>", str(value))
        assert "<" not in path
        body = TABLE[method, rule].body
        if rule == "/auths/register" and body is not None:
            body = {**body, "username": uuid.uuid4().hex}
        if rule == "/auths/login":
            self.keep_the_account()
        return self.app.test_client(use_cookies=False).open(path, method=method, headers=self.headers(who), json=body)

    def keep_the_account(self) -> None:
        with self.app.app_context(), suppress(Conflict):
            users.create("keeper", PASSWORD)

    def seen_by_owner(self, who: str) -> bytes:
        return bytes(self.people[who].get(f"{SESSIONS}/{self.own[who]['session_id']}").data)


ONE = f"{SESSIONS}/<session_id>"
CHAT = "/api/v1/chat"
ENVELOPE = "/api/chat-sessions"
ENVELOPE_ONE = f"{ENVELOPE}/<session_id>"
PERSONAS = "/api/personas"
KEYS = "/api/api-keys"
CONVERSATIONS = "/api/conversations"
CONVERSATION = f"{CONVERSATIONS}/<conversation_id>"
APP = "/chat/sessions"
APP_ONE = f"{APP}/<session_id>"
TABLE: dict[tuple[str, str], Line] = {
    ("GET", "/healthz"): Line(Allow.ANYONE),
    ("GET", "/readyz"): Line(Allow.ANYONE),
    ("POST", "/auths/login"): Line(Allow.ANYONE, body={"username": "keeper", "password": PASSWORD}),
    ("POST", "/auths/register"): Line(Allow.ANYONE, 201, body={"password": PASSWORD}),
    ("POST", "/auths/refresh"): Line(Allow.ANYONE, refuses_all=401),
    ("POST", "/auths/logout"): Line(status=204),
    ("GET", "/auths/me"): Line(),
    ("GET", "/auths/users"): Line(Allow.ADMIN),
    ("POST", SESSIONS): Line(status=201, body={}),
    ("GET", SESSIONS): Line(),
    ("GET", f"{SESSIONS}/stats/user"): Line(),
    ("GET", ONE): Line(),
    ("PUT", ONE): Line(body={"title": "Changed"}),
    ("DELETE", ONE): Line(),
    ("POST", f"{ONE}/messages"): Line(status=201, body={"content": "Changed", "message_type": "user"}),
    ("GET", f"{ONE}/messages"): Line(),
    ("PUT", f"{ONE}/messages/<message_id>"): Line(body={"content": "Changed"}),
    ("POST", CHAT): Line(body={"message": "Hello"}),
    ("POST", f"{CHAT}/stream"): Line(body={"message": "Hello"}),
    ("GET", f"{CHAT}/stream/<reply_id>"): Line(),
    ("POST", f"{CHAT}/stream/<reply_id>/cancel"): Line(status=409),
    ("GET", f"{CHAT}/sessions"): Line(),
    ("GET", f"{CHAT}/sessions/<session_id>"): Line(),
    ("DELETE", f"{CHAT}/sessions/<session_id>"): Line(status=204),
    ("POST", ENVELOPE): Line(status=201, body={}),
    ("GET", ENVELOPE): Line(),
    ("GET", ENVELOPE_ONE): Line(),
    ("GET", f"{ENVELOPE_ONE}/messages"): Line(),
    ("PUT", f"{ENVELOPE_ONE}/title"): Line(body={"title": "Changed"}),
    ("PUT", f"{ENVELOPE_ONE}/meta"): Line(body={"meta": {}}),
    ("DELETE", ENVELOPE_ONE): Line(),
    ("PATCH", f"{ENVELOPE_ONE}/cancel"): Line(),
    ("POST", f"{ENVELOPE_ONE}/callback"): Line(Allow.ANYONE, body={"output": "x"}, refuses_all=401),
    ("GET", f"{ENVELOPE}/stats"): Line(),
    ("POST", f"{ENVELOPE}/cleanup"): Line(Allow.ADMIN),
    ("GET", "/api/audit-events"): Line(Allow.ADMIN),
    ("POST", KEYS): Line(Allow.ADMIN, 201, body={"name": "Shop", "scopes": ["read"]}),
    ("GET", KEYS): Line(Allow.ADMIN),
    ("GET", f"{KEYS}/<key_id>"): Line(Allow.ADMIN),
    ("DELETE", f"{KEYS}/<key_id>"): Line(Allow.ADMIN),
    ("GET", "/api/users/<path:user_id>/export"): Line(),
    ("DELETE", "/api/users/<path:user_id>/data"): Line(),
    ("GET", "/api/erasures/<erasure_id>"): Line(Allow.ANYONE, 404),
    ("POST", PERSONAS): Line(Allow.ADMIN, 201, body={"name": "Echo", "kind": "echo"}),
    ("GET", PERSONAS): Line(),
    ("GET", f"{PERSONAS}/<persona_id>"): Line(),
    ("PUT", f"{PERSONAS}/<persona_id>"): Line(Allow.ADMIN, body={"name": "Changed"}),
    ("PATCH", f"{PERSONAS}/<persona_id>"): Line(Allow.ADMIN, body={"name": "Changed"}),
    ("DELETE", f"{PERSONAS}/<persona_id>"): Line(Allow.ADMIN, status=409),
    ("POST", CONVERSATIONS): Line(status=404, body={"personaId": unknown_id()}),
    ("GET", CONVERSATIONS): Line(),
    ("GET", CONVERSATION): Line(),
    ("PUT", CONVERSATION): Line(body={"title": "Changed"}),
    ("PUT", f"{CONVERSATION}/title"): Line(body={"title": "Changed"}),
    ("GET", f"{CONVERSATION}/messages"): Line(),
    ("GET", f"{CONVERSATION}/chat-sessions"): Line(),
    ("POST", f"{CONVERSATION}/messages"): Line(status=201, body={"message": "Hello"}),
    ("POST", APP): Line(status=201, body={"title": "Changed"}),
    ("GET", APP): Line(),
    ("GET", APP_ONE): Line(),
    ("PUT", APP_ONE): Line(body={"title": "Changed"}),
    ("DELETE", APP_ONE): Line(status=204),
    ("POST", f"{APP_ONE}/restore"): Line(),
    ("POST", f"{APP_ONE}/messages"): Line(status=201, body={"content": "Changed"}),
    ("GET", f"{APP_ONE}/messages"): Line(),
    ("PUT", f"{APP_ONE}/messages/<message_id>"): Line(body={"content": "Changed"}),
    ("DELETE", f"{APP_ONE}/messages/<message_id>"): Line(status=204),
    ("POST", f"{APP_ONE}/messages/<message_id>/restore"): Line(),
    ("GET", "/openapi.json"): Line(Allow.ANYONE),
    ("GET", "/chat-ui"): Line(Allow.ANYONE),
    ("GET", "/chat-ui/"): Line(Allow.ANYONE, 308),
    ("GET", "/chat-ui/admin"): Line(Allow.ANYONE),
    ("GET", "/chat-ui/<session_id>"): Line(Allow.ANYONE),
    ("GET", "/docs"): Line(Allow.ANYONE),
    ("GET", "/redoc"): Line(Allow.ANYONE),
}
FILES = "web.static"  # a fixed list of the pages' own files
# The page is the same whatever chat its address names; what it shows it asks for.
WITH_IDS = [key for key, line in TABLE.items() if "<" in key[1] and line.allow is not Allow.ANYONE]
NOBODY = ("anonymous", "expired")
SOMEBODY = ("owner", "stranger", "admin")
# Everybody may know of a persona, and every admin of a key; an unsigned callback is refused before anything is looked up.
SHARED = [key for key in WITH_IDS if "<persona_id>" in key[1] or "<key_id>" in key[1] or key[1].endswith("/callback")]
# An admin may name anybody there, whether there is somebody of that id or not: ids of users are whatever an issuer says.
OF_USERS = [key for key in WITH_IDS if "user_id>" in key[1]]
UNKNOWN: Ids = {
    **{name: unknown_id() for name in ("session_id", "conversation_id", "persona_id", "key_id", "erasure_id", "path:user_id")},
    **{"message_id": 2**62, "reply_id": 2**62},
}
MALFORMED: Ids = dict.fromkeys(UNKNOWN, "not-an-id")


@pytest.fixture
def world(app: Flask) -> World:
    """For tests that change something."""
    return furnished(app)


@pytest.fixture(scope="module")
def worlds(shared_app: Flask) -> Iterator[list[World]]:
    """One for all tests that change nothing: to furnish it takes longer than what is asked of it."""
    made: list[World] = []
    yield made
    tables.empty(shared_app)


@pytest.fixture
def still(worlds: list[World], shared_app: Flask) -> Iterator[World]:
    """As the test before found it; what its people wrote is watched for in each."""
    if worlds:
        secrecy.WATCH.remember(worlds[0].known)
    else:
        worlds.append(furnished(shared_app))
        worlds[0].known = secrecy.WATCH.known()
    before = rows.dump(shared_app)
    yield worlds[0]
    assert rows.dump(shared_app) == before, "a test that changes something takes a world of its own"


def furnished(app: Flask) -> World:
    admin = factories.person(app, "admin", role="ADMIN")
    made = World(app, {"owner": factories.person(app, "owner"), "stranger": factories.person(app, "stranger"), "admin": admin})
    for name, person in made.people.items():
        session = person.session(title=f"Secret of {name}", agent_type=None)
        made.own[name] = {"path:user_id": name, "erasure_id": unknown_id(), "session_id": session["id"]}
        made.own[name]["message_id"] = person.message(session["id"], f"Secret of {name}")["id"]
        made.own[name]["reply_id"] = person.message(session["id"], f"Secret reply to {name}", "assistant")["id"]
        made.own[name]["persona_id"] = data_of(admin.post(PERSONAS, json={"name": f"Echo of {name}", "kind": "echo"}))["personaId"]
        made.own[name]["key_id"] = data_of(admin.post(KEYS, json={"name": f"Key of {name}", "scopes": ["read"]}))["keyId"]
        begun = {"personaId": made.own[name]["persona_id"], "title": f"Secret of {name}"}
        made.own[name]["conversation_id"] = data_of(person.post(CONVERSATIONS, json=begun))["conversationId"]
    return made


def data_of(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    found: dict[str, Any] = (response.json or {})["data"]
    return found


def used(rule: str, ids: Ids) -> Ids:
    return {name: value for name, value in ids.items() if f"<{name}>" in rule}


def holds_no_id(world: World, response: TestResponse) -> bool:
    ids = [str(value) for own in (*world.own.values(), UNKNOWN) for value in own.values()]
    return not any(f'"{found}"' in response.text or (len(found) > 8 and found in response.text) for found in (*ids, *SOMEBODY, "not-an-id"))


def test_every_route_is_in_the_table_and_the_table_has_no_others(shared_app: Flask) -> None:
    there = {
        (method, rule.rule) for rule in shared_app.url_map.iter_rules() if rule.endpoint != FILES for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert there - set(TABLE) == set(), "routes that nobody has said who may call"
    assert set(TABLE) - there == set(), "lines about routes that are not there"


def test_every_route_lets_in_whom_the_table_says(shared_app: Flask) -> None:
    for rule in (one for one in shared_app.url_map.iter_rules() if one.endpoint != FILES):
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            route = route_of(shared_app, rule.endpoint)
            assert route, f"{rule.rule} goes past the door"
            assert route.allow is TABLE[method, rule.rule].allow


@pytest.mark.parametrize(("method", "rule"), TABLE)
def test_nobody_gets_in_without_a_good_token(still: World, method: str, rule: str) -> None:
    line = TABLE[method, rule]
    for who in NOBODY:
        answers = [still.ask(who, method, rule, used(rule, ids)) for ids in (still.own["owner"], UNKNOWN, MALFORMED)]
        if line.allow is Allow.ANYONE:
            if "<" in rule:  # what cannot be an id is not there, whoever asks; the page's own address is one for all
                assert answers.pop().status_code == 404 or rule.startswith("/chat-ui")
            assert {response.status_code for response in answers} == {line.refuses_all or line.status}
            continue
        assert {response.status_code for response in answers} == {401}
        assert len({response.data for response in answers}) == 1, "a refusal tells nothing about what is there"
        assert all(holds_no_id(still, response) for response in answers)
        assert all(response.headers["WWW-Authenticate"] == "Bearer" for response in answers)
        assert still.ask("anonymous", method, rule, used(rule, UNKNOWN)).data == answers[0].data


def other_tokens(still: World) -> dict[str, str]:
    """Tokens that were good once, or look as if they were."""
    rows.run(
        still.app, "INSERT INTO users (id, username, username_key, password_hash, role, disabled_at) VALUES ('closed', 'x', 'x', 'x', 'ADMIN', '2026-01-01')"
    )
    given_back = token("owner", jti="given back")
    assert still.app.test_client().post("/auths/logout", headers={"Authorization": f"Bearer {given_back}"}).status_code == 204
    return {
        "forged": token("owner", secret="another secret of 32 bytes and more, and more"),
        "unsigned": token("owner", secret="", algorithm="none"),
        "for renewing": token("owner", type="refresh"),
        "of a disabled admin": token("closed", role="ADMIN"),
        "given back": given_back,
        "of nobody": token("", role="ADMIN"),
    }


def test_no_other_token_gets_anybody_in_as_a_header_or_as_a_cookie(still: World) -> None:
    tokens = other_tokens(still)
    client = still.app.test_client(use_cookies=False)
    for (method, rule), line in TABLE.items():
        if line.allow is Allow.ANYONE:
            continue
        path = rule
        for name, value in used(rule, still.own["owner"]).items():
            path = path.replace(f"<{name}>", str(value))
        for kind, text in tokens.items():
            for headers in ({"Authorization": f"Bearer {text}"}, {"Cookie": f"chatsvc_access={text}", "X-CSRF-Token": "x"}):
                response = client.open(path, method=method, headers=headers, json=line.body)
                assert (response.status_code, response.data == still.ask("anonymous", method, rule, used(rule, UNKNOWN)).data) == (401, True), (rule, kind)


@pytest.mark.parametrize(("method", "rule"), [key for key in TABLE if key[0] == "GET"])
def test_everybody_reaches_their_own(still: World, method: str, rule: str) -> None:
    """By reading; `test_changes.py` has the others."""
    reach_their_own(still, method, rule)


def reach_their_own(world: World, method: str, rule: str) -> None:
    line = TABLE[method, rule]
    for who in SOMEBODY:
        response = world.ask(who, method, rule, used(rule, world.own[who]))
        allowed = line.allow is not Allow.ADMIN or who == "admin"
        assert response.status_code == (line.refuses_all or line.status if allowed else 403), (who, response.text)
        if not allowed:
            assert response.json is not None
            assert response.json.keys() == ({"detail"} if rule.startswith(("/api/v1", "/auths")) else {"success", "message"})
            assert holds_no_id(world, response)


@pytest.mark.parametrize(("method", "rule"), SHARED)
def test_what_everybody_may_know_of_is_still_not_found_when_it_is_not_there(still: World, method: str, rule: str) -> None:
    line = TABLE[method, rule]
    for who in SOMEBODY:
        unknown, malformed = (still.ask(who, method, rule, used(rule, ids)) for ids in (UNKNOWN, MALFORMED))
        allowed = line.allow is not Allow.ADMIN or who == "admin"
        statuses = (line.refuses_all or 404, 404) if allowed else (403, 403)
        assert (unknown.status_code, malformed.status_code) == statuses
        assert holds_no_id(still, unknown)
        assert holds_no_id(still, malformed)


@pytest.mark.parametrize(("method", "rule"), [key for key in WITH_IDS if key not in SHARED])
def test_what_is_somebody_elses_looks_like_what_is_not_there(still: World, method: str, rule: str) -> None:
    for who in SOMEBODY if (method, rule) not in OF_USERS else ("owner", "stranger"):
        unknown, malformed = (still.ask(who, method, rule, used(rule, ids)) for ids in (UNKNOWN, MALFORMED))
        assert (unknown.status_code, malformed.status_code) == (404, 404)
        for other in set(SOMEBODY) - {who}:
            before = still.seen_by_owner(other)
            response = still.ask(who, method, rule, used(rule, still.own[other]))
            assert (response.status_code, response.data) == (404, unknown.data), (who, other)
            assert set(response.headers.keys()) == set(unknown.headers.keys())
            assert holds_no_id(still, response)
            assert still.seen_by_owner(other) == before, "nothing was changed"
        assert holds_no_id(still, unknown)
        assert holds_no_id(still, malformed)


def test_a_message_of_somebody_elses_session_is_not_reached_through_ones_own(still: World) -> None:
    rule = f"{ONE}/messages/<message_id>"
    for who in SOMEBODY:
        mine = still.own[who]["session_id"]
        unknown = still.ask(who, "PUT", rule, {"session_id": mine, "message_id": UNKNOWN["message_id"]})
        for other in set(SOMEBODY) - {who}:
            response = still.ask(who, "PUT", rule, {"session_id": mine, "message_id": still.own[other]["message_id"]})
            assert (response.status_code, response.data) == (404, unknown.data), (who, other)


def test_lists_and_figures_hold_nothing_of_anybody_else(still: World) -> None:
    for who in SOMEBODY:
        lists = [f"{ENVELOPE}{query}" for query in ("", "?search=secret", "?offset=0", "?status=ACTIVE", f"/{still.own[who]['session_id']}/messages")]
        lists += [CONVERSATIONS, *(f"{CONVERSATIONS}/{still.own[who]['conversation_id']}{path}" for path in ("", "/messages", "/chat-sessions?status=ALL"))]
        for path in (SESSIONS, f"{SESSIONS}?search=secret", f"{SESSIONS}/stats/user", f"{SESSIONS}/{still.own[who]['session_id']}", *lists):
            response = still.ask(who, "GET", path, {}) if path in (SESSIONS, f"{SESSIONS}/stats/user") else still.people[who].get(path)
            assert response.status_code == 200
            others = [still.own[other] for other in SOMEBODY if other != who]
            assert not any(str(own[name]) in response.text for own in others for name in ("session_id", "conversation_id"))
            assert not any(f"Secret of {other}" in response.text for other in SOMEBODY if other != who)


def test_an_address_that_is_not_there_is_not_there_for_anybody(still: World) -> None:
    client, methods = still.app.test_client(use_cookies=False), ("GET", "POST", "PUT", "DELETE", "PATCH")
    answers = [client.open("/api/v1/nowhere", method=method, headers=still.headers(who)) for who in (*NOBODY, *SOMEBODY) for method in methods]
    assert {(response.status_code, response.data) for response in answers} == {(404, b'{"detail":"There is nothing at this address"}')}
