"""Holds answers against the document: whatever the service says must be said there too, and in that form."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson
from flask import Flask, Response, request
from jsonschema_rs import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from chatsvc import api
from chatsvc.api.openapi.document import VARIABLE

Json = dict[str, Any]

KNOWN = {door.name for door in api.DOORS} - {"docs"}
EVENT = ("event: ", "id: ", "data: ")
LINES = "application/x-ndjson"
_mismatches: list[str] = []


class Checker:
    """The document of one set of settings, with a validator for each answer, made when first needed."""

    def __init__(self, text: bytes) -> None:
        self.document: Json = json.loads(text)
        self.schemas = {name: closed(schema) for name, schema in self.document["components"]["schemas"].items()}
        self._made: dict[tuple[str, str, int, str], Draft202012Validator | None] = {}

    def validator(self, schema: Json) -> Draft202012Validator:
        return Draft202012Validator({**closed(schema), "components": {"schemas": self.schemas}}, validate_formats=True)

    def check(self, method: str, path: str, status: int, content_type: str | None, body: bytes | None) -> None:
        """Of a body of None, which is a stream or an answer to HEAD, only the type is looked at."""
        media = (content_type or "").partition(";")[0]
        key = (path, method, status, media)
        if key not in self._made:
            self._made[key] = self._validator_of(method, path, status, media, nothing=not body)
        validator = self._made[key]
        if validator is None:
            assert not body or media == "text/event-stream", f"{method} {path}: {status} is documented without a body, and has {body[:200]!r}"
        elif body is not None:
            for error in validator.iter_errors(text_of_lines(body) if media == LINES else orjson.loads(body)):
                raise AssertionError(f"{method} {path}: {status}: {error.message} at {list(error.instance_path)}: {body[:500]!r}")

    def _validator_of(self, method: str, path: str, status: int, media: str, *, nothing: bool) -> Draft202012Validator | None:
        assert path in self.document["paths"], f"{path} is not in the document"
        assert method.lower() in self.document["paths"][path], f"{method} {path} is not in the document"
        answers = self.document["paths"][path][method.lower()]["responses"]
        assert str(status) in answers, f"{method} {path}: {status} is not in the document"
        content = self.resolved(answers[str(status)]).get("content", {})
        if not content:
            return None
        assert media in content, f"{method} {path}: {status} is documented as {list(content)}, and is {media or 'nothing'}"
        return None if media == "text/event-stream" else self.validator(content[media]["schema"])

    def resolved(self, found: Json) -> Json:
        while "$ref" in found:
            place: Any = self.document
            for step in found["$ref"].removeprefix("#/").split("/"):
                place = place[step]
            found = place
        return found

    def check_events(self, text: str) -> None:
        """A whole stream, or the rest of one, against its grammar."""
        names, sent = [], 0
        for block in filter(None, text.split("\n\n")):
            if block.startswith(":"):
                continue
            lines = block.split("\n")
            assert [line[: len(start)] for line, start in zip(lines, EVENT, strict=True)] == list(EVENT), block
            name, number, data = (line[len(start) :] for line, start in zip(lines, EVENT, strict=True))
            names.append(name)
            assert int(number) >= sent, block
            sent = int(number)
            schema = self.document["paths"]["/api/v1/chat/stream"]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]["x-events"][name]
            for error in self.validator(schema).iter_errors(orjson.loads(data)):
                raise AssertionError(f"event {name}: {error.message}: {data[:500]}")
        assert names.count("session") == (names[0] == "session")
        assert [name for name in names if name in ("done", "error")] == names[-1:]


def text_of_lines(body: bytes) -> str:
    """Text, to the document; each of its lines is an object by itself, and the last one says that it is."""
    told = [orjson.loads(line)["type"] for line in body.splitlines()]
    assert told[0] == "export", told[:1]
    assert told[-1] in ("end", "error"), told[-1:]
    return body.decode()


def closed(schema: Any) -> Any:
    """The same, refusing properties that are not named: clients must bear those, the tests must not."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: value if name in ("enum", "const", "default", "examples") else closed(value) for name, value in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


@lru_cache(maxsize=64)
def of_text(text: bytes) -> Checker:
    return Checker(text)


# Where things are, which is another place in each test, and in no document.
PLACES = {"database_url": "", "redis_url": "", "openai_base_url": "", "instance_path": ""}
_by_settings: dict[str, Checker] = {}


def checker(app: Flask) -> Checker:
    """The checker of this application; those with the same document share one, and with the same settings it is not even made again."""
    found = app.extensions.get("tests.openapi")
    if found is None:
        settings = replace(app.extensions["chatsvc.settings"], **PLACES)
        key = repr((settings, [rule.rule for rule in app.url_map.iter_rules()]))
        if key not in _by_settings:
            with app.app_context():
                _by_settings[key] = of_text(app.extensions["chatsvc.openapi"]())
        found = app.extensions["tests.openapi"] = _by_settings[key]
    assert isinstance(found, Checker)
    return found


def check(app: Flask, request_method: str, path: str, status: int, content_type: str | None, body_bytes: bytes | None) -> None:
    """AssertionError when this answer is not as the document says. Addresses that are not ours to document pass, and so does a 500, which no route promises."""
    method = "GET" if request_method == "HEAD" else request_method
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method, return_rule=True)
    except (HTTPException, RequestRedirect):
        return
    if rule.endpoint.partition(".")[0] not in KNOWN or method == "OPTIONS" or status == 500:
        return
    checker(app).check(method, VARIABLE.sub(r"{\1}", rule.rule), status, content_type, None if request_method == "HEAD" else body_bytes)


def watch(app: Flask) -> Flask:
    """Checks every answer of this application from now on; `mismatches` tells what was found."""

    @app.after_request
    def compare(response: Response) -> Response:
        try:
            check(app, request.method, request.path, response.status_code, response.content_type, None if response.is_streamed else response.get_data())
        except AssertionError as error:
            # Raised here it would become a 500 that hides what is wrong.
            _mismatches.append(str(error))
        return response

    return app


def mismatches() -> list[str]:
    """What was found since this was last asked."""
    found = list(_mismatches)
    _mismatches.clear()
    return found
