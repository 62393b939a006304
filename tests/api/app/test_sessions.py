"""`/chat/sessions`: what spec 2 shows, and what the contract adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.app.accounts import account
from tests.api.app.chats import CHATS, SESSION_FIELDS, listed, made, next_of, sent, walked
from tests.api.v1 import rows
from tests.api.v1.calls import MOMENT, SESSIONS, answered, refused
from tests.api.v1.streams import HandedOut, follow
from tests.factories import Person, person, unknown_id


def test_the_calls_of_the_spec_work_as_they_are_written(app: Flask) -> None:
    account(app, "alice", password="alicepass123")
    client = app.test_client(use_cookies=False)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    token = answered(client.post("/auths/login", data="username=alice&password=alicepass123", headers=form))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    chat = answered(client.post(CHATS, data='{"title": "My First Chat"}', headers=headers), 201)
    assert {name: chat[name] for name in ("title", "message_count", "last_message_at")} == {
        "title": "My First Chat",
        "message_count": 0,
        "last_message_at": None,
    }
    messages = f"{CHATS}/{chat['_id']}/messages"
    message = answered(client.post(messages, data='{"content": "Hello!"}', headers=headers), 201)
    assert (message["role"], message["content"], message["user_id"]) == ("user", "Hello!", chat["user_id"])
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get(messages, headers=bearer).json == [message]
    (found,) = client.get(CHATS, headers=bearer).json or []
    assert (found["_id"], found["message_count"], found["last_message_at"]) == (chat["_id"], 1, message["created_at"])


def test_a_chat_has_every_field_of_the_contract_wherever_it_is_shown(owner: Person) -> None:
    chat = made(owner, title="Trip")
    assert chat.keys() == SESSION_FIELDS
    assert chat["user_id"] == "owner"
    assert all(MOMENT.fullmatch(chat[name]) for name in ("created_at", "updated_at"))
    assert answered(owner.get(f"{CHATS}/{chat['_id']}")) == chat
    assert listed(owner) == [chat]
    assert answered(owner.post(f"{CHATS}/{chat['_id']}/restore")) == chat


@pytest.mark.parametrize("body", [{}, {"title": None}])
def test_a_chat_without_a_title_is_called_new_until_its_first_message(owner: Person, body: dict[str, Any]) -> None:
    chat = made(owner, **body)
    assert chat["title"] == "New chat"
    sent(owner, chat["_id"], "Which plants like shade?")
    assert answered(owner.get(f"{CHATS}/{chat['_id']}"))["title"] == "Which plants like shade?"
    assert listed(owner, f"{CHATS}?search=new chat") == []


@pytest.mark.parametrize("title", ["", " \n", "x" * 256, 1, ["x"], "\0"])
def test_a_bad_title_is_refused_by_name(owner: Person, title: Any) -> None:
    refused(owner.post(CHATS, json={"title": title}), 400, "title")
    chat = made(owner, title="Trip")
    refused(owner.put(f"{CHATS}/{chat['_id']}", json={"title": title}), 400, "title")
    assert listed(owner) == [chat]


def test_what_is_not_known_is_refused_and_an_empty_body_too(owner: Person) -> None:
    refused(owner.post(CHATS, json={"title": "x", "agent_type": "primary"}), 400, "agent_type")
    refused(owner.post(CHATS, data="", headers={"Content-Type": "application/json"}), 400, "body")
    chat = made(owner)
    refused(owner.put(f"{CHATS}/{chat['_id']}", json={}), 400, "title")
    refused(owner.put(f"{CHATS}/{chat['_id']}", json={"title": "x", "is_active": False}), 400, "is_active")
    refused(owner.post(CHATS, data="title=x", headers={"Content-Type": "text/plain"}), 415, "body")


def test_a_chat_is_counted_towards_no_cap(owner: Person) -> None:
    for _ in range(8):
        made(owner)
    assert answered(owner.get(f"{SESSIONS}?is_active=true"))["total"] == 8


def test_a_rename_moves_the_chat_up_and_none_gives_the_title_back(owner: Person) -> None:
    first, second = made(owner, title="First"), made(owner, title="Second")
    sent(owner, first["_id"], "Hello there")
    sent(owner, second["_id"])
    renamed = answered(owner.put(f"{CHATS}/{first['_id']}", json={"title": "Renamed"}))
    assert renamed["title"] == "Renamed"
    assert renamed["updated_at"] > first["updated_at"]
    assert [one["title"] for one in listed(owner)] == ["Renamed", "Second"]
    assert answered(owner.put(f"{CHATS}/{first['_id']}", json={"title": None}))["title"] == "Hello there"


def test_a_deleted_chat_is_gone_from_every_face_and_comes_back_as_it_was(owner: Person) -> None:
    chat = made(owner, title="Trip")
    message = sent(owner, chat["_id"])
    before = answered(owner.get(f"{CHATS}/{chat['_id']}"))
    response = owner.delete(f"{CHATS}/{chat['_id']}")
    assert (response.status_code, response.data) == (204, b"")
    for path in (f"{CHATS}/{chat['_id']}", f"{CHATS}/{chat['_id']}/messages", f"{SESSIONS}/{chat['_id']}", f"/api/v1/chat/sessions/{chat['_id']}"):
        refused(owner.get(path), 404)
    refused(owner.delete(f"{CHATS}/{chat['_id']}"), 404)
    refused(owner.put(f"{CHATS}/{chat['_id']}", json={"title": "x"}), 404)
    refused(owner.post(f"{CHATS}/{chat['_id']}/messages", json={"content": "x"}), 404)
    refused(owner.post(f"{CHATS}/{chat['_id']}/messages/{message['_id']}/restore"), 404)
    assert listed(owner) == []
    assert [one["_id"] for one in listed(owner, f"{CHATS}?deleted=true")] == [chat["_id"]]
    back = answered(owner.post(f"{CHATS}/{chat['_id']}/restore"))
    assert {**back, "updated_at": ""} == {**before, "updated_at": ""}
    assert back["updated_at"] > before["updated_at"]
    assert listed(owner) == [back]
    assert listed(owner, f"{CHATS}?deleted=true") == []
    assert listed(owner, f"{CHATS}/{chat['_id']}/messages") == [message]


def test_restoring_what_is_not_deleted_changes_nothing(owner: Person) -> None:
    first, second = made(owner), made(owner)
    assert answered(owner.post(f"{CHATS}/{first['_id']}/restore")) == first
    assert [one["_id"] for one in listed(owner)] == [second["_id"], first["_id"]]


def test_a_restore_obeys_the_cap(owner: Person) -> None:
    gone = owner.session()["id"]
    owner.delete(f"{CHATS}/{gone}")
    kept = [owner.session()["id"] for _ in range(5)]
    answered(owner.post(f"{CHATS}/{gone}/restore"))
    active = [one["id"] for one in answered(owner.get(f"{SESSIONS}?is_active=true"))["sessions"]]
    assert active == [gone, *kept[:0:-1]]


def test_nobody_else_restores_or_finds_a_deleted_chat(app: Flask, owner: Person, stranger: Person, admin: Person) -> None:
    chat = made(owner, title="Secret")
    owner.delete(f"{CHATS}/{chat['_id']}")
    for other in (stranger, admin):
        unknown = other.post(f"{CHATS}/{unknown_id()}/restore")
        assert (unknown.status_code, unknown.data) == (404, other.post(f"{CHATS}/{chat['_id']}/restore").data)
        assert listed(other, f"{CHATS}?deleted=true") == []
    assert person(app, "nobody").get(f"{CHATS}?deleted=true").json == []


def test_deleting_a_chat_stops_its_reply(owner: Person, handed: HandedOut) -> None:
    chat = made(owner)
    stream = follow(owner, json={"message": "Hello", "session_id": chat["_id"]})
    next(stream)
    handed.say("Until here")
    next(stream)
    assert owner.delete(f"{CHATS}/{chat['_id']}").status_code == 204
    assert list(stream)[-1].data["assistant_message"]["status"] == "cancelled"
    answered(owner.post(f"{CHATS}/{chat['_id']}/restore"))
    assert [(one["role"], one["status"], one["content"]) for one in listed(owner, f"{CHATS}/{chat['_id']}/messages")] == [
        ("user", "complete", "Hello"),
        ("assistant", "cancelled", "Until here"),
    ]


def test_a_list_is_an_array_of_fifty_that_names_where_it_goes_on(owner: Person) -> None:
    made_ids = [made(owner, title=f"Trip {n}")["_id"] for n in range(53)]
    response = owner.get(CHATS)
    assert [one["_id"] for one in response.json or []] == made_ids[:2:-1]
    assert next_of(response)
    for path in (CHATS, f"{CHATS}?limit=100", f"{CHATS}?limit=7"):
        parts = walked(owner, path)
        assert [one["_id"] for part in parts for one in part] == made_ids[::-1]
    assert "Link" not in owner.get(f"{CHATS}?limit=100").headers


def test_the_next_part_of_a_search_is_of_the_same_search(owner: Person) -> None:
    for n in range(6):
        made(owner, title=f"50 % & ünïque? {n}")
        made(owner, title=f"Other {n}")
    parts = walked(owner, f"{CHATS}?search=%25%20%26%20%C3%9CN%C3%8F&limit=2")
    assert [[one["title"][-1] for one in part] for part in parts] == [["5", "4"], ["3", "2"], ["1", "0"]]


def test_the_bin_is_searched_and_paged_like_the_list(owner: Person) -> None:
    gone = [made(owner, title=f"Trip {n}")["_id"] for n in range(5)]
    kept = made(owner, title="Trip that stays")["_id"]
    for chat_id in gone:
        owner.delete(f"{CHATS}/{chat_id}")
    assert [one["_id"] for part in walked(owner, f"{CHATS}?deleted=true&limit=2&search=TRIP") for one in part] == gone[::-1]
    assert [one["_id"] for one in listed(owner, f"{CHATS}?deleted=false")] == [kept]
    cursor = str(next_of(owner.get(f"{CHATS}?deleted=true&limit=2"))).partition("cursor=")[2]
    refused(owner.get(f"{CHATS}?limit=2&cursor={cursor}"), 400, "cursor")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "deleted=yes", "deleted=", "page=1", "cursor=x", "offset=1", "deleted=true&deleted=true"])
def test_what_the_list_does_not_take_is_refused(owner: Person, query: str) -> None:
    refused(owner.get(f"{CHATS}?{query}"), 400, query.partition("=")[0])


def test_an_exchange_is_no_chat_but_is_read_renamed_and_removed(app: Flask, owner: Person) -> None:
    exchange = rows.exchange(app)
    assert listed(owner) == []
    assert answered(owner.get(f"{CHATS}/{exchange}"))["_id"] == exchange
    assert answered(owner.put(f"{CHATS}/{exchange}", json={"title": "Renamed"}))["title"] == "Renamed"
    refused(owner.post(f"{CHATS}/{exchange}/messages", json={"content": "x"}), 409)
    assert owner.delete(f"{CHATS}/{exchange}").status_code == 204
    assert answered(owner.post(f"{CHATS}/{exchange}/restore"))["_id"] == exchange


def test_a_create_is_done_once_per_key(owner: Person) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = (owner.post(CHATS, json={"title": "Once"}, headers=headers) for _ in range(2))
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert len(listed(owner)) == 1
    assert owner.post(CHATS, json={"title": "Twice"}, headers=headers).status_code == 422


def test_where_no_messages_are_kept_a_chat_has_no_title(make_app: Callable[..., Flask]) -> None:
    who = person(make_app(CHAT_ENABLE_MESSAGE_HISTORY="false"), "owner")
    chat = made(who, title="Secret")
    assert (chat["title"], chat["message_count"]) == ("New chat", 0)
    assert answered(who.put(f"{CHATS}/{chat['_id']}", json={"title": "Secret"}))["title"] == "New chat"
    refused(who.get(f"{CHATS}/{chat['_id']}/messages"), 403)
    for method, path, body in (
        ("POST", "", {"content": "x"}),
        ("PUT", "/1", {"content": "x"}),
        ("DELETE", "/1", None),
        ("POST", "/1/restore", None),
    ):
        refused(who.call(method, f"{CHATS}/{chat['_id']}/messages{path}", json=body), 403)


@pytest.mark.parametrize(
    "path", ["?limit=3", "?search=trip", "?deleted=true", "?deleted=true&search=trip", "/{id}", "/{id}/messages", "/{id}/messages?order=desc&limit=2"]
)
def test_a_read_takes_at_most_two_statements_beside_the_callers(app: Flask, owner: Person, path: str) -> None:
    chats = [made(owner, title=f"Trip {n}")["_id"] for n in range(6)]
    for n in range(4):
        sent(owner, chats[0], f"Message {n}")
    owner.delete(f"{CHATS}/{chats[5]}")
    with rows.statements(app) as seen:
        response = owner.get(CHATS + path.format(id=chats[0]))
    assert response.status_code == 200
    assert len(seen) == 1 + 1
    if place := next_of(response):
        with rows.statements(app) as seen:
            assert owner.get(place).status_code == 200
        assert len(seen) == 1 + 1
