"""The kinds of input: each lets in what it should, and says in words what it wants."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from marshmallow import ValidationError, missing
from marshmallow.fields import Field

from chatsvc.api.common.fields import MAX_METADATA_BYTES, JsonObject, OneOf, QueryTruth, QueryWhole, Text, Truth, WholeNumber, cursor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4),
    max_leaves=12,
)


def why_not(field: Field[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        field.deserialize(value)
    (message,) = caught.value.messages
    return str(message)


def some(*values: Any) -> tuple[Any, ...]:
    """Values of any type at all."""
    return values


def nested(levels: int, *, arrays: bool = False) -> dict[str, Any]:
    found: Any = {"a": 1} if levels == 1 or not arrays else [1]
    for _ in range(levels - 2):
        found = [found] if arrays else {"a": found}
    return found if levels == 1 else {"a": found}


# Text


def test_text_is_counted_in_code_points() -> None:
    for letter in ("x", "é", "🙂", "\u0301", "ﷺ"):
        assert Text(max=5).deserialize(letter * 5) == letter * 5
        assert why_not(Text(max=5), letter * 6) == "must be at most 5 characters long"


@pytest.mark.parametrize("value", [0, 1.5, True, [], {}, ["a"], b"x"])
def test_text_is_nothing_but_text(value: Any) -> None:
    assert why_not(Text(max=5), value) == "must be a string"


@pytest.mark.parametrize("value", ["", " ", "\n\t", "\u3000", "\u00a0\u0085", "\ufeff", "\u001c \ufeff"])
def test_text_is_not_blank_unless_it_may_be(value: str) -> None:
    assert why_not(Text(max=5), value) == "must not be blank"
    assert Text(max=5, blank=True).deserialize(value) == value


def test_text_may_have_a_least_length() -> None:
    assert why_not(Text(max=5, min=2), "x") == "must be at least 2 characters long"
    assert Text(max=5, min=2).deserialize("xx") == "xx"


@pytest.mark.parametrize("value", ["\0", "a\0b", "ab\0"])
def test_text_holds_no_nul(value: str) -> None:
    assert "U+0000" in why_not(Text(max=5, blank=True), value)


def test_null_is_refused_unless_it_means_something() -> None:
    for field in (Text(max=5), Truth(), JsonObject(), OneOf(("a",))):
        assert why_not(field, None) == "must not be null"
    for allowing in (Text(max=5, allow_none=True), OneOf(("a",), allow_none=True)):
        assert allowing.deserialize(None) is None


def test_what_is_required_says_so() -> None:
    for field in (Text(max=5, required=True), Truth(required=True), JsonObject(required=True), OneOf(("a",), required=True)):
        assert why_not(field, missing) == "is required"


def test_bounds_may_come_from_the_settings(context: Flask) -> None:
    assert Text(max=lambda config: config.title_max_length).deserialize("x" * 255) == "x" * 255
    assert "255" in why_not(Text(max=lambda config: config.title_max_length), "x" * 256)
    assert QueryWhole(low=1, high=lambda config: config.max_page_size).deserialize("100") == 100
    assert OneOf(lambda config: config.agent_types).deserialize("primary") == "primary"


# Words


def test_one_of_a_few_words_is_taken_literally() -> None:
    field = OneOf(("asc", "desc"))
    assert field.deserialize("asc") == "asc"
    for value in some("ASC", "asc ", "", "ascdesc", "up", 1, True, [], ["asc"], {}, {"asc": 1}):
        assert why_not(field, value) == "must be one of asc, desc"


def test_a_whole_number_in_json_is_one_however_it_is_spelt() -> None:
    found = WholeNumber().deserialize(7.0)
    assert (found, type(found)) == (7, int)
    assert WholeNumber(most=600).deserialize(600.0) == 600
    for value in some(7.5, 0.0, -1.0, 1e19, float("inf"), float("nan"), True, "7", None, []):
        assert why_not(WholeNumber(), value) in ("must be a positive whole number", "must not be null")
    assert why_not(WholeNumber(most=600), 601.0) == "must be a whole number from 1 to 600"
    assert WholeNumber(least=0, most=168).deserialize(0) == 0
    for value in some(-1, 169, 0.5, False):
        assert why_not(WholeNumber(least=0, most=168), value) == "must be a whole number from 0 to 168"


# True and false


def test_true_and_false_are_just_those() -> None:
    assert [Truth().deserialize(value) for value in (True, False)] == [True, False]
    for value in some(0, 1, "true", "false", "", [], {}):
        assert why_not(Truth(), value) == "must be true or false"


def test_true_and_false_in_a_query_are_words_in_any_case() -> None:
    assert [QueryTruth().deserialize(value) for value in ("true", "True", "TRUE", "false", "False", "FALSE")] == [True] * 3 + [False] * 3
    for value in ("", "1", "0", "yes", "no", "on", "t", "true ", "truе", "ｔrue"):
        assert why_not(QueryTruth(), value) == "must be true or false"


# Whole numbers


def test_a_whole_number_is_ascii_digits_within_bounds() -> None:
    field = QueryWhole(low=1, high=1000)
    assert [field.deserialize(value) for value in ("1", "10", "1000")] == [1, 10, 1000]
    for value in (
        "0",
        "1001",
        "-1",
        "+1",
        " 1",
        "1 ",
        "01",
        "1.0",
        "1e2",
        "1_0",
        "٣",
        "１",
        "²",
        "0x1",
        "",
        "one",
        "9" * 19,
        "9" * 20,
        "9" * 5000,
        "1\n",
        "1\0",
    ):
        assert why_not(field, value) == "must be a whole number from 1 to 1000"


def test_a_whole_number_may_be_nothing_where_that_is_within_bounds() -> None:
    assert QueryWhole(low=0, high=5).deserialize("0") == 0
    assert "from 0 to 5" in why_not(QueryWhole(low=0, high=5), "00")


# Objects


def test_an_object_is_an_object() -> None:
    assert JsonObject().deserialize({"a": [1, {"b": None}]}) == {"a": [1, {"b": None}]}
    assert JsonObject().deserialize({}) == {}
    for value in some([], [{}], "", "{}", 0, 1.5, True):
        assert why_not(JsonObject(), value) == "must be a JSON object"


def test_an_object_is_at_most_16_kib_of_json() -> None:
    for letter in ("x", "é", "🙂"):
        room = MAX_METADATA_BYTES - len(b'{"a":""}')
        text = letter * (room // len(letter.encode())) + "x" * (room % len(letter.encode()))
        assert len(orjson.dumps({"a": text})) == MAX_METADATA_BYTES
        assert JsonObject().deserialize({"a": text}) == {"a": text}
        assert why_not(JsonObject(), {"a": text + "x"}) == "must be at most 16 KiB of JSON"


def test_an_object_is_at_most_32_levels_deep() -> None:
    for arrays in (False, True):
        assert JsonObject().deserialize(nested(32, arrays=arrays)) == nested(32, arrays=arrays)
        assert why_not(JsonObject(), nested(33, arrays=arrays)) == "must be nested at most 32 levels deep"
        assert why_not(JsonObject(), nested(900, arrays=arrays)) == "must be nested at most 32 levels deep"
    assert why_not(JsonObject(), {"a": 1, "b": [2, nested(31), nested(30)], "c": {}}) == "must be nested at most 32 levels deep"
    assert JsonObject().deserialize({"b": [nested(30)] * 3}) == {"b": [nested(30)] * 3}


@pytest.mark.parametrize("value", [{"\0": 1}, {"a": "\0"}, {"a": ["x", {"b": "y\0"}]}, {"a": {"b\0": 1}}, {"a": [["\0"]]}])
def test_an_object_holds_no_nul(value: dict[str, Any]) -> None:
    assert "U+0000" in why_not(JsonObject(), value)


def test_text_that_looks_like_a_nul_is_none() -> None:
    value = {"a": "\\u0000", "\\u0000": ["\\\\u0000"]}
    assert JsonObject().deserialize(value) == value


@profile(max_examples=300, deadline=None)
@given(value=st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4))
def test_an_object_is_never_changed_in_value(value: dict[str, Any]) -> None:
    try:
        assert JsonObject().deserialize(value) == value
    except ValidationError as error:
        assert "U+0000" in str(error) or "16 KiB" in str(error)  # noqa: PT017 - that it may raise is no matter; why is


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (1e16, 10**16),
        (8.81365098809573e17, int(8.81365098809573e17)),
        (-9.2e18, -9200000000000000000),
        (1.8446744073709550e19, int(1.8446744073709550e19)),
        (1e15, 1e15),
        (0.1, 0.1),
        (1e20, 1e20),
        (2.0**64, 2.0**64),
        (-1e19, -1e19),
        (1e-10, 1e-10),
        (1e308, 1e308),
        (5e-324, 5e-324),
    ],
)
def test_a_number_is_kept_in_a_spelling_that_both_engines_share(number: float, kept: float) -> None:
    for value, expected in (({"a": number}, {"a": kept}), ({"a": [{"b": number, "1e17": "1e+17"}]}, {"a": [{"b": kept, "1e17": "1e+17"}]})):
        found = JsonObject().deserialize(value)
        assert found == expected == value
        assert orjson.dumps(found) == orjson.dumps(expected)


def test_a_cursor_is_short_text_or_nothing() -> None:
    assert cursor().deserialize("x" * 500) == "x" * 500
    assert "500" in why_not(cursor(), "x" * 501)
    assert cursor().load_default is None
