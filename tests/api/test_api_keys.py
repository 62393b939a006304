"""A product with its own login: its key lets it in, for the user whom it names and as far as its scopes reach; nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatsvc.core import users
from tests.api.app.accounts import NOBODY, account, page, sign_in
from tests.api.keys import KEYS, Product, expire, forget, product, revoke, spoilt, unknown
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS
from tests.factories import Person, person, unknown_id

CHAT = "/api/v1/chat"
ME = "/auths/me"
EVENTS = "/api/audit-events"


@pytest.fixture
def shop(app: Flask) -> Product:
    return product(app, "read", "write")


# For whom it acts


def test_it_acts_for_a_user_whom_nobody_has_heard_of(shop: Product) -> None:
    made = shop.post(SESSIONS, json={"title": "Shade plants"}, whom="customer 4711")
    assert (made.status_code, made.json and made.json["user_id"]) == (201, "customer 4711")
    assert shop.get(ME, whom="customer 4711").json == {"id": "customer 4711", "username": "customer 4711", "role": "USER"}
    assert [len((shop.get(SESSIONS, whom=whom).json or {})["sessions"]) for whom in ("customer 4711", "customer 4712")] == [1, 0]


def test_it_is_the_same_user_as_the_one_with_a_token(owner: Person, shop: Product) -> None:
    session = owner.session(title="Mine")
    assert shop.get(f"{SESSIONS}/{session['id']}").json == owner.get(f"{SESSIONS}/{session['id']}").json
    assert shop.get(f"{SESSIONS}/{session['id']}", whom="stranger").data == owner.get(f"{SESSIONS}/{unknown_id()}").data


IDS = ["x", "é" * 255, "🔑", "' OR 1=1 --", "%", "*", "alice,bob", "a b", "00000000-0000-0000-0000-000000000000", "key:1", "../..", "ﬁ"]


@pytest.mark.parametrize("whom", IDS)
def test_any_text_of_up_to_255_characters_is_an_id(shop: Product, whom: str) -> None:
    told = shop.get(ME, whom=whom)
    assert (told.status_code, told.json and told.json["id"]) == (200, whom)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whom=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=255))
def test_whatever_it_is_it_comes_back_as_it_was_sent(shop: Product, whom: str) -> None:
    assert (shop.get(ME, whom=whom).json or {})["id"] == whom


@pytest.mark.parametrize("raw", ["", "x" * 256, "\xe9", "\xff\xfe", "own\0er", "\xed\xa0\x80"], ids=ascii)
def test_another_is_refused_by_the_name_of_the_header(app: Flask, shop: Product, raw: str) -> None:
    for path in (ME, SESSIONS):
        told = app.test_client().get(path, environ_overrides={"HTTP_X_API_KEY": shop.key, "HTTP_X_ON_BEHALF_OF": raw})
        assert (told.status_code, [problem["field"] for problem in (told.json or {})["errors"]]) == (400, ["X-On-Behalf-Of"])


@pytest.mark.parametrize("scopes", [("read",), ("write",), ("read", "write")])
def test_alone_it_acts_for_nobody(app: Flask, scopes: tuple[str, ...]) -> None:
    told = product(app, *scopes).get(SESSIONS, whom=None)
    assert told.status_code == 400
    assert (told.json or {})["errors"] == [{"field": "X-On-Behalf-Of", "message": "is required with this key: the id of the user that it acts for"}]


def test_a_local_account_is_known_by_its_name_and_gains_nothing_by_its_role(app: Flask, shop: Product) -> None:
    root = account(app, "root", role="ADMIN")
    assert shop.get(ME, whom=root).json == {"id": root, "username": "root", "role": "USER"}
    assert shop.get(EVENTS, whom=root).status_code == 403
    assert shop.post(KEYS, json={"name": "More", "scopes": ["admin"]}, whom=root).status_code == 403


def test_nobody_acts_for_a_disabled_account(app: Flask, shop: Product, admin: Person) -> None:
    alice = account(app, "alice")
    assert [shop.get(path, whom=alice).status_code for path in (ME, SESSIONS)] == [200, 200]
    with app.app_context():
        users.disable("alice")
    for scopes in (("read", "write"), ("admin",)):
        other = product(app, *scopes)
        assert [(told.status_code, told.data) for told in (other.get(path, whom=alice) for path in (ME, SESSIONS, SESSIONS))] == [(401, NOBODY)] * 3
    assert [(told.status_code, told.data) for told in (shop.get(path, whom=alice) for path in (SESSIONS, ME, SESSIONS))] == [(401, NOBODY)] * 3
    assert shop.get(SESSIONS, whom="another").status_code == 200


# How far it reaches


def test_read_reads_and_nothing_more(app: Flask, owner: Person) -> None:
    reader = product(app, "read")
    path = f"{SESSIONS}/{owner.session()['id']}"
    assert [reader.call(method, path).status_code for method in ("GET", "HEAD")] == [200, 200]
    before = rows.dump(app)
    for method, where, body in (("POST", SESSIONS, {}), ("PUT", path, {"title": "x"}), ("DELETE", path, None), ("POST", CHAT, {"message": "Hello"})):
        told = reader.call(method, where, json=body)
        assert (told.status_code, told.json) == (403, {"detail": "This key may only read; take one with the scope write"}), method
    assert rows.dump(app) == before


def test_write_reads_too(app: Flask) -> None:
    writer = product(app, "write")
    made = writer.post(SESSIONS, json={})
    assert made.status_code == 201
    assert writer.get(f"{SESSIONS}/{(made.json or {})['id']}").status_code == 200


def test_admin_does_what_admins_do_for_somebody_or_by_itself(app: Flask) -> None:
    operator = product(app, "admin")
    for whom in (None, "owner"):
        assert operator.get(EVENTS, whom).status_code == operator.get("/auths/users", whom).status_code == 200
        assert operator.post("/api/personas", json={"name": "Echo", "kind": "echo"}, whom=whom).status_code == 201
        assert operator.get("/api/chat-sessions/stats?scope=global", whom).status_code == 200
    assert operator.get(ME, None).json == {"id": f"key:{operator.key_id}", "username": f"key:{operator.key_id}", "role": "ADMIN"}
    assert (operator.get(ME, "owner").json or {})["role"] == "ADMIN"


def test_what_would_be_somebody_s_needs_to_know_whose(app: Flask) -> None:
    operator = product(app, "admin")
    told = operator.post(SESSIONS, json={}, whom=None)
    assert (told.status_code, [problem["field"] for problem in (told.json or {})["errors"]]) == (400, ["X-On-Behalf-Of"])
    assert rows.count(app, "chat_sessions") == 0
    assert operator.post(SESSIONS, json={}).status_code == 201


def test_an_empty_name_does_not_make_a_key_act_by_itself(app: Flask) -> None:
    """A product whose user has no id, by some mistake, must not become an admin."""
    operator = product(app, "admin")
    assert app.test_client().get(EVENTS, headers={"X-API-Key": operator.key, "X-On-Behalf-Of": ""}).status_code == 400


def test_a_key_has_no_sign_in_to_end(app: Flask, shop: Product) -> None:
    for who in (shop, product(app, "admin")):
        assert who.post("/auths/logout").status_code == 403
        assert who.get(ME).status_code == 200


@pytest.mark.parametrize("scopes", [("read",), ("write",), ("read", "write")])
def test_keys_manage_no_keys(app: Flask, scopes: tuple[str, ...]) -> None:
    who = product(app, *scopes)
    for method, path, body in (("POST", KEYS, {"name": "x", "scopes": ["admin"]}), ("GET", KEYS, None), ("GET", f"{KEYS}/{who.key_id}", None)):
        assert who.call(method, path, json=body).status_code == 403
    assert who.delete(f"{KEYS}/{who.key_id}").status_code == 403
    assert rows.count(app, "api_keys") == 1


def test_but_for_those_of_admins(app: Flask) -> None:
    operator = product(app, "admin")
    made = operator.post(KEYS, json={"name": "Another", "scopes": ["read"]}, whom=None)
    assert (made.json or {})["data"]["createdBy"] == f"key:{operator.key_id}"
    assert operator.delete(f"{KEYS}/{operator.key_id}", None).status_code == 200
    assert operator.get(KEYS, None).status_code == 401, "it has revoked itself"


# Who is nobody


def nobodies(app: Flask) -> dict[str, str]:
    revoked, expired = product(app, "admin"), product(app, "admin", expires_in_days=1)
    assert [who.get(ME).status_code for who in (revoked, expired)] == [200, 200]
    revoke(app, revoked)
    expire(app, expired)
    good = product(app, "admin").key
    return {
        **{"unknown": unknown(), "revoked": revoked.key, "expired": expired.key, "spoilt": spoilt(good), "cut off": good[:-1], "longer": f"{good}x"},
        **{"empty": "", "a word": "password", "only its beginning": "csk_", "another case": good.upper(), "twice": f"{good},{good}"},
        **{
            "a token": person(app, "owner").token,
            "quoted": f'"{good}"',
            "with a scheme": f"Bearer {good}",
            "not ASCII": good[:-1] + "é",
            "long": "x" * 100_000,
        },
        **{"a NUL behind": f"{good}\0", "a line behind": f"{good}\n", "other digits": good.replace("1", "\u0661") if "1" in good else f"{good[:-1]}\u0661"},
    }


def test_no_other_key_is_anybody_and_all_are_told_the_same(app: Flask) -> None:
    for name, key in nobodies(app).items():
        for path in (ME, SESSIONS, SESSIONS):
            for whom in ({"HTTP_X_ON_BEHALF_OF": "owner"}, {}, {"HTTP_X_ON_BEHALF_OF": ""}):
                told = app.test_client().get(path, environ_overrides={"HTTP_X_API_KEY": key.encode().decode("latin-1"), **whom})
                assert (told.status_code, told.data, told.headers["WWW-Authenticate"]) == (401, NOBODY, "Bearer"), name


def test_what_is_no_key_costs_no_statement_and_an_unknown_one_costs_one(app: Flask, shop: Product) -> None:
    client = app.test_client()
    for key, amount in (("csk_", 0), (spoilt(shop.key), 0), (shop.key[:-1], 0), (unknown(), 1)):
        with rows.statements(app) as seen:
            assert client.get(SESSIONS, headers={"X-API-Key": key, "X-On-Behalf-Of": "owner"}).status_code == 401
        assert len(seen) == amount


def test_two_ways_in_at_once_are_refused_whichever_is_good(app: Flask, owner: Person, shop: Product) -> None:
    for token in (owner.token, "nonsense"):
        for key in (shop.key, unknown(), ""):
            told = app.test_client().get(SESSIONS, headers={"Authorization": f"Bearer {token}", "X-API-Key": key, "X-On-Behalf-Of": "owner"})
            assert (told.status_code, [problem["field"] for problem in (told.json or {})["errors"]]) == (400, ["X-API-Key"])


def test_a_token_acts_for_nobody_else(app: Flask, owner: Person) -> None:
    for path in (ME, SESSIONS):
        told = owner.get(path, headers={"X-On-Behalf-Of": "stranger"})
        assert (told.status_code, [problem["field"] for problem in (told.json or {})["errors"]]) == (400, ["X-On-Behalf-Of"])
        assert app.test_client().get(path, headers={"X-On-Behalf-Of": "stranger"}).data == NOBODY


def test_a_key_rules_cookies_out_and_needs_no_value_of_the_page(app: Flask, shop: Product) -> None:
    account(app, "alice")
    browser, _ = page(app)
    assert browser.get(ME).status_code == 200
    assert browser.get(ME, headers={"X-API-Key": unknown(), "X-On-Behalf-Of": "owner"}).status_code == 401
    made = browser.post(SESSIONS, json={}, headers={"X-API-Key": shop.key, "X-On-Behalf-Of": "owner"})
    assert (made.status_code, (made.json or {})["user_id"]) == (201, "owner")


def test_pages_of_other_origins_may_not_send_one(make_app: Callable[..., Flask]) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key, x-on-behalf-of"}
    told = make_app(CORS_ORIGINS="https://shop.example").test_client().options(SESSIONS, headers=asked)
    assert told.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert not {"x-api-key", "x-on-behalf-of"} & set(told.headers["Access-Control-Allow-Headers"].lower().split(", "))


# Until when


@pytest.mark.parametrize("end", [revoke, expire])
def test_it_is_refused_at_once_in_every_process(app: Flask, make_app: Callable[..., Flask], shop: Product, end: Callable[[Flask, Product], None]) -> None:
    there = make_app()
    elsewhere = Product(there.test_client(use_cookies=False), shop.key_id, shop.key)
    for who in (shop, elsewhere):
        assert [who.get(path).status_code for path in (ME, SESSIONS, SESSIONS)] == [200] * 3
    end(app, shop)
    for who in (elsewhere, shop):
        assert [(told.status_code, told.data) for told in (who.get(path) for path in (SESSIONS, SESSIONS, ME))] == [(401, NOBODY)] * 3
        assert who.post(SESSIONS, json={}).status_code == 401


def test_a_row_that_is_gone_is_a_key_that_is_not_good(app: Flask, shop: Product) -> None:
    assert shop.get(SESSIONS).status_code == 200
    forget(app)
    assert shop.get(SESSIONS).status_code == 401


def test_what_is_asked_while_it_is_revoked_is_done_or_refused_and_nothing_after_it_is_done(app: Flask, shop: Product) -> None:
    session = str((shop.post(SESSIONS, json={}).json or {})["id"])
    done = []

    def append(number: int) -> int:
        if number == 30:
            revoke(app, shop)
            done.append(rows.count(app, "chat_messages"))
        told = shop.post(f"{SESSIONS}/{session}/messages", json={"content": f"Message {number}", "message_type": "user"})
        return told.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(append, range(60)))
    assert set(statuses) == {201, 401}
    assert rows.count(app, "chat_messages") == statuses.count(201)
    assert statuses.count(201) - done[0] <= 8, "those that were under way"
    assert append(99) == 401


# How often


@pytest.fixture
def counting(make_app: Callable[..., Flask]) -> Flask:
    return make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="5/minute", RATELIMIT_SEND="2/minute", RATELIMIT_KEY="12/minute")


def test_it_is_counted_by_the_user_it_acts_for_and_by_key(counting: Flask) -> None:
    shop = product(counting)
    assert [shop.get(SESSIONS, whom="one").status_code for _ in range(6)] == [200] * 5 + [429]
    assert shop.get(SESSIONS, whom="two").headers["RateLimit-Remaining"] == "4"
    assert person(counting, "one").get(SESSIONS).status_code == 429, "it is one user, whichever way"
    assert [shop.get(SESSIONS, whom=f"user {number}").status_code for number in range(6)] == [200] * 5 + [429]
    told = shop.get(SESSIONS, whom="somebody new")
    assert (told.status_code, told.headers["RateLimit-Policy"]) == (429, '"key";q=12;w=60')
    assert product(counting).get(SESSIONS, whom="somebody new").status_code == 200


def test_sends_are_counted_by_user_too(counting: Flask) -> None:
    shop = product(counting)
    assert [shop.post(CHAT, json={"message": "Hello"}, whom="one").status_code for _ in range(3)] == [200, 200, 429]
    assert shop.post(CHAT, json={"message": "Hello"}, whom="two").status_code == 200


@pytest.mark.parametrize("what", ["unknown", "malformed", "both", "nobody"])
def test_tries_that_fail_are_counted_by_address(counting: Flask, what: str) -> None:
    good = product(counting).key
    headers: dict[str, dict[str, str]] = {
        "unknown": {"X-API-Key": unknown(), "X-On-Behalf-Of": "one"},
        "malformed": {"X-API-Key": "x", "X-On-Behalf-Of": "one"},
        "both": {"X-API-Key": good, "Authorization": "Bearer x"},
        "nobody": {"X-API-Key": good},
    }
    client, status = counting.test_client(), 401 if what in ("unknown", "malformed") else 400
    assert [client.get(SESSIONS, headers=headers[what]).status_code for _ in range(6)] == [status] * 5 + [429]
    assert product(counting).get(SESSIONS, whom="one").status_code == 200


def test_a_user_s_requests_are_not_used_up_with_a_revoked_key(counting: Flask) -> None:
    shop = product(counting)
    assert shop.get(SESSIONS, whom="one").status_code == 200
    revoke(counting, shop)
    assert {shop.get(SESSIONS, whom="one").status_code for _ in range(4)} == {401}
    left = product(counting).get(SESSIONS, whom="one").headers["RateLimit-Remaining"]
    assert int(left) >= 5 - 3, "one by the key while it was good, one as it was found out, and this one"


# Once only


def test_an_idempotency_key_belongs_to_the_user_it_acts_for(owner: Person, shop: Product) -> None:
    once = {"Idempotency-Key": "order-17"}
    first = shop.post(SESSIONS, json={"title": "Order"}, headers=once)
    again = owner.post(SESSIONS, json={"title": "Order"}, headers=once)
    assert (again.headers["Idempotent-Replayed"], again.data) == ("true", first.data)
    other = shop.post(SESSIONS, json={"title": "Order"}, whom="stranger", headers=once)
    assert (other.status_code, "Idempotent-Replayed" in other.headers) == (201, False)


# What is written down


def noted(app: Flask) -> list[tuple[str, str | None, dict[str, Any]]]:
    found = rows.run(app, "SELECT action, actor_id, details FROM audit_events ORDER BY id")
    return [(row.action, row.actor_id, row.details if isinstance(row.details, dict) else json.loads(row.details)) for row in found]


def test_what_is_done_with_a_key_is_written_down_with_it(app: Flask) -> None:
    operator, shop = product(app, "admin"), product(app)
    operator.post("/api/personas", json={"name": "Echo", "kind": "echo"}, whom=None)
    operator.post("/api/chat-sessions/cleanup", whom="boss")
    session = (shop.post("/api/chat-sessions", json={}).json or {})["data"]["sessionId"]
    assert shop.delete(f"/api/chat-sessions/{session}").status_code == 200
    told = [(action, actor, details.get("by_key")) for action, actor, details in noted(app) if action != "api_key.created"]
    assert told == [
        ("persona.created", f"key:{operator.key_id}", operator.key_id),
        ("cleanup.timeout", "boss", operator.key_id),
        ("session.erased", "owner", shop.key_id),
    ]


def test_and_what_is_done_afterwards_without_one_is_not(app: Flask, admin: Person) -> None:
    product(app, "admin").post("/api/personas", json={"name": "Echo", "kind": "echo"}, whom=None)
    admin.post("/api/personas", json={"name": "Echo 2", "kind": "echo"})
    assert ["by_key" in details for action, _, details in noted(app) if action == "persona.created"] == [True, False]


def test_a_sign_in_and_a_key_of_one_user_are_apart(app: Flask, shop: Product) -> None:
    alice = account(app, "alice")
    signed_in = sign_in(app).person
    revoke(app, shop)
    assert signed_in.get(ME).status_code == 200
    other = product(app)
    assert signed_in.post("/auths/logout").status_code == 204
    assert other.get(ME, whom=alice).status_code == 200
