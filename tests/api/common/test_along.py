"""Routes that ask about the token in the same message as the statement they begin with: nobody gets further by that."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.api.common.caller import checked
from chatsvc.api.common.door import Allow, route_of
from chatsvc.core import quick, tokens, users
from tests import factories
from tests.api.app.accounts import account, sign_in
from tests.api.keys import Product, product
from tests.api.keys import revoke as revoke_key
from tests.api.v1 import rows
from tests.factories import Person

Call = Callable[[Person, str], TestResponse]
SAID = {"message_type": "user", "content": "Hello"}
CALLS: dict[str, Call] = {
    "v1_sessions.index": lambda who, _: who.get("/api/v1/chat-sessions"),
    "v1_sessions.read": lambda who, session: who.get(f"/api/v1/chat-sessions/{session}"),
    "v1_messages.append": lambda who, session: who.post(f"/api/v1/chat-sessions/{session}/messages", json=SAID),
    "v1_messages.index": lambda who, session: who.get(f"/api/v1/chat-sessions/{session}/messages"),
    "app_sessions.index": lambda who, _: who.get("/chat/sessions"),
    "app_sessions.read": lambda who, session: who.get(f"/chat/sessions/{session}"),
    "app_messages.append": lambda who, session: who.post(f"/chat/sessions/{session}/messages", json={"content": "Hello"}),
    "app_messages.index": lambda who, session: who.get(f"/chat/sessions/{session}/messages"),
    "envelope_sessions.index": lambda who, _: who.get("/api/chat-sessions"),
    "envelope_sessions.read": lambda who, session: who.get(f"/api/chat-sessions/{session}"),
    "envelope_sessions.said": lambda who, session: who.get(f"/api/chat-sessions/{session}/messages"),
}
EACH = pytest.mark.parametrize("name", CALLS)


@pytest.fixture
def session(owner: Person) -> str:
    return str(owner.session()["id"])


@dataclass
class ByKey(Person):
    """The same person, by way of a product."""

    shop: Product

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any) -> TestResponse:
        return self.shop.call(method, path, self.user_id, headers=headers, **rest)


@contextmanager
def watched_sends() -> Iterator[list[int]]:
    """How many statements each message to the database had."""
    messages: list[int] = []
    fetched = quick._fetched

    def note(engine: Any, driver: Any, remembered: Any, sent: list[quick.Sent]) -> Any:
        messages.append(len(sent))
        return fetched(engine, driver, remembered, sent)

    with patch.object(quick, "_fetched", note):
        yield messages


def revoke(app: Flask, person: Person) -> None:
    """As another process does it: nothing in this one hears of it."""
    with app.app_context():
        token = checked(person.token)
        tokens.revoke(token.user_id, token.token_id, expires_at=datetime.now(UTC) + timedelta(hours=1))


def test_the_routes_that_do_so_are_these(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules() if (route := route_of(app, rule.endpoint)) and route.along} == set(CALLS)


@EACH
def test_they_let_any_user_in_and_need_nothing_but_the_user_s_id(app: Flask, name: str) -> None:
    route = route_of(app, name)
    assert route is not None
    assert route.allow is Allow.USER
    view: Any = inspect.getclosurevars(inspect.unwrap(app.view_functions[name])).nonlocals["carried_out"]
    view = inspect.getclosurevars(view).nonlocals["view"]
    asked = {
        node.attr
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(view))))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "caller"
    }
    assert asked == {"user_id"}


@EACH
def test_a_token_that_was_revoked_a_moment_ago_is_refused_and_does_nothing(app: Flask, owner: Person, session: str, name: str) -> None:
    assert CALLS[name](owner, session).status_code < 300
    revoke(app, owner)
    before = rows.dump(app)
    assert CALLS[name](owner, session).status_code == 401
    assert CALLS[name](owner, session).status_code == 401
    assert rows.dump(app) == before


@EACH
def test_an_account_that_was_disabled_a_moment_ago_is_refused(app: Flask, name: str) -> None:
    with app.app_context():
        alice = users.create("alice", "a long password of alice")
    here = factories.person(app, str(alice.id))
    session = str(here.session()["id"])
    assert CALLS[name](here, session).status_code < 300
    with app.app_context():
        users.disable("alice")
    assert CALLS[name](here, session).status_code == 401


@EACH
def test_a_sign_in_with_a_password_that_was_changed_a_moment_ago_is_refused_and_does_nothing(app: Flask, name: str) -> None:
    account(app)
    here = sign_in(app).person
    session = str(here.session()["id"])
    assert CALLS[name](here, session).status_code < 300
    with app.app_context():
        users.change_password("alice", "another password of alice")
    before = rows.dump(app)
    assert [CALLS[name](here, session).status_code for _ in range(2)] == [401, 401]
    assert rows.dump(app) == before


@pytest.mark.parametrize("path", ["/api/v1/chat-sessions?page=0", "/api/v1/chat-sessions?cursor=nonsense", "/api/v1/chat-sessions?unknown=1"])
def test_whoever_is_refused_is_told_that_before_anything_else(app: Flask, owner: Person, path: str) -> None:
    assert owner.get(path).status_code == 400
    assert owner.get(f"/api/v1/chat-sessions/{factories.unknown_id()}").status_code == 404
    assert owner.post(f"/api/v1/chat-sessions/{factories.unknown_id()}/messages", json={"content": 1}).status_code == 400
    revoke(app, owner)
    assert owner.get(path).status_code == 401
    owner.token = factories.token(jti="another")
    assert owner.get("/api/v1/chat-sessions").status_code == 200
    revoke(app, owner)
    assert owner.get(f"/api/v1/chat-sessions/{factories.unknown_id()}").status_code == 401
    assert owner.post(f"/api/v1/chat-sessions/{factories.unknown_id()}/messages", json={"content": 1}).status_code == 401


def test_an_idempotency_key_of_whoever_is_refused_stays_free(app: Flask, owner: Person, session: str) -> None:
    path, key = f"/api/v1/chat-sessions/{session}/messages", {"Idempotency-Key": "one"}
    assert owner.get(path).status_code == 200
    revoke(app, owner)
    assert owner.post(path, json=SAID, headers=key).status_code == 401
    assert factories.person(app, "owner", jti="another").post(path, json=SAID, headers=key).headers.get("Idempotent-Replayed") is None


def test_a_victim_s_requests_are_not_used_up_with_their_revoked_token(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="10/minute")
    owner = factories.person(app, "owner")
    assert owner.get("/api/v1/chat-sessions").status_code == 200
    revoke(app, owner)
    assert {owner.get("/api/v1/chat-sessions").status_code for _ in range(5)} == {401}
    fresh = factories.person(app, "owner", jti="another")
    left = fresh.get("/api/v1/chat-sessions").headers["RateLimit-Remaining"]
    assert int(left) >= 10 - 3, "one by the token while it held, one as it was found out, and this one"


def test_what_is_due_is_forgotten_with_the_request(app: Flask, owner: Person, session: str) -> None:
    """The next request of this thread may be anybody's."""
    assert owner.get("/api/v1/chat-sessions").status_code == 200
    with patch.object(quick, "_fetched", side_effect=RuntimeError("broken")):
        assert owner.get("/api/v1/chat-sessions").status_code == 500
    revoke(app, owner)
    assert app.test_client().get("/healthz").status_code == 200
    assert factories.person(app, "stranger").get("/api/v1/chat-sessions").status_code == 200


