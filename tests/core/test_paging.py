"""Cursors: opaque, good for one list of one user, useless once changed. Pages: counted from the rank of their first row."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from chatsvc.core.errors import Invalid
from chatsvc.core.paging import Page, Place, seal, unseal
from tests import factories

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PLACE = Place(("2026-11-20T10:00:00.123456+00:00", "0b0e1c9e-4f0c-4f3a-9a52-0d7b8a3f2c11"), 40)
AFTER = st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8")), min_size=1, max_size=3).map(tuple)


def refuses(scope: str, cursor: str) -> bool:
    with pytest.raises(Invalid) as caught:
        unseal(scope, cursor)
    return [(problem.field, problem.message) for problem in caught.value.problems] == [("cursor", "is not one that this list gave out")]


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(after=AFTER, rank=st.integers(0, 2**40), scope=st.text(st.characters(codec="utf-8")))
def test_a_cursor_gives_back_what_was_sealed(context: Flask, after: tuple[Any, ...], rank: int, scope: str) -> None:
    assert unseal(scope, seal(scope, Place(after, rank))) == Place(after, rank)


def test_the_same_place_is_the_same_cursor(context: Flask) -> None:
    assert seal("sessions:owner", PLACE) == seal("sessions:owner", PLACE)


def test_a_cursor_fits_into_a_query_as_it_is(context: Flask) -> None:
    for rank in range(200):
        assert set(seal("sessions:owner", Place(PLACE.after, rank))) <= set(LETTERS)


def test_a_cursor_shows_neither_the_user_nor_the_list(context: Flask) -> None:
    raw = base64.urlsafe_b64decode(seal("sessions:owner", PLACE) + "==")
    assert b"owner" not in raw
    assert b"sessions" not in raw


@pytest.mark.parametrize("scope", ["sessions:stranger", "sessions:owne", "sessions:owner ", "", "messages:owner", "Sessions:owner"])
def test_a_cursor_is_good_for_its_own_list_only(context: Flask, scope: str) -> None:
    assert refuses(scope, seal("sessions:owner", PLACE))


def test_a_cursor_with_any_bit_changed_is_refused(context: Flask) -> None:
    raw = base64.urlsafe_b64decode(seal("sessions:owner", PLACE) + "==")
    for at in range(len(raw)):
        for bit in range(8):
            changed = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
            assert refuses("sessions:owner", base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


def test_a_cursor_that_is_shorter_or_longer_is_refused(context: Flask) -> None:
    raw = base64.urlsafe_b64decode(seal("sessions:owner", PLACE) + "==")
    for changed in (*(raw[:length] for length in range(len(raw))), raw + b"\0", raw + b" ", b"\0" + raw, raw + raw):
        assert refuses("sessions:owner", base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


def test_a_cursor_has_one_spelling(context: Flask) -> None:
    for rank in range(4, 40):
        cursor = seal("sessions:owner", Place(PLACE.after, rank))
        others = {cursor[:-1] + letter for letter in LETTERS} | {cursor + "=" * n for n in range(4)} | {cursor.replace("-", "+").replace("_", "/")}
        assert all(refuses("sessions:owner", other) for other in others - {cursor})


@pytest.mark.parametrize(
    "cursor", [" ", "A", "AA", "AAAA", "A" * 16, "A" * 500, "=", "====", "é", "🙂", "a b", "a\nb", "%00", "\0", "-_-_", "+/+/", "..", "null", "0"]
)
def test_what_is_no_cursor_is_refused(context: Flask, cursor: str) -> None:
    assert refuses("sessions:owner", cursor)


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(cursor=st.text(min_size=1) | st.text(LETTERS, min_size=1) | st.binary(min_size=1).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()))
def test_no_text_is_a_cursor_by_chance_or_breaks_anything(context: Flask, cursor: str) -> None:
    assert refuses("sessions:owner", cursor)


def test_a_cursor_of_another_secret_is_refused(context: Flask, database_url: str) -> None:
    cursor = seal("sessions:owner", PLACE)
    other = Flask("other")
    other.extensions["chatsvc.settings"] = factories.settings(database_url, JWT_SECRET_KEY="another-secret-of-the-tests-0123456789")
    with other.app_context():
        assert refuses("sessions:owner", cursor)
    assert unseal("sessions:owner", cursor) == PLACE


def test_a_cursor_of_a_key_of_before_is_good_until_its_date(context: Flask, database_url: str) -> None:
    cursor = seal("sessions:owner", PLACE)
    other = Flask("other")
    for year in (2199, 2020):
        other.extensions["chatsvc.settings"] = factories.settings(
            database_url, JWT_SECRET_KEY="another-secret-of-the-tests-0123456789", JWT_OTHER_SECRET_KEYS=f"{factories.SECRET}@{year}-01-01T00:00:00Z"
        )
        with other.app_context():
            assert unseal("sessions:owner", cursor) == PLACE if year == 2199 else refuses("sessions:owner", cursor)
            assert refuses("sessions:stranger", cursor)
            assert seal("sessions:owner", PLACE) != cursor, "nothing new is made with it"


@pytest.mark.parametrize(
    ("rank", "size", "total", "number", "pages"),
    [
        (0, 10, 0, 1, 0),
        (0, 10, 1, 1, 1),
        (0, 10, 10, 1, 1),
        (0, 10, 11, 1, 2),
        (10, 10, 11, 2, 2),
        (30, 10, 11, 4, 2),
        (0, 1, 3, 1, 3),
        (2, 1, 3, 3, 3),
        (7, 3, 8, 3, 3),
    ],
)
def test_a_page_knows_its_number_and_how_many_there_are(rank: int, size: int, total: int, number: int, pages: int) -> None:
    page = Page([], total, size, rank, None)
    assert (page.number, page.pages) == (number, pages)
