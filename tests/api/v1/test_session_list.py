"""`GET /api/v1/chat-sessions`: which sessions, in which order, by page and by cursor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, archive, body_of, change, refused
from tests.factories import Person, person

TITLES = (
    *("My TRIP", "tripod", "100% sure", "snake_case", "back\\slash", "it's", "Straße", "Strasse", "STRASSE"),
    *("Ὀδυσσεύς", "Éclair", "Żółć", "ПРИВЕТ", "smile 🙂", "Shalom שלום"),
)
SEARCHES = {
    "trip": ["My TRIP", "tripod"],
    "TRIP": ["My TRIP", "tripod"],
    "my t": ["My TRIP"],
    "%": ["100% sure"],
    "0%": ["100% sure"],
    "_": ["snake_case"],
    "e_c": ["snake_case"],
    "\\": ["back\\slash"],
    "'": ["it's"],
    "strasse": ["Straße", "Strasse", "STRASSE"],
    "straße": ["Straße", "Strasse", "STRASSE"],
    "STRASSE": ["Straße", "Strasse", "STRASSE"],
    "STRAẞE": ["Straße", "Strasse", "STRASSE"],
    "ὈΔΥΣΣΕΎΣ": ["Ὀδυσσεύς"],
    "éclair": ["Éclair"],
    "ŻÓŁĆ": ["Żółć"],
    "привет": ["ПРИВЕТ"],
    "🙂": ["smile 🙂"],
    "shalom שלום": ["Shalom שלום"],
    "%%": [],
    "trip%od": [],
    "nothing like it": [],
}


def ids(page: dict[str, Any]) -> list[str]:
    return [session["id"] for session in page["sessions"]]


def titles(who: Person, search: str) -> list[str]:
    found = body_of(who, f"{SESSIONS}?page_size=100&search={quote(search)}")
    assert found["total"] == len(found["sessions"])
    return sorted(session["title"] for session in found["sessions"])


def make(who: Person, amount: int, **fields: Any) -> list[str]:
    """So many sessions, the first of which is the newest."""
    return [who.session(agent_type=None, **fields)["id"] for _ in range(amount)][::-1]


def walk(who: Person, path: str, between: Callable[[], object] = lambda: None) -> list[str]:
    """The ids that a walk by cursor sees; `between` two pages something else may happen."""
    page = body_of(who, path)
    seen = ids(page)
    while page["next_cursor"]:
        assert len(seen) < 100, "this walk goes in circles"
        between()
        page = body_of(who, f"{path}&cursor={page['next_cursor']}")
        seen += ids(page)
    return seen


# What an answer holds


def test_a_list_of_nothing_is_empty(owner: Person) -> None:
    assert body_of(owner, SESSIONS) == {"sessions": [], "total": 0, "page": 1, "page_size": 10, "total_pages": 0, "next_cursor": None}


def test_a_list_shows_each_session_as_a_read_does(owner: Person) -> None:
    session = owner.session(title="Trip", metadata={"a": 1})
    owner.message(session["id"], "Hello")
    assert body_of(owner, SESSIONS)["sessions"] == [body_of(owner, f"{SESSIONS}/{session['id']}?include_messages=false")]


def test_a_list_shows_the_callers_own_sessions_only(owner: Person, stranger: Person, admin: Person) -> None:
    mine, theirs = owner.session()["id"], stranger.session()["id"]
    assert ids(body_of(owner, SESSIONS)) == [mine]
    assert ids(body_of(stranger, SESSIONS)) == [theirs]
    assert ids(body_of(admin, SESSIONS)) == []


def test_exchanges_are_in_no_list_here(app: Flask, owner: Person) -> None:
    rows.exchange(app, status="ACTIVE")
    rows.exchange(app)
    for query in ("", "?is_active=true", "?is_active=false"):
        assert body_of(owner, f"{SESSIONS}{query}")["total"] == 0


def test_a_list_pages_by_ten_unless_told_otherwise(owner: Person) -> None:
    newest_first = make(owner, 12)
    page = body_of(owner, SESSIONS)
    assert (ids(page), page["total"], page["page"], page["page_size"], page["total_pages"]) == (newest_first[:10], 12, 1, 10, 2)
    page = body_of(owner, f"{SESSIONS}?page=2")
    assert (ids(page), page["total"], page["page"], page["page_size"], page["total_pages"], page["next_cursor"]) == (newest_first[10:], 12, 2, 10, 2, None)
    page = body_of(owner, f"{SESSIONS}?page_size=100")
    assert (ids(page), page["total"], page["page"], page["page_size"], page["total_pages"], page["next_cursor"]) == (newest_first, 12, 1, 100, 1, None)


def test_the_page_sizes_come_from_the_settings(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_DEFAULT_PAGE_SIZE="2", CHAT_MAX_PAGE_SIZE="3"), "owner")
    make(owner, 4)
    assert len(body_of(owner, SESSIONS)["sessions"]) == 2
    assert len(body_of(owner, f"{SESSIONS}?page_size=3")["sessions"]) == 3
    refused(owner.get(f"{SESSIONS}?page_size=4"), 400, "page_size")


@pytest.mark.parametrize("query", ["page=4", "page=1000000", "page=1000000&page_size=100", "page=2&search=trip", "page=3&is_active=true"])
def test_a_page_past_the_end_is_empty_and_knows_the_total(owner: Person, query: str) -> None:
    make(owner, 3, title="Trip")
    page = body_of(owner, f"{SESSIONS}?page_size=5&{query}" if "page_size" not in query else f"{SESSIONS}?{query}")
    assert (page["sessions"], page["total"], page["next_cursor"]) == ([], 3, None)
    assert f"page={page['page']}" in query


# Filters


def test_a_list_by_agent_type(owner: Person) -> None:
    primary, research, none = owner.session()["id"], owner.session(agent_type="research")["id"], owner.session(agent_type=None)["id"]
    assert ids(body_of(owner, f"{SESSIONS}?agent_type=primary")) == [primary]
    assert ids(body_of(owner, f"{SESSIONS}?agent_type=research")) == [research]
    assert ids(body_of(owner, f"{SESSIONS}?agent_type=router")) == []
    assert ids(body_of(owner, SESSIONS)) == [none, research, primary]


@pytest.mark.parametrize(("true", "false"), [("true", "false"), ("True", "False"), ("TRUE", "FALSE")])
def test_a_list_by_whether_sessions_are_active(owner: Person, true: str, false: str) -> None:
    active, begun_inactive, archived = owner.session()["id"], owner.session(is_active=False)["id"], owner.session()["id"]
    archive(owner, archived)
    assert ids(body_of(owner, f"{SESSIONS}?is_active={true}")) == [active]
    assert ids(body_of(owner, f"{SESSIONS}?is_active={false}")) == [archived, begun_inactive]
    assert ids(body_of(owner, SESSIONS)) == [archived, begun_inactive, active]


def test_filters_narrow_together(owner: Person) -> None:
    wanted = owner.session(title="My trip", agent_type="research")
    owner.session(title="My trip")
    owner.session(title="My work", agent_type="research")
    owner.session(title="My trip", agent_type="research", is_active=False)
    page = body_of(owner, f"{SESSIONS}?agent_type=research&is_active=true&search=TRIP&page=1&page_size=1")
    assert (ids(page), page["total"], page["total_pages"], page["next_cursor"]) == ([wanted["id"]], 1, 1, None)


def test_a_search_is_a_substring_whatever_the_case_and_no_letter_is_special(owner: Person) -> None:
    for title in TITLES:
        owner.session(title=title, agent_type=None)
    owner.session(agent_type=None)
    for search, found in SEARCHES.items():
        assert titles(owner, search) == sorted(found), search


def test_a_search_for_nothing_finds_everything(owner: Person) -> None:
    make(owner, 2)
    assert body_of(owner, f"{SESSIONS}?search=")["total"] == 2


def test_a_search_reads_titles_that_messages_gave_but_no_messages(owner: Person) -> None:
    session = owner.session()
    owner.message(session["id"], "Where is Ulm?")
    owner.message(session["id"], "On the Danube")
    assert titles(owner, "ULM") == ["Where is Ulm?"]
    assert titles(owner, "danube") == []


# Order


def test_the_session_that_something_happened_to_last_comes_first(owner: Person) -> None:
    first, second, third, fourth, fifth = reversed(make(owner, 5))
    owner.message(first)
    change(owner, second, title="Trip")
    archive(owner, third)
    change(owner, fourth, metadata={"a": 1})
    assert ids(body_of(owner, SESSIONS)) == [fourth, third, second, first, fifth]
    change(owner, third, is_active=True)
    assert ids(body_of(owner, SESSIONS)) == [third, fourth, second, first, fifth]


def test_an_edit_moves_a_session_up_but_not_the_time_of_its_last_message(owner: Person) -> None:
    edited, other = owner.session(), owner.session()
    message = owner.message(edited["id"])
    owner.message(other["id"])
    assert owner.put(f"{SESSIONS}/{edited['id']}/messages/{message['id']}", json={"content": "Changed"}).status_code == 200
    page = body_of(owner, SESSIONS)
    assert ids(page) == [edited["id"], other["id"]]
    assert (page["sessions"][0]["last_message_at"], page["sessions"][0]["last_message"]) == (message["created_at"], "Changed")


def test_sessions_of_one_moment_are_ordered_by_id(app: Flask, owner: Person) -> None:
    made = make(owner, 6)
    rows.set_updated_at(app, datetime(2026, 1, 2, tzinfo=UTC), *made)
    assert ids(body_of(owner, SESSIONS)) == sorted(made, reverse=True)
    assert walk(owner, f"{SESSIONS}?page_size=1") == sorted(made, reverse=True)
    assert [ids(body_of(owner, f"{SESSIONS}?page_size=2&page={page}")) for page in (1, 2, 3)] == [sorted(made, reverse=True)[at : at + 2] for at in (0, 2, 4)]


# Cursors


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_walk_by_cursor_sees_what_pages_see(owner: Person, size: int) -> None:
    newest_first = make(owner, 6)
    assert walk(owner, f"{SESSIONS}?page_size={size}") == newest_first


def test_a_cursor_counts_pages_on_and_keeps_the_total(owner: Person) -> None:
    make(owner, 5)
    first = body_of(owner, f"{SESSIONS}?page_size=2")
    second = body_of(owner, f"{SESSIONS}?page_size=2&cursor={first['next_cursor']}")
    third = body_of(owner, f"{SESSIONS}?page_size=2&cursor={second['next_cursor']}")
    assert [(page["page"], page["total"], page["total_pages"]) for page in (first, second, third)] == [(1, 5, 3), (2, 5, 3), (3, 5, 3)]
    assert [page["next_cursor"] is None for page in (first, second, third)] == [False, False, True]


def test_a_cursor_goes_on_from_a_page_with_a_number(owner: Person) -> None:
    newest_first = make(owner, 5)
    page = body_of(owner, f"{SESSIONS}?page_size=2&page=2")
    assert ids(body_of(owner, f"{SESSIONS}?page_size=2&cursor={page['next_cursor']}")) == newest_first[4:]


def test_a_filtered_walk_sees_what_the_filter_lets_through(owner: Person) -> None:
    wanted = []
    for n in range(6):
        session = owner.session(title=f"Trip {n}" if n % 2 else "Work", agent_type=None)
        wanted += [session["id"]] if n % 2 else []
    assert walk(owner, f"{SESSIONS}?page_size=1&search=trip") == wanted[::-1]


def test_a_walk_sees_each_untouched_session_exactly_once_while_others_are_touched(app: Flask, owner: Person) -> None:
    untouched: list[str] = []
    touched: list[str] = []
    for n in range(30):
        (touched if n % 3 == 0 else untouched).append(owner.session(agent_type=None)["id"])
    todo = iter(touched)

    def disturb() -> None:
        """One is written to, one is begun, one is deleted, so everything behind shifts up and down."""
        owner.message(next(todo))
        owner.session(agent_type=None)
        rows.soft_delete(app, "owner", next(todo))

    seen = walk(owner, f"{SESSIONS}?page_size=6", disturb)
    assert [session_id for session_id in seen if session_id in untouched] == untouched[::-1]
    assert len(seen) == len(set(seen))


def test_pages_with_a_number_shift_where_a_cursor_does_not(owner: Person) -> None:
    newest_first = make(owner, 4)
    first = body_of(owner, f"{SESSIONS}?page_size=2")
    owner.session(agent_type=None)
    assert ids(body_of(owner, f"{SESSIONS}?page_size=2&page=2")) == newest_first[1:3]
    assert ids(body_of(owner, f"{SESSIONS}?page_size=2&cursor={first['next_cursor']}")) == newest_first[2:]


def test_a_cursor_outlives_the_session_it_stands_on(app: Flask, owner: Person) -> None:
    newest_first = make(owner, 4)
    cursor = body_of(owner, f"{SESSIONS}?page_size=2")["next_cursor"]
    rows.soft_delete(app, "owner", newest_first[1])
    assert ids(body_of(owner, f"{SESSIONS}?page_size=2&cursor={cursor}")) == newest_first[2:]


def test_a_cursor_sees_microseconds(app: Flask, owner: Person) -> None:
    made = make(owner, 4)
    at = datetime(2026, 1, 2, 3, 4, 5, 999_997, tzinfo=UTC)
    for n, session_id in enumerate(made):
        rows.set_updated_at(app, at - timedelta(microseconds=n), session_id)
    assert walk(owner, f"{SESSIONS}?page_size=1") == made


def test_a_cursor_and_a_page_exclude_each_other(owner: Person) -> None:
    make(owner, 2)
    cursor = body_of(owner, f"{SESSIONS}?page_size=1")["next_cursor"]
    refused(owner.get(f"{SESSIONS}?page_size=1&page=2&cursor={cursor}"), 400, "cursor")


def test_the_cursor_of_somebody_else_is_refused(owner: Person, stranger: Person) -> None:
    make(owner, 2)
    make(stranger, 2)
    cursor = body_of(owner, f"{SESSIONS}?page_size=1")["next_cursor"]
    refused(stranger.get(f"{SESSIONS}?page_size=1&cursor={cursor}"), 400, "cursor")


def test_the_cursor_of_another_list_is_refused(owner: Person) -> None:
    session_id, _ = make(owner, 2)
    owner.message(session_id)
    owner.message(session_id)
    cursor = body_of(owner, f"{SESSIONS}/{session_id}/messages?page_size=1")["next_cursor"]
    refused(owner.get(f"{SESSIONS}?cursor={cursor}"), 400, "cursor")


def test_a_cursor_that_was_changed_is_refused(owner: Person) -> None:
    make(owner, 2)
    cursor = body_of(owner, f"{SESSIONS}?page_size=1")["next_cursor"]
    for at in range(len(cursor) - 1):
        changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        refused(owner.get(f"{SESSIONS}?cursor={changed}"), 400, "cursor")
    for changed in (cursor[:-4], cursor + "AAAA", cursor[1:], cursor.swapcase()):
        refused(owner.get(f"{SESSIONS}?cursor={changed}"), 400, "cursor")


def test_a_cursor_is_opaque(owner: Person) -> None:
    session_id = make(owner, 2)[0]
    cursor = body_of(owner, f"{SESSIONS}?page_size=1")["next_cursor"]
    assert session_id not in cursor
    assert quote(cursor, safe="") == cursor
