"""`/api/v1/chat/sessions`: the sidebar's list."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.api.v1.calls import MOMENT, answered, refused
from tests.factories import Person, person

CHAT = "/api/v1/chat"
LIST = f"{CHAT}/sessions"


def chat(who: Person, message: str = "Hello", **rest: object) -> str:
    return str(answered(who.post(CHAT, json={"message": message, **rest}))["session_id"])


def test_a_summary_has_every_field_of_the_contract(owner: Person) -> None:
    session_id = chat(owner, "What payment processors do you take?")
    body = answered(owner.get(LIST))
    (summary,) = body["sessions"]
    assert {name: summary[name] for name in ("session_id", "title", "last_message", "message_count")} == {
        "session_id": session_id,
        "title": "What payment processors do you take?",
        "last_message": "What payment processors do you take?",
        "message_count": 2,
    }
    assert all(MOMENT.fullmatch(summary[name]) for name in ("created_at", "updated_at"))
    assert summary.keys() == {"session_id", "title", "last_message", "message_count", "created_at", "updated_at"}
    assert {name: body[name] for name in ("total", "page", "page_size", "total_pages", "next_cursor")} == {
        "total": 1,
        "page": 1,
        "page_size": 50,
        "total_pages": 1,
        "next_cursor": None,
    }


def test_a_chat_without_title_or_messages_shows_words_all_the_same(owner: Person) -> None:
    owner.session(agent_type=None)
    (summary,) = answered(owner.get(LIST))["sessions"]
    assert (summary["title"], summary["last_message"], summary["message_count"]) == ("New chat", "", 0)


def test_the_most_recently_active_comes_first_and_pages_go_on_by_number_and_by_cursor(owner: Person) -> None:
    made = [chat(owner, f"Chat {number}") for number in range(5)]
    chat(owner, "Back again", session_id=made[1])
    wanted = [made[1], made[4], made[3], made[2], made[0]]
    assert [one["session_id"] for one in answered(owner.get(f"{LIST}?page=1&page_size=50"))["sessions"]] == wanted
    by_number = [one["session_id"] for page in (1, 2, 3) for one in answered(owner.get(f"{LIST}?page={page}&page_size=2"))["sessions"]]
    by_cursor: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = answered(owner.get(f"{LIST}?page_size=2" + (f"&cursor={cursor}" if cursor else "")))
        by_cursor += [one["session_id"] for one in body["sessions"]]
        cursor = body["next_cursor"]
    assert by_number == by_cursor == wanted


@pytest.mark.parametrize("query", ["page_size=101", "page_size=0", "page=0", "page=1000001", "page=x", "limit=5", "page=1&cursor=x"])
def test_what_the_list_does_not_take_is_refused(owner: Person, query: str) -> None:
    refused(owner.get(f"{LIST}?{query}"), 400, "cursor" if "cursor" in query else query.partition("=")[0])


def test_a_hundred_a_page_are_allowed(owner: Person) -> None:
    assert answered(owner.get(f"{LIST}?page_size=100"))["page_size"] == 100


def test_user_id_takes_ones_own_and_anyones_from_an_admin(owner: Person, stranger: Person, admin: Person) -> None:
    session_id = chat(owner)
    assert answered(owner.get(f"{LIST}?user_id=owner"))["total"] == 1
    refused(stranger.get(f"{LIST}?user_id=owner"), 403)
    refused(stranger.get(f"{LIST}?user_id=nobody"), 403)
    assert [one["session_id"] for one in answered(admin.get(f"{LIST}?user_id=owner"))["sessions"]] == [session_id]
    assert answered(admin.get(f"{LIST}?user_id=nobody"))["total"] == 0
    assert answered(admin.get(LIST))["total"] == 0


def test_a_chat_is_read_with_its_newest_messages(owner: Person) -> None:
    session_id = chat(owner, "Hello there")
    body = answered(owner.get(f"{LIST}/{session_id}"))
    assert [(one["message_type"], one["content"]) for one in body["messages"]] == [("user", "Hello there"), ("assistant", "Hello there")]
    assert (body["session_id"], body["title"], body["message_count"], body["has_more_messages"]) == (session_id, "Hello there", 2, False)


def test_a_deleted_chat_is_gone_from_every_route(owner: Person) -> None:
    session_id = chat(owner)
    assert owner.delete(f"{LIST}/{session_id}").status_code == 204
    assert answered(owner.get(LIST))["total"] == 0
    for path in (f"{LIST}/{session_id}", f"/api/v1/chat-sessions/{session_id}", f"/api/v1/chat-sessions/{session_id}/messages"):
        refused(owner.get(path), 404)
    refused(owner.delete(f"{LIST}/{session_id}"), 404)


def test_an_exchange_is_no_chat(app: Flask, owner: Person) -> None:
    from tests.api.v1 import rows

    exchange = rows.exchange(app, "owner")
    assert answered(owner.get(LIST))["total"] == 0
    assert answered(owner.get(f"{LIST}/{exchange}"))["session_id"] == exchange
    refused(owner.post(CHAT, json={"message": "Hello", "session_id": exchange}), 409)
    assert person(app, "stranger").get(f"{LIST}/{exchange}").status_code == 404


def test_an_admin_who_reads_what_others_wrote_is_written_down(admin: Person, owner: Person) -> None:
    admin.get(LIST)
    admin.get(f"{LIST}?user_id=admin")
    owner.get(f"{LIST}?user_id=owner")
    events = "/api/audit-events?action=sessions.listed"
    assert answered(admin.get(events))["data"]["events"] == []
    admin.get(f"{LIST}?user_id=owner")
    assert [(event["actorId"], event["subject"]) for event in answered(admin.get(events))["data"]["events"]] == [("admin", "owner")]
