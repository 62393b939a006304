"""A request is read strictly: what is accepted can be given back, what is refused is named."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from marshmallow import Schema
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from chatsvc.api.common import reading
from chatsvc.api.common.fields import JsonObject, QueryWhole, Text
from chatsvc.core.errors import Invalid

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Note(Schema):
    text = Text(max=5)
    size = QueryWhole(low=1, high=9)


class Free(Schema):
    value = JsonObject()


@contextmanager
def request(**given: Any) -> Iterator[None]:
    """Inside a request like this, to a service that takes a mebibyte."""
    app = Flask("reading")
    app.config["MAX_CONTENT_LENGTH"] = reading.MAX_BODY
    with app.test_request_context("/", **{"method": "POST", **given}):
        yield


@contextmanager
def refusal(*fields: str) -> Iterator[None]:
    with pytest.raises(Invalid) as caught:
        yield
    assert sorted(problem.field for problem in caught.value.problems) == sorted(fields)


# Bodies


def test_a_body_is_read_into_keywords() -> None:
    with request(data=b'{"text":"Hello"}', content_type=JSON):
        assert reading.body(Note()) == {"text": "Hello"}


@pytest.mark.parametrize("raw", [b"", b" ", b"\n\t", b"[]", b"null", b"{", b'{"text":"\xff"}', b'{"text":NaN}', b"\xef\xbb\xbf{}"])
def test_a_body_that_is_no_object_is_named_as_a_whole(raw: bytes) -> None:
    with request(data=raw, content_type=JSON), refusal("body"):
        reading.body(Note())


def test_every_problem_of_a_body_is_named() -> None:
    with request(data=b'{"text":7,"size":"x","a":1,"b":2}', content_type=JSON), refusal("text", "size", "a", "b"):
        reading.body(Note())


def test_a_body_of_many_fields_is_refused_as_a_whole() -> None:
    with request(data=b"{" + b",".join(b'"%d":0' % n for n in range(101)) + b"}", content_type=JSON), refusal("body"):
        reading.body(Note())
    with request(data=b"{" + b",".join(b'"%d":0' % n for n in range(100)) + b"}", content_type=JSON), refusal(*map(str, range(100))):
        reading.body(Note())


@pytest.mark.parametrize("content_type", ["text/plain", FORM, "application/xml", "application/jsonx", "json", "*/*", None])
def test_a_body_of_another_type_is_refused(content_type: str | None) -> None:
    with request(data=b'{"text":"Hello"}', content_type=content_type), pytest.raises(UnsupportedMediaType):
        reading.body(Note())


def test_a_route_may_take_json_under_any_type_and_do_without_a_body() -> None:
    for content_type in ("text/plain", FORM, None, JSON):
        with request(data=b'{"text":"Hello"}', content_type=content_type):
            assert reading.body(Note(), any_type=True) == {"text": "Hello"}
    with request():
        assert reading.body(Note(), optional=True) == {}
    with request(data=b" ", content_type=JSON):
        assert reading.body(Note(), optional=True) == {}
    with request(), refusal("body"):
        reading.body(Note())


def test_a_body_of_just_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    raw = b'{"text":"Hello"}'
    with request(data=raw + b" " * (reading.MAX_BODY - len(raw)), content_type=JSON):
        assert reading.body(Note()) == {"text": "Hello"}
    with request(data=raw + b" " * (reading.MAX_BODY - len(raw) + 1), content_type=JSON), pytest.raises(RequestEntityTooLarge):
        reading.body(Note())


def test_a_body_without_a_length_is_not_cut_off_but_refused() -> None:
    raw = b'{"text":"Hello"}'
    for size, refused in ((len(raw), False), (reading.MAX_BODY, False), (reading.MAX_BODY + 1, True), (3 * reading.MAX_BODY, True)):
        stream = {"wsgi.input": io.BytesIO(raw + b" " * (size - len(raw))), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        with request(content_type=JSON, environ_overrides=stream):
            if refused:
                with pytest.raises(RequestEntityTooLarge):
                    reading.body(Note())
            else:
                assert reading.body(Note()) == {"text": "Hello"}


def test_a_body_shorter_than_was_announced_is_refused() -> None:
    for more in ({"wsgi.input_terminated": True}, {}):
        stream = {"wsgi.input": io.BytesIO(b'{"text":"Hello"}'), "CONTENT_LENGTH": "17", **more}
        with request(content_type=JSON, environ_overrides=stream), pytest.raises((Invalid, Exception)) as caught:
            reading.body(Note())
        assert getattr(caught.value, "code", 400) == 400


class Broken(io.RawIOBase):
    """A body that its server cannot make sense of."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise ArithmeticError("bad chunk")


