"""Reads a request strictly: what the service accepts it can always give back, and what it refuses it names."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import orjson
from flask import current_app, request
from marshmallow import RAISE, Schema, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from chatsvc.core.errors import Invalid, Problem

MAX_BODY = 1024 * 1024
MAX_FIELDS = 100
FORM_TYPE = "application/x-www-form-urlencoded"
BROKEN_OFF = Problem("body", "is not as long as it was announced to be")
QUERIES_KEPT = 1024
LONG_NUMBER = re.compile(rb"[0-9]{19}")


def query(schema: Schema) -> dict[str, Any]:
    """The query parameters, each given at most once."""
    raw = request.query_string
    if not raw and not schema.fields:
        return {}
    # Page after page is asked for in the same words; they mean the same each time. What is refused is not remembered.
    checked: dict[tuple[Schema, bytes], dict[str, Any]] = current_app.extensions.setdefault("chatsvc.queries", {})
    found = checked.get((schema, raw))
    if found is None:
        found = _loaded(schema, _pairs(raw, "query"), "is not a known parameter")
        if len(checked) >= QUERIES_KEPT:
            checked.clear()
        checked[schema, raw] = found
    return {**found}


def body(schema: Schema, *, optional: bool = False, any_type: bool = False) -> dict[str, Any]:
    """The JSON object that was sent."""
    if not any_type and request.mimetype != "application/json" and (request.mimetype or request.content_length or request.headers.get("Transfer-Encoding")):
        raise UnsupportedMediaType("Send the body as application/json")
    raw = sent()
    if not raw.strip():
        if optional:
            return _loaded(schema, {}, "is not a known field")
        raise Invalid(Problem("body", "is empty; send a JSON object"))
    return _loaded(schema, parsed(raw), "is not a known field")


def body_or_form(schema: Schema) -> dict[str, Any]:
    """The same fields as JSON or as a form."""
    if request.mimetype == FORM_TYPE:
        return _loaded(schema, _pairs(sent(), "body"), "is not a known field")
    return body(schema)


def sent() -> bytes:
    """The bytes that were sent, all of them."""
    try:
        raw = request.get_data(cache=True)
        # Of a body without a length we are given the first MAX_BODY bytes, and not told that there were more.
        more = request.content_length is None and len(raw) >= MAX_BODY and request.environ["wsgi.input"].read(1)
    except HTTPException:
        raise
    except Exception:  # each server has errors of its own for bytes that are no HTTP
        raise Invalid(BROKEN_OFF) from None
    if more:
        raise RequestEntityTooLarge()
    if request.content_length is not None and len(raw) < request.content_length:
        raise Invalid(BROKEN_OFF)
    return raw


def parsed(raw: bytes) -> dict[str, Any]:
    """A JSON object; orjson refuses NaN, infinities, lone surrogates, bad UTF-8 and endless depth."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid(Problem("body", f"is not valid JSON: {str(error).split(': line')[0]}")) from None
    if not isinstance(found, dict):
        raise Invalid(Problem("body", "must be a JSON object"))
    if len(found) > MAX_FIELDS:
        raise Invalid(Problem("body", f"has more than {MAX_FIELDS} fields"))
    if LONG_NUMBER.search(raw):
        _refuse_huge_numbers(raw)
    return found


def _refuse_huge_numbers(raw: bytes) -> None:
    """orjson would silently turn a whole number beyond 64 bits into a float that is not the same number."""

    def whole(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            raise OverflowError
        return 0

    try:
        json.loads(raw, parse_int=whole)
    except OverflowError:
        raise Invalid(Problem("body", "holds a whole number beyond 64 bits")) from None
    except RecursionError:
        raise Invalid(Problem("body", "is nested too deep")) from None


def _pairs(raw: bytes, where: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii" if where == "query" else "utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Invalid(Problem(where, "is not valid UTF-8, or has too many fields")) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise Invalid(Problem(_printable(name), "is given more than once"))
        found[name] = value
    return found


def _loaded(schema: Schema, given: dict[str, Any], unknown: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = schema.load(given, unknown=RAISE)
    except ValidationError as error:
        raise Invalid(*_problems(error, unknown)) from None
    return found


def _problems(error: ValidationError, unknown: str) -> list[Problem]:
    messages = error.messages
    assert isinstance(messages, dict)
    return [Problem(_printable(str(name)), unknown if texts == ["Unknown field."] else " and ".join(texts)) for name, texts in messages.items()]


def _printable(name: str) -> str:
    """A field name that came from outside, short and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in name[:64])
