"""Keys, below any door: how they look, what is kept of them, until when they are good, and when it is said that they were used."""

from __future__ import annotations

import hashlib
import logging
import string
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.core import api_keys, key_uses
from chatsvc.core.api_keys import LETTERS, digest_of, new_text
from chatsvc.core.clients import Client, Clients
from chatsvc.core.errors import NotFound, Unavailable
from chatsvc.core.paging import Window
from tests.api.v1 import rows
from tests.factories import unknown_id

# Form


def test_a_key_is_told_by_its_beginning_and_is_as_long_as_238_bits_and_a_checksum() -> None:
    text = new_text()
    assert (len(text), text[:4]) == (50, "csk_")
    assert set(text[4:]) <= set(string.ascii_letters + string.digits)
    assert digest_of(text) == hashlib.sha256(text.encode()).hexdigest()


def test_no_two_are_alike_and_every_letter_is_as_likely_at_every_place() -> None:
    made = [new_text() for _ in range(5_000)]
    assert len(set(made)) == 5_000
    for place in range(4, 44):
        seen = [text[place] for text in made]
        assert set(seen) == set(LETTERS)
        assert max(map(seen.count, LETTERS)) < 3 * 5_000 / len(LETTERS)


@given(place=st.integers(4, 49), letter=st.sampled_from(LETTERS))
def test_one_letter_mistyped_is_no_key(place: int, letter: str) -> None:
    text = "csk_ThisIsAnExampleAndNobodysKeyAtAll12345671kcRcU"
    other = text[:place] + letter + text[place + 1 :]
    assert (digest_of(other) is None) == (other != text)


@given(st.one_of(st.text(), st.text(LETTERS, min_size=40, max_size=50).map("csk_".__add__)))
def test_what_looks_otherwise_is_no_key(text: str) -> None:
    assert digest_of(text) is None


# What is kept


def made(*scopes: str, **given: Any) -> tuple[Any, str]:
    return api_keys.create("root", name="Shop", scopes=scopes or ("read",), **given)


def good(text: str, user_id: str = "owner") -> bool:
    return api_keys.standing(str(digest_of(text)), user_id) is not None


def test_nothing_in_the_database_holds_the_key(context: Flask) -> None:
    row, text = made("write", "read")
    kept = rows.run(context, "SELECT * FROM api_keys")[0]._mapping
    assert (kept["digest"], kept["last_four"], kept["scopes"]) == (digest_of(text), text[-4:], "read write")
    everything = str(kept) + str(rows.run(context, "SELECT * FROM audit_events"))
    assert not any(text[at : at + 5] in everything for at in range(4, 46)), "but for the last four"
    assert "digest" not in row._mapping
    assert (row.name, row.created_by, row.status, row.expires_at, row.last_used_at, row.revoked_at) == ("Shop", "root", "active", None, None, None)


def test_it_is_good_until_its_day(context: Flask) -> None:
    row, text = made(expires_in_days=3650)
    assert row.expires_at - row.created_at == timedelta(days=3650)
    assert good(text)
    rows.run(context, "UPDATE api_keys SET expires_at = created_at")
    assert (good(text), api_keys.get(row.id).status) == (False, "expired")


def test_revoking_is_for_good_and_again_changes_nothing(context: Flask) -> None:
    row, text = made()
    first = api_keys.revoke("root", row.id)
    assert (first.status, good(text)) == ("revoked", False)
    assert api_keys.revoke("another", row.id) == first
    assert [event.actor_id for event in rows.run(context, "SELECT actor_id FROM audit_events WHERE action = 'api_key.revoked'")] == ["root"]


def test_of_many_who_revoke_at_once_one_does(context: Flask) -> None:
    row, _ = made()

    def attempt(number: int) -> Any:
        with context.app_context():
            return api_keys.revoke(f"admin {number}", row.id).revoked_at

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(attempt, range(12)))) == 1
    assert rows.run(context, "SELECT count(*) FROM audit_events WHERE action = 'api_key.revoked'")[0][0] == 1


@pytest.mark.usefixtures("context")
def test_what_is_not_there_is_not_found() -> None:
    for verb in (api_keys.get, lambda key_id: api_keys.revoke(None, key_id)):
        with pytest.raises(NotFound, match="API key not found"):
            verb(unknown_id())