def test_a_body_that_the_server_cannot_make_sense_of_is_refused() -> None:
    stream = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    with request(content_type=JSON, environ_overrides=stream), refusal("body"):
        reading.body(Note())


def test_a_form_is_read_as_json_is() -> None:
    with request(data=b"text=H%C3%A9&size=3", content_type=FORM):
        assert reading.body_or_form(Note()) == {"text": "Hé", "size": 3}
    with request(data="text=Hé+x".encode(), content_type=FORM + "; charset=utf-8"):
        assert reading.body_or_form(Note()) == {"text": "Hé x"}
    with request(data=b'{"text":"Hello"}', content_type=JSON):
        assert reading.body_or_form(Note()) == {"text": "Hello"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"text=a&text=b", "text"),
        (b"text=%ff", "body"),
        (b"text=\xff", "body"),
        (b"more=1", "more"),
        (b"text=%00", "text"),
        (b"&".join([b"a=1"] * 101), "body"),
    ],
)
def test_a_form_is_refused_as_json_is(raw: bytes, field: str) -> None:
    with request(data=raw, content_type=FORM), refusal(field):
        reading.body_or_form(Note())


# Numbers


@pytest.mark.parametrize("number", [2**64 - 1, 2**63, 2**63 - 1, -(2**63), 10**18, -(10**18), 0])
def test_a_whole_number_of_64_bits_is_kept(number: int) -> None:
    found = reading.parsed(b'{"value":{"a":%d}}' % number)["value"]["a"]
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize("digits", [b"18446744073709551616", b"-9223372036854775809", b"9" * 20, b"-" + b"9" * 20, b"9" * 400, b"9" * 5000])
def test_a_whole_number_beyond_64_bits_is_refused_and_not_rounded(digits: bytes) -> None:
    for raw in (b'{"a":%s}', b'{"a":[1,%s]}', b'{"a":"1000000000000000000","b":{"c":[[%s]]}}'):
        with refusal("body"):
            reading.parsed(raw % digits)


def test_digits_that_are_no_whole_number_are_no_matter() -> None:
    digits = "12345678901234567890123"
    raw = f'{{"{digits}":"{digits}","b":0.{digits},"c":1.{digits}e2,"d":{digits}.0,"e":"\\"{digits}"}}'.encode()
    assert reading.parsed(raw) == {digits: digits, "b": float(f"0.{digits}"), "c": float(f"1.{digits}e2"), "d": float(f"{digits}.0"), "e": f'"{digits}'}


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert reading.parsed(b'{"a":1,"a":{"b":1,"b":2}}') == {"a": {"b": 2}}


@profile(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_do_worse_than_be_refused(raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(reading.parsed(raw), dict)


# Queries


def test_a_query_is_read_into_keywords() -> None:
    with request(query_string="text=a%2Bb+c&size=3"):
        assert reading.query(Note()) == {"text": "a+b c", "size": 3}
    with request(query_string=""):
        assert reading.query(Note()) == {}


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ("text=a&text=a", ["text"]),
        ("more=1", ["more"]),
        ("size", ["size"]),
        ("size=", ["size"]),
        ("text=&size=0&more", ["text", "size", "more"]),
        ("text=%ff", ["query"]),
        ("%c0%af=1", ["query"]),
        ("a=1&" * 101, ["query"]),
        ("te%78t=a&text=b", ["text"]),
    ],
)
def test_a_query_is_read_strictly(raw: str, fields: list[str]) -> None:
    with request(query_string=raw), refusal(*fields):
        reading.query(Note())


def test_a_field_name_from_outside_is_shown_short_and_printable() -> None:
    with request(data=b'{"a\\u0000\\n\\u202e\\ud83d\\ude42%s":1}' % (b"x" * 100), content_type=JSON), pytest.raises(Invalid) as caught:
        reading.body(Note())
    (problem,) = caught.value.problems
    assert problem.field == "a???🙂" + "x" * 59
