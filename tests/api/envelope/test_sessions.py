"""`/api/chat-sessions`: made, read, renamed, described; one store behind every face."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from chatsvc.core.models import ChatSession
from tests.api.envelope.calls import MESSAGE, MOMENT, SESSION, SESSIONS, answered, cancel, create, ids, listed, read, refused
from tests.api.v1 import calls as v1
from tests.api.v1 import rows
from tests.factories import Person, person, unknown_id


def test_a_new_session_has_every_field_of_the_contract_in_its_order(owner: Person) -> None:
    session = create(owner, title="My Plant Chat", meta={"plantType": "indoor"})
    assert list(session) == SESSION
    assert uuid.UUID(session["sessionId"]).version == 4
    assert (session["title"], session["meta"], session["status"], session["messagesCount"]) == ("My Plant Chat", {"plantType": "indoor"}, "ACTIVE", 0)
    nothing = ("lastMessage", "lastMessageAt", "conversationId", "personaId", "endedAt", "durationMs", "errorMessage", "errorKind")
    assert [session[name] for name in nothing] == [None] * len(nothing)
    for name in ("createdAt", "updatedAt", "startedAt", "lastActivityAt"):
        assert MOMENT.fullmatch(session[name])
    assert session["startedAt"] == session["createdAt"] == session["lastActivityAt"]
    assert read(owner, session["sessionId"]) == session


def test_everything_may_be_left_out(owner: Person) -> None:
    for fields in ({}, {"title": None}):
        session = create(owner, **fields)
        assert (session["title"], session["meta"]) == (None, {})


def test_a_session_of_this_face_has_no_agent_type_and_is_not_counted(app: Flask, owner: Person) -> None:
    made = [create(owner)["sessionId"] for _ in range(7)]
    assert {rows.of_session(app, one).agent_type for one in made} == {None}
    assert {read(owner, one)["status"] for one in made} == {"ACTIVE"}


def test_times_are_cut_to_milliseconds_and_a_length_is_what_the_times_say(app: Flask, owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    start = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    for end, shown, length in (
        (start + timedelta(microseconds=1), "2026-03-01T12:00:01.000Z", 1),
        (start, "2026-03-01T12:00:00.999Z", 0),
        (start + timedelta(days=2, microseconds=1_500), "2026-03-03T12:00:01.001Z", 2 * 86_400_000 + 2),
    ):
        rows.run(app, "UPDATE chat_sessions SET status = 'COMPLETED'")
        set_times(app, session_id, start, end)
        session = read(owner, session_id)
        assert (session["startedAt"], session["endedAt"], session["durationMs"]) == ("2026-03-01T12:00:00.999Z", shown, length)


def set_times(app: Flask, session_id: str, start: datetime, end: datetime) -> None:
    rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(created_at=start, ended_at=end))


def test_the_last_message_shows_in_the_session(owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    owner.message(session_id, "Which plants like shade?")
    message = owner.message(session_id, "Ferns do.", "assistant")
    session = read(owner, session_id)
    assert (session["title"], session["lastMessage"], session["messagesCount"]) == ("Which plants like shade?", "Ferns do.", 2)
    assert session["lastMessageAt"] == session["lastActivityAt"] == message["created_at"][:23] + "Z"


def test_a_title_is_changed_and_given_back(owner: Person) -> None:
    session_id = create(owner, title="Mine")["sessionId"]
    owner.message(session_id, "From the first message")
    path = f"{SESSIONS}/{session_id}/title"
    assert answered(owner.put(path, json={"title": "New"}), 200, "Session title updated successfully")["title"] == "New"
    given_back = answered(owner.put(path, json={"title": None}))
    assert given_back["title"] == "From the first message"
    assert given_back == read(owner, session_id)
    refused(owner.put(path, json={}), 400, "title")
    refused(owner.put(path, json={"title": None, "meta": {}}), 400, "meta")


def test_metadata_is_replaced_and_not_merged(owner: Person) -> None:
    session_id = create(owner, meta={"a": 1, "b": 2})["sessionId"]
    path = f"{SESSIONS}/{session_id}/meta"
    changed = answered(owner.put(path, json={"meta": {"c": [3]}}), 200, "Session metadata updated successfully")
    assert changed["meta"] == {"c": [3]}
    assert changed == read(owner, session_id)
    assert answered(owner.put(path, json={"meta": {}}))["meta"] == {}
    refused(owner.put(path, json={}), 400, "meta")
    refused(owner.put(path, json={"meta": None}), 400, "meta")


def test_a_change_moves_the_session_to_the_front(owner: Person) -> None:
    first, second = create(owner)["sessionId"], create(owner)["sessionId"]
    assert ids(listed(owner)) == [second, first]
    owner.put(f"{SESSIONS}/{first}/title", json={"title": "New"})
    assert ids(listed(owner)) == [first, second]
    owner.put(f"{SESSIONS}/{second}/meta", json={"meta": {}})
    assert ids(listed(owner)) == [second, first]
    answered(cancel(owner, first))
    assert ids(listed(owner)) == [first, second]


def test_a_title_may_have_200_characters_here_and_longer_ones_of_elsewhere_are_shown(owner: Person) -> None:
    for letter in ("x", "🙂"):
        assert create(owner, title=letter * 200)["title"] == letter * 200
        session_id = create(owner)["sessionId"]
        refused(owner.post(SESSIONS, json={"title": letter * 201}), 400, "title")
        refused(owner.put(f"{SESSIONS}/{session_id}/title", json={"title": letter * 201}), 400, "title")
    long = owner.session(title="x" * 255)
    assert read(owner, long["id"])["title"] == "x" * 255


def test_a_shorter_limit_of_the_settings_holds_here_too(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_TITLE_MAX_LENGTH="40"), "owner")
    create(owner, title="x" * 40)
    refused(owner.post(SESSIONS, json={"title": "x" * 41}), 400, "title")


# Creating once


def test_a_session_is_made_once_for_a_key(app: Flask, owner: Person, stranger: Person) -> None:
    headers = {"Idempotency-Key": "one"}
    first = owner.post(SESSIONS, json={"title": "Trip"}, headers=headers)
    again = owner.post(SESSIONS, json={"title": "Trip"}, headers=headers)
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (201, first.data, "true")
    assert "Idempotent-Replayed" not in first.headers
    assert rows.count(app, "chat_sessions") == 1
    refused(owner.post(SESSIONS, json={"title": "Other"}, headers=headers), 422)
    refused(owner.post(SESSIONS, json={"title": "Trip"}, headers={"Idempotency-Key": "é"}), 400, "Idempotency-Key")
    # Another's key, and the same key on another face's path, are others.
    assert answered(stranger.post(SESSIONS, json={"title": "Trip"}, headers=headers), 201)["sessionId"] not in first.text
    assert owner.post(v1.SESSIONS, json={"title": "Trip"}, headers=headers).status_code == 422


def test_a_refusal_does_not_use_the_key_up(app: Flask, owner: Person) -> None:
    headers = {"Idempotency-Key": "one"}
    refused(owner.post(SESSIONS, json={"title": ""}, headers=headers), 400, "title")
    answered(owner.post(SESSIONS, json={"title": "Trip"}, headers=headers), 201)


# Messages


def test_messages_are_listed_oldest_first_in_the_shape_of_the_contract(owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    said = [owner.message(session_id, f"Message {n}", metadata={"n": n}) for n in range(45)]
    path = f"{SESSIONS}/{session_id}/messages"
    found = answered(owner.get(path), 200, "Messages retrieved successfully")
    assert list(found) == ["messages", "pagination"]
    assert [list(message) for message in found["messages"]] == [MESSAGE] * 20
    first = said[0]
    assert found["messages"][0] == {
        "messageId": first["id"],
        "sessionId": session_id,
        "role": "user",
        "content": "Message 0",
        "status": "complete",
        "metadata": {"n": 0},
        "createdAt": first["created_at"][:23] + "Z",
    }
    pagination = found["pagination"]
    assert {**pagination, "nextCursor": "…"} == {"page": 1, "limit": 20, "total": 45, "pages": 3, "nextCursor": "…"}
    third = answered(owner.get(f"{path}?page=3"))
    assert [message["messageId"] for message in third["messages"]] == [message["id"] for message in said[40:]]
    assert third["pagination"] == {"page": 3, "limit": 20, "total": 45, "pages": 3, "nextCursor": None}
    newest = answered(owner.get(f"{path}?order=desc&limit=2"))
    assert [message["content"] for message in newest["messages"]] == ["Message 44", "Message 43"]
    assert answered(owner.get(f"{path}?page=4"))["messages"] == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_walk_through_the_messages_by_cursor_sees_each_once(owner: Person, order: str) -> None:
    session_id = create(owner)["sessionId"]
    said = [owner.message(session_id, f"Message {n}")["id"] for n in range(7)]
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"?limit=3&order={order}" + (f"&cursor={cursor}" if cursor else "")
        found = answered(owner.get(f"{SESSIONS}/{session_id}/messages{query}"))
        seen += [message["messageId"] for message in found["messages"]]
        cursor = found["pagination"]["nextCursor"]
    assert seen == (said if order == "asc" else said[::-1])


# Other faces


def test_what_one_face_makes_all_faces_see(owner: Person) -> None:
    here = create(owner, title="From here", meta={"a": 1})
    there = owner.session(title="From there", metadata={"b": 2}, agent_type="primary")
    seen_there = v1.body_of(owner, f"{v1.SESSIONS}/{here['sessionId']}")
    assert (seen_there["title"], seen_there["metadata"], seen_there["agent_type"], seen_there["is_active"]) == ("From here", {"a": 1}, None, True)
    seen_here = read(owner, there["id"])
    assert (seen_here["title"], seen_here["meta"], seen_here["createdAt"]) == ("From there", {"b": 2}, there["created_at"][:23] + "Z")
    both = [there["id"], here["sessionId"]]
    assert ids(listed(owner)) == [session["id"] for session in v1.body_of(owner, v1.SESSIONS)["sessions"]] == both
    v1.archive(owner, here["sessionId"])
    assert read(owner, here["sessionId"])["status"] == "COMPLETED"
    assert read(owner, here["sessionId"])["endedAt"] is not None
    answered(owner.delete(f"{SESSIONS}/{there['id']}"))
    assert owner.get(f"{v1.SESSIONS}/{there['id']}").status_code == 404


def test_what_is_soft_deleted_elsewhere_is_gone_here(app: Flask, owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    rows.soft_delete(app, "owner", session_id)
    assert ids(listed(owner)) == ids(listed(owner, "?offset=0")) == []
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/messages", None),
        ("PUT", "/title", {"title": "x"}),
        ("PUT", "/meta", {"meta": {}}),
        ("PATCH", "/cancel", None),
        ("DELETE", "", None),
    ):
        gone = refused(owner.call(method, f"{SESSIONS}/{session_id}{path}", json=body), 404)
        assert gone == refused(owner.call(method, f"{SESSIONS}/{unknown_id()}{path}", json=body), 404)


def test_an_exchange_is_read_renamed_described_and_erased(app: Flask, owner: Person) -> None:
    session_id = rows.exchange(app, status="COMPLETED")
    found = read(owner, session_id)
    assert found["conversationId"] == rows.of_session(app, session_id).conversation_id
    assert found["durationMs"] >= 0
    assert answered(owner.put(f"{SESSIONS}/{session_id}/title", json={"title": "Mine"}))["title"] == "Mine"
    assert answered(owner.put(f"{SESSIONS}/{session_id}/meta", json={"meta": {"a": 1}}))["meta"] == {"a": 1}
    assert answered(owner.delete(f"{SESSIONS}/{session_id}")) == {"sessionId": session_id, "deletedMessages": 0}


# Without history


def test_without_history_sessions_have_no_title_and_messages_are_not_given(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_ENABLE_MESSAGE_HISTORY="false"), "owner")
    session = create(owner, title="Trip", meta={"a": 1})
    assert (session["title"], session["meta"]) == (None, {"a": 1})
    assert answered(owner.put(f"{SESSIONS}/{session['sessionId']}/title", json={"title": "Trip"}))["title"] is None
    assert ids(listed(owner)) == [session["sessionId"]]
    refused(owner.get(f"{SESSIONS}/{session['sessionId']}/messages"), 403)
    assert answered(cancel(owner, session["sessionId"]))["status"] == "CANCELLED"
    assert answered(owner.delete(f"{SESSIONS}/{session['sessionId']}"))["deletedMessages"] == 0


def test_switching_the_persona_sessions_off_leaves_these_routes_on(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(ENABLE_CHAT_SESSIONS="false"), "owner")
    session_id = create(owner)["sessionId"]
    assert ids(listed(owner)) == ids(listed(owner, "?status=ACTIVE")) == [session_id]
    answered(owner.delete(f"{SESSIONS}/{session_id}"))
