"""The OpenAPI document, put together from what the routes declare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from typing import Any, NamedTuple

from flask import Flask
from marshmallow import Schema

from chatsvc.api.common.caller import SAFE_METHODS
from chatsvc.api.common.door import Allow, Route, route_of
from chatsvc.api.openapi import answers, parts, prose
from chatsvc.api.openapi.kinds import Converter, in_a_query, name_of, new_spec
from chatsvc.api.openapi.notes import NOTES, Note
from chatsvc.extensions import settings

Json = dict[str, Any]
VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
NUMBERS = ("message_id", "reply_id")
WITHOUT_NOTE = Note()


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    endpoint: str
    route: Route
    note: Note
    tag: str

    @property
    def writes(self) -> bool:
        return self.method not in SAFE_METHODS


def build(app: Flask, *, has_envelope: Callable[[str], bool]) -> Json:
    """The document of this application; pages for people are no part of it."""
    order = [name for _, name, _ in prose.FACES]
    found = sorted(_operations(app), key=lambda one: (order.index(one.tag), one.path.split("/")))
    tags = [{"name": name, "description": about} for _, name, about in prose.FACES if about and any(one.tag == name for one in found)]
    spec, converter = new_spec(
        prose.TITLE,
        import_module(app.import_name).__version__,
        info={"description": prose.ABOUT},
        servers=[{"url": settings().public_url.rstrip("/") or "/"}],
        tags=tags,
    )
    paths: Json = {}
    for one in found:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, converter, envelope=has_envelope(one.path))
    return _completed({**spec.to_dict(), "paths": paths}, envelope=any(has_envelope(one.path) for one in found))


def _operations(app: Flask) -> Iterator[Operation]:
    for rule in app.url_map.iter_rules():
        route = route_of(app, rule.endpoint)
        if route is None or route.page:
            continue
        path = VARIABLE.sub(r"{\1}", rule.rule)
        tag = next(name for beginning, name, _ in prose.FACES if f"{path}/".startswith(beginning))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Operation(method, path, rule.endpoint, route, NOTES.get(rule.endpoint, WITHOUT_NOTE), tag)


def _operation(one: Operation, converter: Converter, *, envelope: bool) -> Json:
    route, note = one.route, one.note
    about = " ".join(filter(None, (note.about, "Admins only." if route.allow is Allow.ADMIN else "")))
    outcomes = note.answers or ((route.answer,) if route.answer else ())
    schemas = [one if isinstance(one, str) else _reference(one, converter) for one in outcomes]
    return {
        "operationId": one.endpoint.replace(".", "_"),
        "tags": [one.tag],
        "summary": route.summary,
        **({"description": about} if about else {}),
        "parameters": [*_path_parameters(one.path), *_query_parameters(route, converter), *answers.sent_headers(route, note)],
        **_request_body(route, note, converter),
        "responses": {
            str(route.status): answers.success(route, note, schemas, envelope=envelope),
            **answers.refusals(route, note, one.path, envelope=envelope, writes=one.writes),
        },
        "security": _security(route, writes=one.writes),
    }


def _reference(schema: type[Schema], converter: Converter) -> str:
    """The name of the component that this schema has become."""
    converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]
    return name_of(schema)


def _path_parameters(path: str) -> list[Json]:
    kinds = {name: parts.MESSAGE_ID if name in NUMBERS else parts.USER_ID if name == "user_id" else parts.UUID for name in re.findall(r"{([^}]+)}", path)}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in kinds.items()]


def _query_parameters(route: Route, converter: Converter) -> list[Json]:
    if route.query is None:
        return []
    found = [
        {"name": field.data_key or name, "in": "query", "required": field.required, "schema": in_a_query(converter.field2property(field))}
        for name, field in route.query().load_fields.items()
    ]
    return [{**one, "description": parts.QUERIES[one["name"]]} if one["name"] in parts.QUERIES else one for one in found]


def _request_body(route: Route, note: Note, converter: Converter) -> Json:
    schema = route.body or note.body
    if schema is None:
        return {}
    name = _reference(schema, converter)
    return {"requestBody": answers.body(parts.ref("schemas", name), name, form=route.form, required=route.body is not None)}


def _security(route: Route, *, writes: bool) -> list[Json]:
    if route.allow is Allow.ANYONE:
        return []
    by_key: list[Json] = [{"apiKey": [], "onBehalfOf": []}, *([{"apiKey": []}] if route.allow is Allow.ADMIN else [])]
    return [{"bearer": []}, {"cookie": [], "csrf": []} if writes else {"cookie": []}, *(by_key if route.by_key else [])]


def _completed(document: Json, *, envelope: bool) -> Json:
    """With what the operations share, and with what the schemas' fields cannot say."""
    components = document["components"]
    components["schemas"] |= deepcopy(parts.SCHEMAS)
    for name, rule in parts.RULES.items():
        components["schemas"].get(name, {}).update(rule)
    if not settings().message_history:
        for name, field in parts.IDS_OF_MESSAGES:
            properties = components["schemas"][name]["properties"]
            properties[field] = {**properties[field], "type": ["integer", "null"], "description": "Null: this service keeps no messages."}
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["responses"] = answers.shared(envelope=False) | (answers.shared(envelope=True) if envelope else {})
    components |= {"parameters": parts.PARAMETERS, "headers": parts.HEADERS, "securitySchemes": parts.SCHEMES}
    return {"openapi": document["openapi"], **{name: document[name] for name in ("info", "servers", "tags")}, **document}