def test_list_read_and_append_are_one_message_to_a_database_that_is_a_way_off(app: Flask, owner: Person, session: str, engine_name: str) -> None:
    for name in ("v1_sessions.index", "v1_sessions.read", "v1_messages.append"):
        nobody_has_seen_it = factories.person(app, "owner", jti=name)
        with watched_sends() as messages:
            assert CALLS[name](nobody_has_seen_it, session).status_code < 300
        assert messages == ([2] if engine_name == "postgresql" else [1, 1]), name


def test_with_a_key_they_are_too_whoever_it_acts_for(app: Flask, session: str, engine_name: str) -> None:
    """Of a user who is new to it nothing has to be asked before."""
    shop = product(app)
    assert shop.get("/api/v1/chat-sessions", whom="the first").status_code == 200
    app.extensions["chatsvc.key_uses"].finish()
    calls: list[Callable[[], TestResponse]] = [
        lambda: shop.get("/api/v1/chat-sessions"),
        lambda: shop.get(f"/api/v1/chat-sessions/{session}"),
        lambda: shop.post(f"/api/v1/chat-sessions/{session}/messages", json=SAID),
    ]
    for call in calls:
        with watched_sends() as messages:
            assert call().status_code < 300
        assert messages == ([2] if engine_name == "postgresql" else [1, 1])


@EACH
def test_a_key_that_was_revoked_a_moment_ago_is_refused_and_does_nothing(app: Flask, session: str, name: str) -> None:
    shop = product(app)
    who = ByKey(app.test_client(use_cookies=False), "owner", "", shop)
    assert CALLS[name](who, session).status_code < 300
    app.extensions["chatsvc.key_uses"].finish()
    revoke_key(app, shop)
    before = rows.dump(app)
    assert [CALLS[name](who, session).status_code for _ in range(2)] == [401, 401]
    assert rows.dump(app) == before


@EACH
def test_nor_does_one_of_a_disabled_account_whoever_it_acted_for_before(app: Flask, name: str) -> None:
    with app.app_context():
        alice = users.create("alice", "a long password of alice")
    shop = product(app)
    who = ByKey(app.test_client(use_cookies=False), str(alice.id), "", shop)
    session = str(who.session()["id"])
    assert CALLS[name](who, session).status_code < 300
    with app.app_context():
        users.disable("alice")
    assert CALLS[name](who, session).status_code == 401
    assert shop.get("/api/v1/chat-sessions", whom="another").status_code == 200
