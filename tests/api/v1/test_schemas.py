"""The answer schemas name exactly what the wire gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from chatsvc.api.common.door import route_of
from tests.api.v1.calls import MOMENT, SESSIONS, Body, answered, archive, body_of, change
from tests.factories import Person


def keys(schema: Schema) -> dict[str, Any]:
    """The names of a schema, and below them those of what it nests."""
    return {name: _below(field) for name, field in schema.fields.items()}


def _below(field: fields.Field[Any]) -> Any:
    if isinstance(field, fields.List):
        return [_below(field.inner)]
    return keys(field.schema) if isinstance(field, fields.Nested) else None


def shape(value: Any, like: Any) -> Any:
    """The names of a body, as deep as the schema says."""
    if isinstance(like, list):
        assert value, "a list without rows shows nothing"
        return [shape(value[0], like[0])]
    return {name: shape(inner, like.get(name)) for name, inner in value.items()} if isinstance(like, dict) else None


def promised(app: Flask, method: str, path: str) -> dict[str, Any]:
    endpoint, _ = app.url_map.bind("localhost").match(path, method)
    route = route_of(app, endpoint)
    assert route
    assert route.answer
    return keys(route.answer())


@pytest.fixture
def answers(owner: Person) -> list[tuple[str, str, Body]]:
    """One answer of each route, with its method and address."""
    session = owner.session(title="Trip", metadata={"a": 1})
    path = f"{SESSIONS}/{session['id']}"
    message = owner.message(session["id"], "Hello")
    return [
        ("POST", SESSIONS, session),
        ("POST", f"{path}/messages", message),
        ("PUT", f"{path}/messages/{message['id']}", answered(owner.put(f"{path}/messages/{message['id']}", json={"content": "Changed"}))),
        ("GET", SESSIONS, body_of(owner, SESSIONS)),
        ("GET", path, body_of(owner, path)),
        ("PUT", path, change(owner, session["id"], title="Journey")),
        ("GET", f"{path}/messages", body_of(owner, f"{path}/messages")),
        ("DELETE", path, archive(owner, session["id"])),
        ("GET", f"{SESSIONS}/stats/user", body_of(owner, f"{SESSIONS}/stats/user")),
    ]


def test_every_answer_has_exactly_the_keys_of_its_schema(app: Flask, answers: list[tuple[str, str, Body]]) -> None:
    for method, address, body in answers:
        like = promised(app, method, address)
        assert shape(body, like) == like, (method, address)


def test_every_time_is_utc_with_six_digits_and_a_z(answers: list[tuple[str, str, Body]]) -> None:
    times = [value for _, _, body in answers for name, value in every_value(body) if name.endswith(("_at", "_session")) and value is not None]
    assert len(times) > 20
    assert all(MOMENT.fullmatch(value) for value in times)


def every_value(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All that a body holds, with the name it goes by."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from every_value(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from every_value(inner, name)
    else:
        yield name, value


def test_no_route_of_this_face_is_missing_from_that_comparison(app: Flask) -> None:
    here = {
        (method, rule.rule) for rule in app.url_map.iter_rules() if rule.rule.startswith(SESSIONS) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    one, messages = f"{SESSIONS}/<session_id>", f"{SESSIONS}/<session_id>/messages"
    assert here == {
        *(("POST", SESSIONS), ("GET", SESSIONS), ("GET", one), ("PUT", one), ("DELETE", one)),
        *(("POST", messages), ("GET", messages), ("PUT", f"{messages}/<message_id>"), ("GET", f"{SESSIONS}/stats/user")),
    }
