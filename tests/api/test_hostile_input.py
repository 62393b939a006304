"""What the contract refuses gets a 4xx in shape and writes nothing; what it allows succeeds and comes back as it was sent."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.core.models import ChatMessage, ChatSession
from config import ROOT
from tests import factories
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, Body, answered, body_of, refused
from tests.factories import Person

JSON = "application/json"
MIB = 1024 * 1024


@dataclass
class World:
    """One session with one message, and every route of the face that leads to them."""

    app: Flask
    owner: Person
    session_id: str
    message_id: int
    before: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.before = rows.dump(self.app)

    def path(self, rule: str, **ids: object) -> str:
        return rule.format(**{"session": self.session_id, "message": self.message_id, **ids})

    def unharmed(self) -> None:
        """Nothing was written, every counter is right, every list answers."""
        assert rows.dump(self.app) == self.before
        self.sound()

    def sound(self) -> None:
        assert not rows.breaches(self.app)
        for path in (SESSIONS, f"{SESSIONS}?search=a", ONE, f"{ONE}/messages", f"{ONE}/messages?order=desc&message_type=user", f"{SESSIONS}/stats/user"):
            answered(self.owner.get(self.path(path)))


@contextmanager
def case(*what: object) -> Iterator[None]:
    """Names the line of the table that a failure is about."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"with {what!r:.200}")
        raise


ONE = f"{SESSIONS}/{{session}}"
EDIT = f"{ONE}/messages/{{message}}"
BODIES: dict[tuple[str, str], Body] = {
    ("POST", SESSIONS): {"title": "Trip", "agent_type": "primary", "metadata": {}, "is_active": True},
    ("PUT", ONE): {"title": "Trip", "metadata": {}, "is_active": True},
    ("POST", f"{ONE}/messages"): {"content": "Hello", "message_type": "assistant", "agent_type": "primary", "metadata": {}},
    ("PUT", EDIT): {"content": "Hello"},
}
QUERIES = {
    SESSIONS: ("page", "page_size", "cursor", "agent_type", "is_active", "search"),
    ONE: ("include_messages", "message_limit"),
    f"{ONE}/messages": ("page", "page_size", "cursor", "message_type", "order"),
    f"{SESSIONS}/stats/user": (),
}
ROUTES = [*BODIES, *(("GET", path) for path in QUERIES), ("DELETE", ONE)]


@pytest.fixture
def world(app: Flask, owner: Person) -> World:
    session = owner.session(title="Trip to Ulm", metadata={"a": 1})
    return World(app, owner, session["id"], owner.message(session["id"], "Hello")["id"])


def test_no_route_of_the_face_is_missing_here(app: Flask) -> None:
    known = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    here = {(path.format(session="<session_id>", message="<message_id>"), method) for method, path in ROUTES}
    assert here == {(rule, method) for rule, method in known if rule.startswith(SESSIONS)}


# Bodies that are no JSON object, or none that can be kept


def inside(value: bytes) -> bytes:
    return b'{"metadata":{"a":' + value + b"}}"