@pytest.mark.usefixtures("context")
def test_the_list_has_them_all_newest_first_each_once() -> None:
    ids = [made()[0].id for _ in range(7)][::-1]
    api_keys.revoke(None, ids[3])
    first = api_keys.page(Window(3))
    assert ([row.id for row in first.rows], first.total) == (ids[:3], 7)
    assert [row.id for row in api_keys.page(Window(3, offset=3)).rows] == ids[3:6]
    seen, cursor = [], first.next_cursor
    while cursor:
        page = api_keys.page(Window(3, cursor=cursor))
        seen += [row.id for row in page.rows]
        cursor = page.next_cursor
    assert seen == ids[3:]
    assert (api_keys.page(Window(3, offset=100)).rows, api_keys.page(Window(3, offset=100)).total) == ([], 7)


# Streams


def test_a_stream_that_a_key_opened_is_one_of_those_that_end_with_it(context: Flask) -> None:
    (revoked, _), (expired, _), (gone, _), (stays, _) = made(), made(expires_in_days=1), made(), made()
    here = Clients()
    listening = {name: Client("owner", [api_keys.mark_of(row.id)]) for name, row in (("r", revoked), ("e", expired), ("g", gone), ("s", stays))}
    listening["token"] = Client("owner", ["token:1"])
    with ExitStack() as open_streams:
        for client in listening.values():
            open_streams.enter_context(here.serving(client))
        here.dismiss()
        assert all(client.is_welcome() for client in listening.values())
        api_keys.revoke(None, revoked.id)
        rows.run(context, "UPDATE api_keys SET expires_at = created_at WHERE id = :id", id=expired.id)
        rows.run(context, "DELETE FROM api_keys WHERE id = :id", id=gone.id)
        here.dismiss()
    assert {name for name, client in listening.items() if client.is_welcome()} == {"s", "token"}


@pytest.mark.usefixtures("context")
def test_where_nobody_came_with_a_key_nothing_is_asked_about_keys() -> None:
    with patch.object(api_keys, "read", side_effect=AssertionError):
        assert api_keys.ended(["token:1", "sign-in:2"]) == set()


# The last use


def last_used(app: Flask) -> Any:
    return rows.run(app, "SELECT last_used_at FROM api_keys")[0][0]


def test_a_use_is_told_once_a_minute_and_never_of_a_revoked_key(context: Flask) -> None:
    row, _ = made()
    api_keys.tell_use(row.id)
    first = api_keys.get(row.id).last_used_at
    assert first >= row.created_at
    api_keys.tell_use(row.id)
    assert api_keys.get(row.id).last_used_at == first
    rows.run(context, "UPDATE api_keys SET last_used_at = '2026-01-01 00:00:00.000000'")
    api_keys.tell_use(row.id)
    assert api_keys.get(row.id).last_used_at > first
    rows.run(context, "UPDATE api_keys SET last_used_at = NULL")
    api_keys.revoke(None, row.id)
    api_keys.tell_use(row.id)
    assert last_used(context) is None


@pytest.fixture
def uses(context: Flask) -> key_uses.KeyUses:
    return key_uses.KeyUses(context.app_context)


def test_many_uses_at_once_are_one_write_and_nobody_waits_for_it(context: Flask, uses: key_uses.KeyUses) -> None:
    row, _ = made()
    told: list[str] = []
    with patch.object(api_keys, "tell_use", told.append):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: uses.note(row.id), range(200)))
        uses.finish()
    assert told == [row.id]


def test_several_keys_are_each_told_of(context: Flask, uses: key_uses.KeyUses) -> None:
    ids = [made()[0].id for _ in range(5)]
    for key_id in ids:
        uses.note(key_id)
    uses.finish()
    assert rows.run(context, "SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL")[0][0] == 5


@pytest.mark.parametrize("fault", [Unavailable("The database cannot be reached"), ValueError("broken")], ids=["away", "broken"])
def test_a_use_that_cannot_be_written_is_said_in_the_log_and_the_next_minute_s_is(
    uses: key_uses.KeyUses, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    row, _ = made()
    with caplog.at_level(logging.WARNING), patch.object(api_keys, "tell_use", side_effect=fault):
        uses.note(row.id)
        uses.finish()
    assert f"the last use of key {row.id} was not written" in caplog.text
    with patch("chatsvc.core.key_uses.time.monotonic", return_value=time.monotonic() + 61):
        uses.note(row.id)
    uses.finish()
    assert api_keys.get(row.id).last_used_at is not None


def test_without_a_thread_the_request_goes_on(uses: key_uses.KeyUses, caplog: pytest.LogCaptureFixture) -> None:
    row, _ = made()
    with caplog.at_level(logging.WARNING), patch("chatsvc.core.key_uses.threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
        uses.note(row.id)
    assert "no thread could be started" in caplog.text
