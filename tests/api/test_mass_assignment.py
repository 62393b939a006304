"""Every column that there is, sent to every route that takes a body or a query: what a route does not declare is refused, and nothing is written."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from marshmallow import Schema
from werkzeug.test import TestResponse

from chatsvc.api.common.door import Allow, Route, route_of
from chatsvc.extensions import Base
from tests.api.test_authorization import FILES, TABLE, World, used, world
from tests.api.v1 import rows

__all__ = ["world"]

COLUMNS = {column.name for table in Base.metadata.tables.values() for column in table.columns}
# What people would try beside them.
MORE = {"_id", "role", "roles", "isAdmin", "is_admin", "admin", "owner", "ownerId", "seq", "sub", "count", "replyId", "__class__", "__proto__", "constructor"}
NAMES = sorted(COLUMNS | {re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in COLUMNS} | MORE)
TABLES = [table for table in Base.metadata.tables if table not in ("workers", "audit_events")]
OWN_READING = {"/api/chat-sessions/cleanup"}  # its view reads the body by itself
WRITES = [key for key, line in TABLE.items() if key[0] != "GET"]


def takes(schema: type[Schema] | None) -> set[str]:
    return {field.data_key or name for name, field in schema().fields.items()} if schema else set()


def declared(app: Flask, method: str, rule: str) -> Route:
    endpoint = next(one.endpoint for one in app.url_map.iter_rules() if one.rule == rule and method in (one.methods or ()) and one.endpoint != FILES)
    found = route_of(app, endpoint)
    assert found
    return found


def everything(app: Flask) -> list[Any]:
    return [sorted(map(str, rows.run(app, f"SELECT * FROM {table}"))) for table in TABLES]


def sent(world: World, method: str, rule: str, route: Route, *, query: str = "", body: dict[str, Any] | None = None) -> TestResponse:
    who = "admin" if route.allow is Allow.ADMIN else "owner"
    path = rule
    for name, value in used(rule, world.own[who]).items():
        path = path.replace(f"<{name}>", str(value))
    return world.app.test_client(use_cookies=False).open(path + query, method=method, headers=world.headers(who), json=body)


def test_no_body_sets_a_column_that_the_route_does_not_declare(app: Flask, world: World) -> None:
    before, asked = everything(app), 0
    for method, rule in WRITES:
        route, line = declared(app, method, rule), TABLE[method, rule]
        if (route.body is None and rule not in OWN_READING) or line.refuses_all:
            continue  # no body is looked at, or only once it is signed
        ours = [name for name in NAMES if name not in takes(route.body)]
        for part in filter(None, (ours[:90], ours[90:180], ours[180:])):
            response = sent(world, method, rule, route, body={**(line.body or {}), **dict.fromkeys(part, "x")})
            assert response.status_code == 400, (method, rule, response.text)
            assert response.json is not None
            assert {problem["field"] for problem in response.json["errors"]} >= set(part), (method, rule)
            asked += 1
    assert everything(app) == before
    assert asked > 40


def test_no_query_does_either(app: Flask, world: World) -> None:
    before = everything(app)
    for method, rule in TABLE:
        route = declared(app, method, rule)
        names = [name for name in NAMES if name not in takes(route.query)][:90]
        response = sent(world, method, rule, route, query=f"?{'&'.join(f'{name}=x' for name in names)}", body=TABLE[method, rule].body)
        assert response.status_code == 400, (method, rule, response.text)
    assert everything(app) == before


def test_there_are_columns_enough() -> None:
    assert {"user_id", "password_hash", "message_count", "secret_sealed", "deleted_at", "disabled_at"} <= COLUMNS
    assert {"userId", "passwordHash", "messageCount"} <= set(NAMES)