RAW: dict[str, tuple[bytes, str | None, int]] = {
    "nothing": (b"", JSON, 400),
    "blank": (b" \n\t ", JSON, 400),
    "null": (b"null", JSON, 400),
    "an array": (b'[{"title":"Trip"}]', JSON, 400),
    "a string": (b'"title"', JSON, 400),
    "a number": (b"1", JSON, 400),
    "true": (b"true", JSON, 400),
    "cut off": (b'{"title":"Tr', JSON, 400),
    "two documents": (b"{}{}", JSON, 400),
    "something behind": (b'{"title":"Trip"}x', JSON, 400),
    "a NUL behind": (b'{"title":"Trip"}\0', JSON, 400),
    "single quotes": (b"{'title':'Trip'}", JSON, 400),
    "a bare key": (b"{title:1}", JSON, 400),
    "a comma too many": (b'{"title":"Trip",}', JSON, 400),
    "a comment": (b'{"title":"Trip"/**/}', JSON, 400),
    "a raw control character": (b'{"title":"a\tb"}', JSON, 400),
    "a leading zero": (inside(b"01"), JSON, 400),
    "hexadecimal": (inside(b"0x10"), JSON, 400),
    "a byte order mark": (b'\xef\xbb\xbf{"title":"Trip"}', JSON, 400),
    "UTF-16": ('{"title":"Trip"}'.encode("utf-16"), JSON, 400),
    "UTF-32": ('{"title":"Trip"}'.encode("utf-32"), JSON, 400),
    "Latin-1": ('{"title":"é"}'.encode("latin-1"), JSON, 400),
    "a byte that is no UTF-8": (b'{"title":"\xff"}', JSON, 400),
    "an overlong slash": (b'{"title":"\xc0\xaf"}', JSON, 400),
    "beyond Unicode": (b'{"title":"\xf4\x90\x80\x80"}', JSON, 400),
    "a surrogate in UTF-8": (b'{"title":"\xed\xa0\x80"}', JSON, 400),
    "half a pair, the first": (b'{"title":"\\ud83d"}', JSON, 400),
    "half a pair, the second": (b'{"title":"\\ude42"}', JSON, 400),
    "a pair the wrong way round": (b'{"title":"\\ude42\\ud83d"}', JSON, 400),
    "a surrogate in a key": (b'{"metadata":{"\\ud800":1}}', JSON, 400),
    "NaN": (inside(b"NaN"), JSON, 400),
    "Infinity": (inside(b"Infinity"), JSON, 400),
    "minus Infinity": (inside(b"-Infinity"), JSON, 400),
    "1e999": (inside(b"1e999"), JSON, 400),
    "-1e999": (inside(b"-1e999"), JSON, 400),
    "5,000 digits": (inside(b"9" * 5000), JSON, 400),
    "300 digits": (inside(b"1" * 300), JSON, 400),
    "2 to the 64": (inside(b"18446744073709551616"), JSON, 400),
    "less than -(2 to the 63)": (inside(b"-9223372036854775809"), JSON, 400),
    "a huge number beside text": (b'{"title":"1","metadata":{"a":[1,"2",-99999999999999999999]}}', JSON, 400),
    "100,000 arrays": (inside(b"[" * 100_000 + b"]" * 100_000), JSON, 400),
    "100,000 objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, JSON, 400),
    "100,000 brackets": (b"[" * 100_000, JSON, 400),
    "1,000 arrays around 19 digits": (inside(b"[" * 1000 + b"1000000000000000000" + b"]" * 1000), JSON, 400),
    "a million fields": (b'{"title":"Trip"' + b"".join(b',"%d":0' % n for n in range(90_000)) + b"}", JSON, 400),
    "compressed": (gzip.compress(b'{"title":"Trip"}'), JSON, 400),
    "a form as JSON": (b"title=Trip", JSON, 400),
    "a form": (b"title=Trip", "application/x-www-form-urlencoded", 415),
    "a form with parts": (b"--x\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
    "plain text": (b'{"title":"Trip"}', "text/plain", 415),
    "plain text that a page elsewhere may send": (b'{"title":"Trip"}', "text/plain;application/json", 415),
    "no type": (b'{"title":"Trip"}', None, 415),
    "an empty type": (b'{"title":"Trip"}', "", 415),
    "a type like JSON": (b'{"title":"Trip"}', "application/jsonp", 415),
    "another kind of JSON": (b'{"title":"Trip"}', "application/vnd.api+json", 415),
    "two types": (b'{"title":"Trip"}', "application/json, text/plain", 415),
    "one byte more than 1 MiB": (b'{"title":"Trip"}' + b" " * (MIB - 15), JSON, 413),
    "10 MB": (b'{"title":"' + b"x" * 10_000_000 + b'"}', JSON, 413),
}


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_that_cannot_be_understood_is_refused(world: World, method: str, path: str) -> None:
    for name, (raw, content_type, status) in RAW.items():
        with case(name):
            refused(world.owner.call(method, world.path(path), data=raw, content_type=content_type), status, "body")
    world.unharmed()


# Fields of the wrong type or form


def deep(levels: int) -> Body:
    """An object of so many levels."""
    found: Body = {}
    for _ in range(levels - 1):
        found = {"a": found}
    return found


NOT_TEXT: list[Any] = [0, 1, 1.5, True, False, [], {}, ["a"], {"a": "b"}]
NOT_OBJECTS: list[Any] = [0, 1, 1.5, True, False, "", "{}", [], [["a", 1]], [{}]]
BAD_METADATA: list[Any] = [
    *NOT_OBJECTS,
    {"a": "\0"},
    {"\0": 1},
    {"a": [{"b": ["x\0y"]}]},
    {"a": {"b\0": []}},
    {"a": "x" * (16 * 1024 - 7)},
    {"a": "é" * (8 * 1024)},
    {f"{n}": n for n in range(3000)},
    deep(33),
    {"a": deep(32)},
    {"a": [deep(31)]},
]
BLANK = ["", " ", "\t\r\n", "\u3000\u2003", "\u0085\u00a0", "\x1f"]
BAD: dict[str, list[Any]] = {
    "title": [*NOT_TEXT, *BLANK, "x" * 256, "🙂" * 256, "a\0b", "\0"],
    "content": [*NOT_TEXT, *BLANK, None, "x" * 10_001, "🙂" * 10_001, "a\0b", "\0"],
    "agent_type": [*NOT_TEXT, "", "Primary", "primary ", " primary", "primary\0", "log-analysis", "ｐrimary", "x" * 10_000],
    "message_type": [*NOT_TEXT, None, "", "User", "user ", "tool", "assistant\0", "usеr"],
    "is_active": [None, 0, 1, 1.0, "true", "false", "", "yes", [], {}, [True]],
    "metadata": [None, *BAD_METADATA],
}
NULL_MEANS_SOMETHING = {("POST", SESSIONS, "title"), ("POST", SESSIONS, "agent_type"), ("POST", f"{ONE}/messages", "agent_type"), ("PUT", ONE, "title")}


@pytest.mark.parametrize("name", BAD)
def test_a_field_of_the_wrong_kind_is_named(world: World, name: str) -> None:
    for (method, path), good in BODIES.items():
        if name not in good:
            continue
        values = BAD[name] if (method, path, name) in NULL_MEANS_SOMETHING else [None, *BAD[name]]
        for value in values:
            with case(method, path, value):
                refused(world.owner.call(method, world.path(path), json={**good, name: value}), 400, name)
    world.unharmed()


def test_every_bad_field_is_named_at_once(world: World) -> None:
    for (method, path), good in BODIES.items():
        refused(world.owner.call(method, world.path(path), json={**dict.fromkeys(good, 1), "more": 1}), 400, *good, "more")
    world.unharmed()


def test_a_required_field_is_named_when_it_is_missing(world: World) -> None:
    path = world.path(f"{ONE}/messages")
    refused(world.owner.post(path, json={}), 400, "content", "message_type")
    refused(world.owner.post(path, json={"content": "Hello"}), 400, "message_type")
    refused(world.owner.post(path, json={"message_type": "user"}), 400, "content")
    refused(world.owner.put(world.path(EDIT), json={}), 400, "content")
    refused(world.owner.put(world.path(ONE), json={}), 400, "body")
    world.unharmed()


# Fields that are nobody's to set

COLUMNS = {column.name for table in (ChatSession, ChatMessage) for column in table.__table__.columns}
OTHERS = [
    "",
    " ",
    "Title",
    "TITLE",
    "title ",
    "is_admin",
    "sub",
    "_id",
    "sessionId",
    "userId",
    "isActive",
    "messageCount",
    "meta",
    "__proto__",
    "constructor",
    "__class__",
]
STRANGE = ["a" * 1000, "line\nbreak", "é", "🙂", "a\0b", "$where", "title[$ne]", "../title"]


def test_unknown_fields_and_columns_that_are_not_the_callers_are_refused(world: World) -> None:
    for (method, path), good in BODIES.items():
        for name in sorted(COLUMNS - set(good)) + OTHERS:
            with case(method, path, name):
                refused(world.owner.call(method, world.path(path), json={**good, name: 7}), 400, name)
        for name in STRANGE:
            response = world.owner.call(method, world.path(path), json={**good, name: 1})
            (problem,) = answered(response, 400)["errors"]
            assert problem["message"] == "is not a known field"
            assert len(problem["field"]) <= 64
            assert problem["field"].isprintable()
    world.unharmed()


# Queries

PAGES = [
    "",
    "0",
    "-1",
    "-0",
    "1e9",
    "1E1",
    "٣",
    "１",
    "²",
    "1_0",
    " ",
    " 1",
    "1 ",
    "+1",
    "%2B1",
    "01",
    "00",
    "1.0",
    "0x1",
    "1,2",
    "[1]",
    "one",
    "null",
    "NaN",
    "true",
]
LONG = ["1000001", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 21, "1" * 5000]
WORDS = ["", " ", "x", "null", "None", "%00", "primary%00", "PRIMARY", "primary,research", "*", "[]"]
BAD_QUERIES: dict[str, list[str]] = {
    "page": [*PAGES, *LONG],
    "page_size": [*PAGES, *LONG, "201"],
    "message_limit": [*PAGES, *LONG, "201"],
    "agent_type": WORDS,
    "message_type": WORDS,
    "order": [*WORDS, "ASC", "Desc", "ascending", "id", "created_at desc"],
    "is_active": ["", " ", "1", "0", "yes", "on", "null", "tru", "true%00", "truefalse", "ｔrue"],
    "include_messages": ["", "1", "0", "no", "null", "none"],
    "search": ["%00", "a%00b", "x" * 256, "%F0%9F%99%82" * 256],
    "cursor": ["", " ", "x", "AAAA", "A" * 500, "A" * 501, "====", "%00", "é", "%F0%9F%99%82", "-1", "../..", "eyJhbGciOiJub25lIn0.e30."],
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_a_parameter_of_the_wrong_kind_is_named(world: World, name: str) -> None:
    for path, names in QUERIES.items():
        for value in BAD_QUERIES[name] if name in names else ():
            encoded = quote(value, safe="%+,[]=*")
            with case(path, value):
                refused(world.owner.get(f"{world.path(path)}?{name}={encoded}"), 400, name)
    world.unharmed()


def test_a_page_size_beyond_the_largest_is_refused_and_the_largest_is_not(world: World) -> None:
    for path, name, largest in ((SESSIONS, "page_size", 100), (ONE, "message_limit", 200), (f"{ONE}/messages", "page_size", 200)):
        answered(world.owner.get(f"{world.path(path)}?{name}={largest}"))
        refused(world.owner.get(f"{world.path(path)}?{name}={largest + 1}"), 400, name)


def test_unknown_parameters_are_refused_on_every_route(world: World) -> None:
    for method, path in ROUTES:
        for name in ("user_id", "limit", "offset", "sort", "PAGE", "page[]", "title", "token", "cursor2", "_"):
            refused(world.owner.call(method, f"{world.path(path)}?{name}=1", json=BODIES.get((method, path))), 400, name)
        refused(world.owner.call(method, f"{world.path(path)}?=1", json=BODIES.get((method, path))), 400, "")
    world.unharmed()


def test_a_parameter_given_twice_is_refused(world: World) -> None:
    for path, names in QUERIES.items():
        for name in names:
            for second in ("1", "2"):
                refused(world.owner.get(f"{world.path(path)}?{name}=1&{name}={second}"), 400, name)
    world.unharmed()


def test_a_query_that_is_no_utf8_or_too_long_is_refused(world: World) -> None:
    for raw in ("search=%ff", "search=%c0%af", "search=%ed%a0%80", "%ff=1", "search=\xff", "search=é", "&".join(["search=a"] * 101)):
        for method, path in ROUTES:
            environ = {"QUERY_STRING": raw}
            with case(method, path, raw):
                refused(world.owner.call(method, world.path(path), json=BODIES.get((method, path)), environ_overrides=environ), 400, "query")
    world.unharmed()


def test_a_percent_that_begins_nothing_is_a_percent(world: World) -> None:
    for raw in ("%", "%2", "%zz", "100%"):
        assert answered(world.owner.get(SESSIONS, environ_overrides={"QUERY_STRING": f"search={raw}"}))["total"] == 0


# Ids

BAD_SESSION_IDS = [
    *("0", "1", "null", "undefined", "me", "stats", "*", "%00", "%20", "%0a", "%ff", "%F0%9F%99%82", "%27%20OR%201=1--", "x" * 5000),
    *("{{{0}}}", "urn:uuid:{0}", "{0}%00", "{0}%0a", "{0}%20", "%20{0}", "{0}-", "{1}", "{2}", "{3}", "{0}{0}", "00000000-0000-0000-0000-000000000000"),
]
BAD_MESSAGE_IDS = [
    *("0", "-1", "+1", "%D9%A3", "%EF%BC%91", "1.0", "01", "1_0", "1e0", "0x1", "null", "NaN", "%00", "%20", "{0}%0a", "{0}%20", "%20{0}", "{0}%00", "{0}.0"),
    *("0{0}", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 21, "9" * 5000, "%ff"),
]


def test_an_id_that_cannot_be_one_is_one_that_does_not_exist(world: World) -> None:
    session_id = world.session_id
    spellings = (session_id, session_id.replace("-", ""), session_id[:-1], "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in session_id))
    for bad in BAD_SESSION_IDS:
        text = bad.format(*spellings) if bad.startswith(("{", "urn", "%20{")) else bad
        for method, path in ROUTES:
            if "{session}" in path:
                response = world.owner.call(method, world.path(path, session=text), json=BODIES.get((method, path)))
                assert refused(response, 404) == {"detail": "Session not found"}, (method, path, bad)
    world.unharmed()


def test_a_message_id_that_cannot_be_one_is_one_that_does_not_exist(world: World) -> None:
    for bad in BAD_MESSAGE_IDS:
        response = world.owner.put(world.path(EDIT, message=bad.format(world.message_id)), json={"content": "Changed"})
        assert refused(response, 404) == {"detail": "Message not found"}, bad
    world.unharmed()


def test_a_path_that_leads_elsewhere_is_not_found(world: World) -> None:
    for tail in ("/", "//", "/../stats/user", "/messages/1/2", "/Messages", "/messages%2f1", "/%2e%2e/x", ";a=1", "/messages/", "\\messages"):
        response = world.owner.get(world.path(f"{ONE}{tail}"))
        assert response.status_code in (200, 404, 405), tail
        assert response.is_json
    world.unharmed()


# Methods and headers


def test_a_method_that_a_route_does_not_know_is_refused(world: World) -> None:
    for path, methods in (
        (SESSIONS, {"GET", "POST"}),
        (ONE, {"GET", "PUT", "DELETE"}),
        (f"{ONE}/messages", {"GET", "POST"}),
        (EDIT, {"PUT"}),
        (f"{SESSIONS}/stats/user", {"GET"}),
    ):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} - methods:
            response = world.owner.call(method, world.path(path), json={"title": "x"})
            refused(response, 405)
            allowed = {name.strip() for name in response.headers["Allow"].split(",")}
            assert allowed - {"HEAD", "OPTIONS"} == methods
    world.unharmed()


def test_no_header_makes_one_method_another(world: World) -> None:
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answered(world.owner.get(world.path(ONE), headers={name: "DELETE"}))
    world.unharmed()


def test_long_and_strange_headers_do_no_harm(world: World) -> None:
    long = "x" * 8192
    for name in (
        "User-Agent",
        "Accept",
        "Accept-Language",
        "Referer",
        "Cookie",
        "X-Forwarded-For",
        "X-Anything",
        "If-None-Match",
        "Range",
        "Origin",
        "Forwarded",
        "Prefer",
    ):
        for value in (long, "é", "\x01", "a;b=c,,;=", "bytes=0-0"):
            answered(world.owner.get(world.path(ONE), headers={name: value}))
    for value in (long, "é", "a b", "x\x01", "", "<script>", "'", "x" * 65):
        response = world.owner.get(SESSIONS, headers={"X-Request-ID": value})
        assert answered(response)["total"] == 1
        assert response.headers["X-Request-ID"] != value
        assert response.headers["X-Request-ID"].isalnum()
    for value in (
        long,
        f"Bearer {long}",
        "Bearer",
        "Bearer ",
        "Bearer é",
        f"Basic {world.owner.token}",
        world.owner.token,
        f"Bearer {world.owner.token}x",
        "\x01",
    ):
        assert refused(world.owner.get(SESSIONS, headers={"Authorization": value}), 401)
    world.unharmed()


def test_a_strange_host_does_no_harm(world: World) -> None:
    for host in ("", " ", "[", "a b", "é", "x" * 8192, "example.com:99999999", "a/b", "a@b", "\x01", "localhost:x", "[::1", "..", "%00"):
        for path in QUERIES:
            with case(path, host):
                response = world.owner.get(world.path(path), environ_overrides={"HTTP_HOST": host})
                assert response.status_code in (200, 400)
                assert response.is_json
    world.unharmed()


def test_a_body_where_none_is_taken_is_not_looked_at(world: World) -> None:
    for path in QUERIES:
        for raw in (b"\xff", b"[" * 1000, b"x" * (2 * MIB)):
            answered(world.owner.call("GET", world.path(path), data=raw, content_type=JSON))
    world.unharmed()


# What is allowed

CHARACTERS = [
    *(
        "שלום \u202eabc\u202c",
        "zero\u200bwidth\u200d\u2060",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "e\u0301 and é",
        "ﷺ",
        "\u0001\u001f\u007f\u0080\u009f",
        "a\u2028b\u2029c",
        "\ufeffx\ufeff",
    ),
    *(
        "\ufffe\uffff\ufdd0\U0010ffff",
        "İıſßẞŉǰ",
        "  spaces  ",
        "a\r\nb\tc",
        "\\u0000 \\ud800",
        "<script>alert(1)</script>",
        "'; DROP TABLE users; --",
        "%s %(a)s {0} :a ?",
    ),
]
VALUES: list[Any] = [
    *(
        1e308,
        -1e308,
        1.7976931348623157e308,
        5e-324,
        2.2250738585072014e-308,
        0.1,
        0.1 + 0.2,
        1 / 3,
        100.0,
        1e15,
        1e16,
        1e17,
        123456789012345680.0,
        8.81365098809573e17,
    ),
    *(
        1.2345678901234567e19,
        1.8446744073709552e19,
        -9.223372036854776e18,
        -9.3e18,
        1e20,
        1.5e300,
        -0.0,
        0,
        -1,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64 - 1,
    ),
    *(None, True, False, "", [], {}, [[]], [{}], {"": {"": []}}, [None, [None, {"a": None}]], [1, "1", 1.0, True], list(range(100))),
    {"a.b": 1, 'quo"te': 2, "back\\slash": 3, "é": 4, "🙂": 5, " ": 6, "$ne": 7, "__proto__": 8, "ключ": 9, "a" * 500: 10, "\u0001": 11, "\u2028": 12},
    *CHARACTERS,
]


def test_metadata_comes_back_equal(world: World) -> None:
    sent = {"values": VALUES, "by number": {str(n): {"value": value} for n, value in enumerate(VALUES)}}
    session = exactly(world.owner.post(SESSIONS, json={"metadata": sent}), 201)
    path = f"{SESSIONS}/{session['id']}"
    message = exactly(world.owner.post(f"{path}/messages", json={"content": "x", "message_type": "user", "metadata": sent}), 201)
    read = exactly(world.owner.get(path))
    for found in (
        session["metadata"],
        message["metadata"],
        read["metadata"],
        read["messages"][0]["metadata"],
        exactly(world.owner.get(f"{path}?include_messages=false"))["metadata"],
        exactly(world.owner.get(f"{path}/messages"))["messages"][0]["metadata"],
        exactly(world.owner.get(f"{SESSIONS}?page_size=1"))["sessions"][0]["metadata"],
        exactly(world.owner.put(path, json={"metadata": sent}))["metadata"],
        exactly(world.owner.put(f"{path}/messages/{message['id']}", json={"content": "y"}))["metadata"],
    ):
        for value, back in zip(VALUES, found["values"], strict=True):
            assert back == value
        assert found == sent
    world.sound()


def exactly(response: TestResponse, status: int = 200) -> Body:
    """The body as a parser sees it that takes every digit seriously."""
    assert response.status_code == status, response.text
    found: Body = json.loads(response.data)
    return found


def test_the_two_engines_spell_numbers_alike(world: World) -> None:
    sent = b'{"metadata":{"a":[1e16,1e17,8.81365098809573e17,-9.2e18,1.8e19,1.0,1e2,0.10,5e-324,1E-7]}}'
    session = answered(world.owner.post(SESSIONS, data=sent, content_type=JSON), 201)
    numbers = [10**16, 10**17, int(8.81365098809573e17), int(-9.2e18), int(1.8e19), 1.0, 100.0, 0.1, 5e-324, 1e-07]
    assert exactly(world.owner.get(f"{SESSIONS}/{session['id']}"))["metadata"]["a"] == numbers
    assert session["metadata"]["a"] == numbers


def test_every_character_is_kept_exactly(world: World) -> None:
    for text in CHARACTERS:
        session = world.owner.session(title=text, metadata={text: text}, agent_type=None)
        message = world.owner.message(session["id"], text, metadata={text: [text]})
        found = body_of(world.owner, f"{SESSIONS}/{session['id']}")
        assert (found["title"], found["metadata"], found["last_message"]) == (text, {text: text}, text)
        assert found["messages"] == [message]
        assert (message["content"], message["metadata"]) == (text, {text: [text]})
        assert body_of(world.owner, f"{SESSIONS}?search={quote(text)}")["total"] == 1
        rename = world.owner.put(f"{SESSIONS}/{session['id']}", json={"title": text[::-1]})
        assert answered(rename)["title"] == text[::-1]
    world.sound()


def test_lengths_exactly_at_the_limit_are_allowed(world: World) -> None:
    owner = world.owner
    for letter in ("x", "é", "🙂", "\u0301"):
        session = owner.session(title=letter * 255, agent_type=None)
        assert session["title"] == letter * 255
        message = owner.message(session["id"], letter * 10_000)
        assert message["content"] == letter * 10_000
        edited = owner.put(f"{SESSIONS}/{session['id']}/messages/{message['id']}", json={"content": letter + "y" * 9_999})
        assert answered(edited)["content"] == letter + "y" * 9_999
        assert body_of(owner, f"{SESSIONS}?search={quote(letter * 255)}")["total"] == 1
    for fields in (
        {"title": "x"},
        {"metadata": {"a": "x" * (16 * 1024 - 8)}},
        {"metadata": {"a": "é" * (8 * 1024 - 4)}},
        {"metadata": deep(32)},
        {"metadata": {"a": [[deep(29)]]}},
    ):
        session = owner.session(agent_type=None, **fields)
        assert answered(owner.put(f"{SESSIONS}/{session['id']}", json=fields))["id"] == session["id"]
        assert body_of(owner, f"{SESSIONS}/{session['id']}").items() >= fields.items()
    assert len(orjson.dumps({"a": "x" * (16 * 1024 - 8)})) == 16 * 1024
    world.sound()


def test_of_a_key_given_twice_the_last_counts(world: World) -> None:
    raw = b'{"title":7,"title":"Trip","metadata":{"a":1,"a":{"b":1,"b":2}},"is_active":null,"is_active":true}'
    session = answered(world.owner.post(SESSIONS, data=raw, content_type=JSON), 201)
    assert (session["title"], session["metadata"], session["is_active"]) == ("Trip", {"a": {"b": 2}}, True)
    refused(world.owner.post(SESSIONS, data=b'{"title":"Trip","title":7}', content_type=JSON), 400, "title")
    world.sound()


def test_a_body_of_exactly_one_mebibyte_is_allowed(world: World) -> None:
    for (method, path), good in BODIES.items():
        raw = orjson.dumps(good)
        response = world.owner.call(method, world.path(path), data=raw + b" " * (MIB - len(raw)), content_type=JSON)
        assert response.status_code in (200, 201)
    world.sound()


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8;x=y", " application/json"])
def test_json_may_be_announced_in_other_words(world: World, content_type: str) -> None:
    for (method, path), good in BODIES.items():
        assert world.owner.call(method, world.path(path), data=orjson.dumps(good), content_type=content_type).status_code in (200, 201)


def test_wildcards_are_letters_in_a_search(world: World) -> None:
    for search, amount in (("%", 0), ("_", 0), ("Tr_p", 0), ("T%p", 0), ("\\", 0), ("ulm", 1), ("%2500", 0), ("trip+to", 1), ("trip%2Bto", 0)):
        assert answered(world.owner.get(SESSIONS, environ_overrides={"QUERY_STRING": f"search={search}"}))["total"] == amount


def test_a_huge_refusal_is_short(world: World) -> None:
    raw = b'{"title":"Trip"' + b"".join(b',"%d":0' % n for n in range(100_000)) + b"}"
    assert len(raw) < MIB
    assert len(world.owner.post(SESSIONS, data=raw, content_type=JSON).data) < 1000


# On the wire

LOGS: dict[int, Path] = {}


@pytest.fixture(scope="module")
def listening(database_url: str, shared_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the service under its own server and configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "DATABASE_URL": database_url.replace("postgresql+psycopg2", "postgresql"),
        "JWT_SECRET_KEY": factories.SECRET,
        "RATELIMIT_ENABLED": "false",
        "WEB_CONCURRENCY": "1",
        "CHAT_THREADS": "4",
        "LOG_LEVEL": "warning",
        "PORT": str(port),
    }
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "wsgi:app"], cwd=ROOT, env=environ, stdout=file, stderr=file
        )
    try:
        wait_for(port, process, log)
        LOGS[port] = log
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def spoken(port: int, *parts: bytes, hang_up: bool = False) -> tuple[int, bytes]:
    """What the server answers to these bytes: the status, 0 when it only hung up, and all that came."""
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        try:
            for part in parts:
                wire.sendall(part)
            if hang_up:
                wire.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server may refuse before it has heard everything
        heard = b""
        try:
            while piece := wire.recv(65536):
                heard += piece
        except OSError:
            pass
    return (int(heard.split()[1]) if heard else 0), heard


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.fixture
def head(world: World) -> Callable[..., bytes]:
    """The head of a POST of a session, or of another method to another path."""

    def make(*more: str, method: str = "POST", path: str = SESSIONS) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Authorization: Bearer {world.owner.token}", *more]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"

    return make


CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")


def test_a_chunked_body_without_a_length_is_read(listening: int, world: World, head: Callable[..., bytes]) -> None:
    status, heard = spoken(listening, head(*CHUNKED), chunks(b'{"tit', b'le":"Ch', "unké".encode()[:4], "é".encode()[1:] + b'd"}'))
    assert status == 201, heard
    assert "Chunkéd" in heard.decode()
    world.sound()


def test_a_chunked_body_is_refused_like_any_other(listening: int, world: World, head: Callable[..., bytes]) -> None:
    for body, status in (
        (chunks(b"[" * 100_000), 400),
        (chunks(), 400),
        (chunks(b'{"title":"\xff"}'), 400),
        (chunks(*[b'{"title":"' + b"x" * 65_536] * 20), 413),
        (chunks(b'{"title":"Trip"}' + b" " * (MIB - 15)), 413),
    ):
        got, heard = spoken(listening, head(*CHUNKED), body)
        assert got == status, heard[:500]
        assert b'{"detail":' in heard
        assert b"X-Request-ID" in heard
    got, heard = spoken(listening, head(CHUNKED[1]), chunks(b'{"title":"Trip"}'))
    assert got == 415, heard
    world.unharmed()


def test_a_body_that_breaks_off_writes_nothing(listening: int, world: World, head: Callable[..., bytes]) -> None:
    json_type = "Content-Type: application/json"
    for begin, rest in (
        (head(json_type, "Content-Length: 1000"), b'{"title":"Trip"}'),
        (head(*CHUNKED), b'10\r\n{"title":"Trip"}\r\n'),
        (head(*CHUNKED), b'ff\r\n{"title":"Trip"}'),
        (head(*CHUNKED), b'zz\r\n{"title":"Trip"}\r\n0\r\n\r\n'),
        (head(*CHUNKED), b'-10\r\n{"title":"Trip"}\r\n0\r\n\r\n'),
        (head(json_type, "Content-Length: -1"), b'{"title":"Trip"}'),
        (head(json_type, "Content-Length: 1_6"), b'{"title":"Trip"}'),
        (head(json_type, "Content-Length: 16", "Content-Length: 2"), b'{"title":"Trip"}'),
        (head(*CHUNKED, "Content-Length: 16"), chunks(b'{"title":"Trip"}')),
        (head(json_type, "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip"), chunks(gzip.compress(b'{"title":"Trip"}'))),
    ):
        status, heard = spoken(listening, begin, rest, hang_up=True)
        assert status == 0 or 400 <= status < 500 or status == 501, (begin, rest, heard)
    world.unharmed()


