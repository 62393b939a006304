"""Every route that there is, asked with a key: it is let in as the user whom it names, as far as its scopes reach, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.api.common.door import Allow, route_of
from tests.api.keys import Product, expire, product, revoke, spoilt, unknown
from tests.api.test_authorization import FILES, MALFORMED, OF_USERS, SOMEBODY, TABLE, UNKNOWN, WITH_IDS, Ids, World, used, world
from tests.api.test_row_security import confused, existing

__all__ = ["confused", "world"]

LOGOUT = ("POST", "/auths/logout")
OURS = [key for key, line in TABLE.items() if line.allow is not Allow.ANYONE]
READS = ("GET",)


def asked(who: Product, whom: str | None, method: str, rule: str, ids: Ids, **headers: str) -> TestResponse:
    path = rule
    for name, value in used(rule, ids).items():
        path = path.replace(f"<{name}>", str(value))
    told = who.call(method, path, whom, json=TABLE[method, rule].body, headers=headers)
    told.get_data()  # to its end, where it is a stream
    return told


def expected(method: str, rule: str, *scopes: str) -> int:
    line = TABLE[method, rule]
    if (method, rule) == LOGOUT or (line.allow is Allow.ADMIN and "admin" not in scopes) or (method not in READS and scopes == ("read",)):
        return 403
    return line.status


@pytest.mark.parametrize(("method", "rule"), OURS)
def test_a_key_reaches_what_its_user_has_and_no_further_than_its_scopes(world: World, method: str, rule: str) -> None:
    assert asked(product(world.app, "read"), "owner", method, rule, world.own["owner"]).status_code == expected(method, rule, "read")
    assert asked(product(world.app, "write"), "owner", method, rule, world.own["owner"]).status_code == expected(method, rule, "write")
    assert asked(product(world.app, "admin"), "admin", method, rule, world.own["admin"]).status_code == expected(method, rule, "admin")


def test_without_a_user_only_keys_of_admins_read_and_do_what_admins_do(world: World) -> None:
    nobodys = {**UNKNOWN, "persona_id": world.own["owner"]["persona_id"], "key_id": world.own["owner"]["key_id"]}
    others, operator = [product(world.app, *scopes) for scopes in (("read",), ("read", "write"))], product(world.app, "admin")
    for method, rule in OURS:
        for other in others:
            told = asked(other, None, method, rule, nobodys)
            assert (told.status_code, "X-On-Behalf-Of" in told.text) == (400, True)
        assert asked(operator, None, method, rule, nobodys).status_code == alone(method, rule), (method, rule)


def alone(method: str, rule: str) -> int:
    """What a key of an admin is answered that acts for nobody else."""
    if (method, rule) == LOGOUT:
        return 403
    if TABLE[method, rule].allow is Allow.ADMIN:
        return TABLE[method, rule].status
    if method not in READS:
        return 400
    if (method, rule) in OF_USERS:  # an admin may name anybody there
        return TABLE[method, rule].status
    return 404 if used(rule, UNKNOWN) and "<persona_id>" not in rule else TABLE[method, rule].status


def test_what_is_somebody_else_s_looks_like_what_is_not_there(world: World) -> None:
    before = world.seen_by_owner("owner")
    for scopes in (("read",), ("read", "write"), ("admin",)):
        who = product(world.app, *scopes)
        for method, rule in OURS:
            if not used(rule, UNKNOWN) or "persona_id" in rule or "key_id" in rule or expected(method, rule, *scopes) == 403:
                continue
            if (method, rule) in OF_USERS and "admin" in scopes:
                continue
            unknown_there, malformed, theirs = (asked(who, "stranger", method, rule, ids) for ids in (UNKNOWN, MALFORMED, world.own["owner"]))
            assert {told.status_code for told in (unknown_there, malformed, theirs)} == {404}, (method, rule)
            assert theirs.data == unknown_there.data
    assert world.seen_by_owner("owner") == before


def test_no_bad_key_gets_anybody_in_anywhere_and_all_are_told_what_nobody_is_told(world: World) -> None:
    app = world.app
    revoked, expired = product(app, "admin"), product(app, "admin", expires_in_days=1)
    revoke(app, revoked)
    expire(app, expired)
    good = product(app, "admin").key
    bad = {"unknown": unknown(), "revoked": revoked.key, "expired": expired.key, "spoilt": spoilt(good), "cut off": good[:-1], "empty": ""}
    for method, rule in OURS:
        nobody = world.ask("anonymous", method, rule, used(rule, UNKNOWN))
        for name, key in bad.items():
            for whom in ("owner", None):
                told = asked(Product(app.test_client(use_cookies=False), "", key), whom, method, rule, world.own["owner"])
                assert (told.status_code, told.data) == (401, nobody.data), (name, method, rule)
                assert set(told.headers.keys()) == set(nobody.headers.keys())


def test_nothing_is_done_where_a_key_and_a_token_come_together(world: World) -> None:
    who = product(world.app, "admin")
    before = {name: world.seen_by_owner(name) for name in SOMEBODY}
    for method, rule in OURS:
        told = asked(who, "owner", method, rule, world.own["owner"], Authorization=world.headers("owner")["Authorization"])
        assert (told.status_code, "X-API-Key" in told.text) == (400, True), rule
    assert {name: world.seen_by_owner(name) for name in SOMEBODY} == before


def test_routes_for_anyone_look_at_no_key(app: Flask) -> None:
    """What is answered there does not hang on it, and nothing is asked about it."""
    for method, rule in TABLE:
        if TABLE[method, rule].allow is Allow.ANYONE and "<" not in rule and rule != "/auths/login":
            told = [product(app).client.open(rule, method=method, headers=headers) for headers in ({}, {"X-API-Key": "x"}, {"X-API-Key": unknown()})]
            assert len({one.status_code for one in told}) == 1, rule


def test_every_route_that_takes_no_key_is_known(app: Flask) -> None:
    found = {(method, rule.rule) for rule in app.url_map.iter_rules() if rule.endpoint != FILES for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    closed: set[Any] = set()
    for method, rule in found:
        endpoint = next(one.endpoint for one in app.url_map.iter_rules() if one.rule == rule and method in (one.methods or ()))
        route = route_of(app, endpoint)
        closed |= {(method, rule)} if route and not route.by_key else set()
    assert closed == {LOGOUT}


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")
def test_the_second_wall_holds_for_keys(world: World, confused: None) -> None:
    """With every view taking whoever calls for the owner, PostgreSQL shows and changes nothing of hers to a key that acts for somebody else, or alone."""
    before = existing(world.app)
    assert before["chat_messages"]
    for scopes, whom in ((("read", "write"), "stranger"), (("admin",), "stranger"), (("admin",), None)):
        who = product(world.app, *scopes)
        for method, rule in [*WITH_IDS, *[key for key in OURS if key[0] == "GET" and "<" not in key[1]]]:
            if (method, rule) == ("GET", "/auths/me"):
                continue
            told = asked(who, whom, method, rule, world.own["owner"])
            assert "of owner" not in told.text.replace("Echo of owner", "").replace("Key of owner", ""), (method, rule)
            assert "to owner" not in told.text, (method, rule)
    assert existing(world.app) == before
