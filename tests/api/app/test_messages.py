"""`/chat/sessions/{id}/messages`: written, listed, edited, deleted and brought back."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.api.app.chats import CHATS, MESSAGE_FIELDS, listed, made, next_of, sent, walked
from tests.api.v1 import rows
from tests.api.v1.calls import MOMENT, SESSIONS, answered, refused
from tests.api.v1.streams import HandedOut, follow
from tests.factories import Person


@pytest.fixture
def chat(owner: Person) -> str:
    return str(made(owner)["_id"])


def counted(who: Person, chat: str) -> tuple[int, str | None, str]:
    """The chat's count, last activity and title."""
    body = answered(who.get(f"{CHATS}/{chat}"))
    return body["message_count"], body["last_message_at"], body["title"]


def test_a_message_has_every_field_of_the_contract(owner: Person, chat: str) -> None:
    message = sent(owner, chat, "Hello!")
    assert message.keys() == MESSAGE_FIELDS
    assert {name: message[name] for name in ("session_id", "user_id", "content", "role", "status", "edited_at")} == {
        "session_id": chat,
        "user_id": "owner",
        "content": "Hello!",
        "role": "user",
        "status": "complete",
        "edited_at": None,
    }
    assert isinstance(message["_id"], int)
    assert MOMENT.fullmatch(message["created_at"])
    assert listed(owner, f"{CHATS}/{chat}/messages") == [message]


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_each_role_of_the_spec_may_be_written(owner: Person, chat: str, role: str) -> None:
    assert sent(owner, chat, "Hello", role=role)["role"] == role


def test_a_system_message_of_another_face_is_listed_here_too(owner: Person, chat: str) -> None:
    owner.message(chat, "Be brief", "system")
    assert [one["role"] for one in listed(owner, f"{CHATS}/{chat}/messages")] == ["system"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": " \n"}, "content"),
        ({"content": "x" * 10_001}, "content"),
        ({"content": "\0"}, "content"),
        ({"content": 1}, "content"),
        ({"content": None}, "content"),
        ({"content": "x", "role": "system"}, "role"),
        ({"content": "x", "role": None}, "role"),
        ({"content": "x", "message_type": "user"}, "message_type"),
        ({"content": "x", "metadata": {}}, "metadata"),
    ],
)
def test_a_bad_message_is_refused_by_name_and_nothing_is_written(owner: Person, chat: str, body: dict[str, Any], field: str) -> None:
    refused(owner.post(f"{CHATS}/{chat}/messages", json=body), 400, field)
    assert counted(owner, chat) == (0, None, "New chat")


def test_a_message_brings_an_ended_chat_back(owner: Person, chat: str) -> None:
    owner.delete(f"{SESSIONS}/{chat}")
    sent(owner, chat)
    assert answered(owner.get(f"{SESSIONS}/{chat}"))["is_active"] is True


def test_a_list_has_two_hundred_at_most_and_names_where_it_goes_on(owner: Person, chat: str) -> None:
    for n in range(203):
        sent(owner, chat, str(n))
    path = f"{CHATS}/{chat}/messages"
    numbers = [str(n) for n in range(203)]
    assert [[one["content"] for one in part] for part in walked(owner, path)] == [numbers[:200], numbers[200:]]
    assert [one["content"] for part in walked(owner, f"{path}?order=desc&limit=90") for one in part] == numbers[::-1]
    assert "Link" not in owner.get(f"{path}?limit=200&cursor={str(next_of(owner.get(path))).partition('cursor=')[2]}").headers


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "order=up", "page=1", "cursor=x", "role=user"])
def test_what_the_list_does_not_take_is_refused(owner: Person, chat: str, query: str) -> None:
    refused(owner.get(f"{CHATS}/{chat}/messages?{query}"), 400, query.partition("=")[0])


def test_an_edit_changes_the_text_and_the_title_that_was_made_from_it(owner: Person, chat: str) -> None:
    message = sent(owner, chat, "Frist")
    edited = answered(owner.put(f"{CHATS}/{chat}/messages/{message['_id']}", json={"content": "First"}))
    assert MOMENT.fullmatch(edited["edited_at"])
    assert {**edited, "edited_at": None} == {**message, "content": "First"}
    assert counted(owner, chat) == (1, message["created_at"], "First")


def test_a_deleted_message_leaves_the_count_the_title_and_the_activity_and_comes_back_with_them(app: Flask, owner: Person, chat: str) -> None:
    first, second = sent(owner, chat, "First"), sent(owner, chat, "Second", role="assistant")
    path = f"{CHATS}/{chat}/messages"
    before = counted(owner, chat)
    response = owner.delete(f"{path}/{second['_id']}")
    assert (response.status_code, response.data) == (204, b"")
    assert counted(owner, chat) == (1, first["created_at"], "First")
    assert owner.delete(f"{path}/{first['_id']}").status_code == 204
    assert counted(owner, chat) == (0, None, "New chat")
    assert listed(owner, path) == []
    refused(owner.delete(f"{path}/{first['_id']}"), 404)
    refused(owner.put(f"{path}/{first['_id']}", json={"content": "x"}), 404)
    assert answered(owner.post(f"{path}/{second['_id']}/restore")) == second
    assert answered(owner.post(f"{path}/{first['_id']}/restore")) == first
    assert answered(owner.post(f"{path}/{first['_id']}/restore")) == first, "restored twice is restored once"
    assert counted(owner, chat) == before
    assert listed(owner, path) == [first, second]
    assert rows.breaches(app) == []


def test_a_message_is_reached_through_its_own_chat_only(owner: Person, stranger: Person, chat: str) -> None:
    message, other, theirs = sent(owner, chat), made(owner)["_id"], made(stranger)["_id"]
    for who, where in ((owner, other), (stranger, theirs), (stranger, chat)):
        path = f"{CHATS}/{where}/messages/{message['_id']}"
        refused(who.put(path, json={"content": "x"}), 404)
        refused(who.delete(path), 404)
        refused(who.post(f"{path}/restore"), 404)
    assert listed(owner, f"{CHATS}/{chat}/messages") == [message]


def test_a_reply_that_is_being_written_is_listed_as_far_as_it_is_and_cannot_be_edited_or_deleted(owner: Person, chat: str, handed: HandedOut) -> None:
    stream = follow(owner, json={"message": "Hello", "session_id": chat})
    reply_id = next(stream).data["reply_id"]
    path = f"{CHATS}/{chat}/messages/{reply_id}"
    refused(owner.put(path, json={"content": "x"}), 409)
    refused(owner.delete(path), 409)
    assert answered(owner.post(f"{path}/restore"))["status"] == "streaming"
    assert [one["status"] for one in listed(owner, f"{CHATS}/{chat}/messages")] == ["complete", "streaming"]
    handed.say("Hi", None)
    list(stream)
    assert owner.delete(path).status_code == 204


def test_a_message_is_written_once_per_key(owner: Person, chat: str) -> None:
    path, headers = f"{CHATS}/{chat}/messages", {"Idempotency-Key": "one"}
    first, second = (owner.post(path, json={"content": "Once"}, headers=headers) for _ in range(2))
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert counted(owner, chat)[0] == 1
    assert owner.post(path, json={"content": "Twice"}, headers=headers).status_code == 422


def test_an_append_is_one_statement_however_long_the_chat(app: Flask, owner: Person, chat: str) -> None:
    for _ in range(3):
        with rows.statements(app) as seen:
            sent(owner, chat)
        assert len(seen) == 1 + 1