def test_a_large_body_is_refused_without_being_waited_for(listening: int, world: World, head: Callable[..., bytes]) -> None:
    status, heard = spoken(listening, head("Content-Type: application/json", "Content-Length: 10000000000"), b'{"title":"')
    assert status == 413, heard
    assert b'"field":"body"' in heard
    world.unharmed()


def test_a_token_of_any_size_gets_the_answer_of_the_face(listening: int, world: World) -> None:
    for size in (8192, 100_000):
        status, heard = spoken(
            listening, f"GET {SESSIONS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {'x' * size}\r\n\r\n".encode()
        )
        assert status == 401, heard
        assert b'{"detail":' in heard


def test_a_query_of_parameters_as_long_as_they_may_be_gets_the_answer_of_the_face(listening: int, world: World) -> None:
    long = "%F0%9F%99%82" * 255
    target = f"/api/audit-events?action={long[: 12 * 50]}&actorId={long}&subject={long}"
    status, heard = spoken(listening, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status == 401, heard
    assert b'{"success":false,' in heard


def test_an_empty_post_without_any_type_is_refused(listening: int, world: World, head: Callable[..., bytes]) -> None:
    status, heard = spoken(listening, head())
    assert status == 400, heard
    status, heard = spoken(listening, head("Content-Length: 0"))
    assert status == 400, heard
    world.unharmed()


CONFIDENTIAL = "what-a-person-searched-for"


def test_what_nobody_can_read_is_not_repeated_by_the_server_nor_in_its_log(world: World, listening: int) -> None:
    """A token where no colon stands before it, words in a line that is no request: the server complains of both."""
    secret = factories.token("owner")
    end = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    broken = [
        f"GET /chat/sessions HTTP/1.1\r\nAuthorization Bearer {secret}".encode() + end,
        f"GET /chat/sessions HTTP/1.1\r\n Authorization: Bearer {secret}".encode() + end,
        f"GET /chat/sessions HTTP/1.1\r\nAuthoriz\0ation: Bearer {secret}".encode() + end,
        f"GET /chat/sessions?search={CONFIDENTIAL} HTTP/9.9".encode() + end,
        f"GET /chat/sessions?search={CONFIDENTIAL} and more words HTTP/1.1".encode() + end,
        f"\x1b[2KGET /x?token={secret} HTTP/1.1".encode() + end,
        f"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nX-Words: {CONFIDENTIAL}".encode() + end,
        f"POST /x HTTP/1.1\r\nTransfer-Encoding: {CONFIDENTIAL}".encode() + end,
        f"GET /x HTTP/1.1\r\nUser-Agent: Mozilla\rERROR {CONFIDENTIAL}".encode() + end,
    ]
    for raw in broken:
        status, _ = spoken(listening, raw)
        assert status < 500 or status == 501, raw  # as the standard has it for a coding that nobody knows
    assert spoken(listening, b"GET /healthz HTTP/1.1" + end)[0] == 200
    log = LOGS[listening].read_text(errors="replace")
    assert log.count("Invalid request") >= 5, log
    assert not any(private in log for private in (secret, secret.split(".")[1], CONFIDENTIAL, factories.SECRET)), log
    assert all(line.isprintable() for line in log.splitlines())
