"""`GET /api/chat-sessions`: by page, by offset with exchanges, by cursor; filtered and searched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import update

from chatsvc.core.models import ChatSession
from tests.api.envelope.calls import SESSION, SESSIONS, Body, create, ids, listed, refused
from tests.api.v1 import rows
from tests.factories import Person, unknown_id


def put(app: Flask, session_id: str, **values: Any) -> None:
    rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(**values))


@pytest.fixture
def mixed(app: Flask, owner: Person, stranger: Person) -> list[str]:
    """Ten sessions of the owner, plain ones and exchanges in turn, the newest first; and others' between them."""
    made: list[str] = []
    at = datetime(2026, 5, 1, tzinfo=UTC)
    for n in range(5):
        made += [create(owner, title=f"Plain {n}")["sessionId"], rows.exchange(app)]
        rows.exchange(app, "stranger")
        create(stranger, title=f"Plain {n}")
    for number, session_id in enumerate(made):
        # Two at the same time each, so that the id decides between them.
        put(app, session_id, updated_at=at + timedelta(seconds=number // 2))
    times = {session_id: number // 2 for number, session_id in enumerate(made)}
    return sorted(made, key=lambda one: (times[one], one), reverse=True)


def plain(app: Flask, session_ids: list[str]) -> list[str]:
    return [one for one in session_ids if rows.of_session(app, one).conversation_id is None]


def test_a_list_pages_by_twenty_unless_told_otherwise(owner: Person) -> None:
    made = [create(owner)["sessionId"] for _ in range(45)][::-1]
    first = listed(owner)
    assert list(first) == ["sessions", "pagination"]
    assert [list(session) for session in first["sessions"]] == [SESSION] * 20
    assert list(first["pagination"]) == ["page", "limit", "total", "pages", "nextCursor"]
    assert {**first["pagination"], "nextCursor": None} == {"page": 1, "limit": 20, "total": 45, "pages": 3, "nextCursor": None}
    assert ids(first) + ids(listed(owner, "?page=2")) + ids(listed(owner, "?page=3")) == made
    last = listed(owner, "?page=3")["pagination"]
    assert last == {"page": 3, "limit": 20, "total": 45, "pages": 3, "nextCursor": None}
    assert ids(listed(owner, "?limit=100")) == made
    beyond = listed(owner, "?page=9&limit=20")
    assert (ids(beyond), beyond["pagination"]) == ([], {"page": 9, "limit": 20, "total": 45, "pages": 3, "nextCursor": None})


def test_a_list_of_nothing(owner: Person) -> None:
    assert listed(owner) == {"sessions": [], "pagination": {"page": 1, "limit": 20, "total": 0, "pages": 0, "nextCursor": None}}
    assert listed(owner, "?offset=0") == {"sessions": [], "pagination": {"limit": 20, "offset": 0, "total": 0, "nextCursor": None}}


def test_plain_sessions_alone_until_a_parameter_of_persona_sessions_is_given(app: Flask, owner: Person, mixed: list[str]) -> None:
    assert ids(listed(owner)) == ids(listed(owner, "?page=1&limit=50&search=")) == plain(app, mixed)
    assert ids(listed(owner, "?offset=0")) == mixed
    assert [one for one in mixed if one in ids(listed(owner, "?status=COMPLETED"))] == [one for one in mixed if one not in plain(app, mixed)]


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (3, 0), (3, 3), (4, 8), (100, 0), (5, 10), (5, 1_000_000)])
def test_a_list_by_offset_is_a_part_of_the_whole(owner: Person, mixed: list[str], limit: int, offset: int) -> None:
    found = listed(owner, f"?limit={limit}&offset={offset}")
    assert ids(found) == mixed[offset : offset + limit]
    pagination = found["pagination"]
    assert list(pagination) == ["limit", "offset", "total", "nextCursor"]
    assert (pagination["limit"], pagination["offset"], pagination["total"]) == (limit, offset, 10)
    assert (pagination["nextCursor"] is None) is (offset + limit >= 10)


def test_pages_may_be_counted_with_a_filter_too(owner: Person, mixed: list[str]) -> None:
    found = listed(owner, "?status=ACTIVE&limit=2&page=2")
    assert (len(found["sessions"]), found["pagination"]["offset"], found["pagination"]["total"]) == (2, 2, 5)


def walked(who: Person, query: str, then: str) -> tuple[list[str], list[Body]]:
    """The whole list by cursor: the first request, then with the cursor and what a client would keep of the query."""
    found = listed(who, query)
    seen, paginations = ids(found), [found["pagination"]]
    while cursor := found["pagination"]["nextCursor"]:
        found = listed(who, f"{then}&cursor={cursor}")
        seen += ids(found)
        paginations.append(found["pagination"])
    return seen, paginations


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_a_walk_by_cursor_sees_what_pages_see(app: Flask, owner: Person, mixed: list[str], limit: int) -> None:
    seen, paginations = walked(owner, f"?limit={limit}", f"?limit={limit}")
    assert seen == plain(app, mixed)
    assert [one["page"] for one in paginations] == list(range(1, len(paginations) + 1))
    assert {(one["total"], one["limit"]) for one in paginations} == {(5, limit)}


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_a_walk_that_began_with_exchanges_goes_on_with_them(owner: Person, mixed: list[str], limit: int) -> None:
    seen, paginations = walked(owner, f"?limit={limit}&offset=0", f"?limit={limit}")
    assert seen == mixed
    assert [one["offset"] for one in paginations] == list(range(0, 10, limit))
    seen, paginations = walked(owner, f"?limit={limit}&status=ACTIVE", f"?limit={limit}&status=ACTIVE")
    assert len(seen) == len(set(seen)) == 5


def test_a_walk_shows_every_untouched_session_once_whatever_moves_meanwhile(owner: Person, mixed: list[str]) -> None:
    first = listed(owner, "?limit=4&offset=0")
    owner.message(next(one["sessionId"] for one in first["sessions"] if one["conversationId"] is None))
    create(owner)
    second = listed(owner, f"?limit=100&cursor={first['pagination']['nextCursor']}")
    assert ids(first) + ids(second) == mixed


def test_filters(app: Flask, owner: Person, mixed: list[str]) -> None:
    exchanges = [one for one in mixed if one not in plain(app, mixed)]
    persona_id = rows.run(app, "SELECT id FROM personas ORDER BY id LIMIT 1")[0][0]
    for session_id in (exchanges[1], plain(app, mixed)[2]):
        put(app, session_id, persona_id=str(persona_id))
    put(app, exchanges[0], status="FAILED", error_message="no", error_kind="timeout")
    one = listed(owner, "?status=FAILED")
    assert (ids(one), one["sessions"][0]["errorMessage"], one["sessions"][0]["errorKind"]) == ([exchanges[0]], "no", "timeout")
    assert ids(listed(owner, "?status=TIMEOUT")) == []
    with_persona = [session_id for session_id in mixed if session_id in (exchanges[1], plain(app, mixed)[2])]
    assert ids(listed(owner, f"?personaId={persona_id}")) == with_persona
    assert {session["personaId"] for session in listed(owner, f"?personaId={persona_id}")["sessions"]} == {str(persona_id)}
    assert ids(listed(owner, f"?personaId={persona_id}&status=ACTIVE")) == plain(app, with_persona)
    conversation_id = rows.of_session(app, exchanges[2]).conversation_id
    assert ids(listed(owner, f"?conversationId={conversation_id}")) == ids(listed(owner, f"?conversationId={conversation_id.upper()}")) == [exchanges[2]]
    assert ids(listed(owner, f"?conversationId={conversation_id}&status=ACTIVE")) == []
    assert ids(listed(owner, "?status=ACTIVE&search=PLAIN%202")) == [one for one in plain(app, mixed) if rows.of_session(app, one).title == "Plain 2"]


def test_anothers_conversation_looks_like_none(app: Flask, owner: Person, mixed: list[str]) -> None:
    theirs = rows.run(app, "SELECT id FROM conversations WHERE user_id = 'stranger' LIMIT 1")[0][0]
    for path in (f"?conversationId={theirs}", f"?personaId={unknown_id()}", f"?conversationId={unknown_id()}"):
        assert listed(owner, path) == {"sessions": [], "pagination": {"limit": 20, "offset": 0, "total": 0, "nextCursor": None}}


def test_a_search_finds_a_part_of_a_title_in_any_case(app: Flask, owner: Person) -> None:
    made = {title: create(owner, title=title)["sessionId"] for title in ("Große Straße", "100% wool", "a_b", "İstanbul", "ÄPFEL", "plain")}
    exchange = rows.exchange(app)
    put(app, exchange, title="Äpfel too", title_from="person")
    for search, title in (("GROSSE STRASSE", "Große Straße"), ("%", "100% wool"), ("_", "a_b"), ("äpfel", "ÄPFEL"), ("LAI", "plain")):
        assert ids(listed(owner, f"?search={quote(search)}")) == [made[title]], search
    assert ids(listed(owner, "?search=nothing")) == []
    assert ids(listed(owner, f"?search={quote('äpfel')}&offset=0")) == [exchange, made["ÄPFEL"]]
    assert listed(owner, "?search=")["pagination"]["total"] == 6


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("page=1&offset=0", ["offset"]),
        ("page=2&offset=1&status=ACTIVE", ["offset"]),
        ("cursor=x&page=1", ["cursor"]),
        ("cursor=x&offset=0", ["offset"]),
        ("status=active", ["status"]),
        ("status=ALL", ["status"]),
        ("status=", ["status"]),
        ("personaId=persona123", ["personaId"]),
        ("conversationId=", ["conversationId"]),
        ("persona_id=1", ["persona_id"]),
        ("limit=101", ["limit"]),
        ("limit=0&offset=-1", ["limit", "offset"]),
        ("offset=1000001", ["offset"]),
        ("page_size=10", ["page_size"]),
        ("is_active=true", ["is_active"]),
        ("agent_type=primary", ["agent_type"]),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(owner: Person, query: str, fields: list[str]) -> None:
    refused(owner.get(f"{SESSIONS}?{query}"), 400, *fields)


def test_a_cursor_is_good_for_its_list_alone(owner: Person, stranger: Person, mixed: list[str]) -> None:
    cursors = {query: listed(owner, f"?limit=1{query}")["pagination"]["nextCursor"] for query in ("", "&offset=0", "&status=ACTIVE", "&search=plain")}
    refused(stranger.get(f"{SESSIONS}?cursor={cursors['']}"), 400, "cursor")
    refused(owner.get(f"{SESSIONS}?cursor={cursors['&status=ACTIVE']}"), 400, "cursor")
    refused(owner.get(f"{SESSIONS}?cursor={cursors['&search=plain']}"), 400, "cursor")
    refused(owner.get(f"{SESSIONS}?status=COMPLETED&cursor={cursors['&status=ACTIVE']}"), 400, "cursor")
    assert owner.get(f"/api/v1/chat-sessions?cursor={cursors['&offset=0']}").status_code == 400
    refused(owner.get(f"{SESSIONS}?cursor={cursors['']}x"), 400, "cursor")


def test_the_request_of_the_persona_sessions_document(app: Flask, owner: Person, mixed: list[str]) -> None:
    running = rows.exchange(app, status="ACTIVE")
    found = listed(owner, "?status=ACTIVE&limit=50&offset=0")
    assert ids(found) == [running, *plain(app, mixed)]
    assert {session["status"] for session in found["sessions"]} == {"ACTIVE"}
    assert found["pagination"] == {"limit": 50, "offset": 0, "total": 6, "nextCursor": None}
