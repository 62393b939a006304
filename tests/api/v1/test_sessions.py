"""`/api/v1/chat-sessions`: begun, read, changed, archived, resumed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.v1 import rows
from tests.api.v1.calls import MOMENT, SESSIONS, archive, body_of, change, plain, refused
from tests.factories import Person, person, unknown_id

# Beginning


def test_a_new_session_has_every_field_of_the_contract(owner: Person) -> None:
    session = owner.session(title="Trip", metadata={"a": [1, {"b": None}]})
    assert session == {
        "id": session["id"],
        "user_id": "owner",
        "title": "Trip",
        "agent_type": "primary",
        "status": "ACTIVE",
        "is_active": True,
        "metadata": {"a": [1, {"b": None}]},
        "message_count": 0,
        "last_message": None,
        "last_message_at": None,
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
    }


def test_a_session_begun_with_nothing_said_is_an_untitled_primary_one(owner: Person) -> None:
    session = owner.session()
    assert (session["title"], session["agent_type"], session["metadata"], session["is_active"]) == (None, "primary", {}, True)


def test_the_id_is_a_random_uuid_and_times_end_in_z_with_six_digits(owner: Person) -> None:
    session = owner.session()
    assert uuid.UUID(session["id"]).version == 4
    assert session["id"] == str(uuid.UUID(session["id"]))
    assert MOMENT.fullmatch(session["created_at"])
    assert MOMENT.fullmatch(session["updated_at"])


@pytest.mark.parametrize("agent_type", ["primary", "log_analysis", "research", "router", None])
def test_a_session_keeps_the_agent_type_it_is_given_and_null_is_none(owner: Person, agent_type: str | None) -> None:
    session = owner.session(agent_type=agent_type)
    assert session["agent_type"] == agent_type
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["agent_type"] == agent_type


def test_the_agent_types_are_those_of_the_settings(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_AGENT_TYPES="primary,sales"), "owner")
    assert owner.session(agent_type="sales")["agent_type"] == "sales"
    assert owner.post(SESSIONS, json={"agent_type": "research"}).status_code == 400
    assert owner.get(f"{SESSIONS}?agent_type=research").status_code == 400


def test_a_session_begun_inactive_has_ended_at_once(app: Flask, owner: Person) -> None:
    session = owner.session(is_active=False)
    assert (session["status"], session["is_active"]) == ("COMPLETED", False)
    row = rows.of_session(app, session["id"])
    assert row.ended_at == row.created_at == row.updated_at


def test_a_null_title_is_no_title(owner: Person) -> None:
    session = owner.session(title=None)
    assert session["title"] is None
    owner.message(session["id"], "Where is Ulm?")
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["title"] == "Where is Ulm?"


def test_the_longest_title_comes_from_the_settings(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_TITLE_MAX_LENGTH="10"), "owner")
    assert owner.session(title="x" * 10)["title"] == "x" * 10
    assert owner.post(SESSIONS, json={"title": "x" * 11}).status_code == 400


# Reading


def test_a_session_is_read_as_it_was_made_and_with_its_messages(owner: Person) -> None:
    session = owner.session(title="Trip")
    assert body_of(owner, f"{SESSIONS}/{session['id']}") == {**session, "messages": [], "has_more_messages": False}


def test_a_read_shows_the_messages_that_the_list_of_messages_shows(owner: Person) -> None:
    session = owner.session()
    made = [owner.message(session["id"], f"Message {n}", metadata={"n": n}) for n in range(3)]
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert found["messages"] == made == body_of(owner, f"{SESSIONS}/{session['id']}/messages")["messages"]
    assert (found["message_count"], found["last_message"], found["last_message_at"]) == (3, "Message 2", made[-1]["created_at"])


@pytest.mark.parametrize("text", ["false", "False", "FALSE"])
def test_a_read_without_messages_leaves_both_of_their_fields_out(owner: Person, text: str) -> None:
    session = owner.session()
    owner.message(session["id"])
    found = body_of(owner, f"{SESSIONS}/{session['id']}?include_messages={text}")
    assert found == plain(body_of(owner, f"{SESSIONS}/{session['id']}?include_messages=true"))
    assert found.keys() == session.keys()


def test_a_read_shows_the_newest_messages_oldest_first_and_says_that_there_are_more(owner: Person) -> None:
    session = owner.session()
    for n in range(4):
        owner.message(session["id"], str(n))
    for limit, contents, more in ((1, ["3"], True), (3, ["1", "2", "3"], True), (4, ["0", "1", "2", "3"], False), (5, ["0", "1", "2", "3"], False)):
        found = body_of(owner, f"{SESSIONS}/{session['id']}?message_limit={limit}")
        assert [message["content"] for message in found["messages"]] == contents
        assert found["has_more_messages"] is more


def test_a_read_shows_at_most_two_hundred_messages(app: Flask, owner: Person) -> None:
    session = owner.session()
    rows.run(
        app,
        "INSERT INTO chat_messages (session_id, user_id, role, content, metadata, created_at) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 201) "
        "SELECT s.id, s.user_id, 'user', 'Message ' || i, '{}', s.created_at FROM n, chat_sessions s ORDER BY i",
    )
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert [message["content"] for message in found["messages"]] == [f"Message {n}" for n in range(2, 202)]
    assert (found["has_more_messages"], found["message_count"]) == (True, 201)


def test_an_archived_session_stays_readable(owner: Person) -> None:
    session = owner.session(title="Trip")
    owner.message(session["id"], "Hello")
    archived = archive(owner, session["id"])
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert plain(found) == archived
    assert [message["content"] for message in found["messages"]] == ["Hello"]


def test_an_id_may_be_written_in_capitals(owner: Person) -> None:
    session = owner.session()
    path = f"{SESSIONS}/{session['id'].upper()}"
    assert body_of(owner, path)["id"] == session["id"]
    assert owner.message(session["id"].upper())["session_id"] == session["id"]
    assert change(owner, session["id"].upper(), title="Trip")["title"] == "Trip"
    assert body_of(owner, f"{path}/messages")["total"] == 1
    assert archive(owner, session["id"].upper())["id"] == session["id"]


def test_an_unknown_session_is_not_found(owner: Person) -> None:
    response = owner.get(f"{SESSIONS}/{unknown_id()}")
    assert (response.status_code, response.json) == (404, {"detail": "Session not found"})


def test_a_soft_deleted_session_is_gone_from_every_route(app: Flask, owner: Person) -> None:
    session = owner.session(title="Trip")
    message = owner.message(session["id"])
    rows.soft_delete(app, "owner", session["id"])
    path = f"{SESSIONS}/{session['id']}"
    for response in (
        owner.get(path),
        owner.get(f"{path}?include_messages=false"),
        owner.put(path, json={"title": "x"}),
        owner.put(path, json={"is_active": True}),
        owner.put(path, json={"is_active": False}),
        owner.delete(path),
        owner.get(f"{path}/messages"),
        owner.post(f"{path}/messages", json={"content": "x", "message_type": "user"}),
        owner.put(f"{path}/messages/{message['id']}", json={"content": "x"}),
    ):
        assert (response.status_code, response.json) == (404, {"detail": "Session not found"})
    assert body_of(owner, SESSIONS)["sessions"] == []
    assert body_of(owner, f"{SESSIONS}?search=trip")["total"] == 0
    assert body_of(owner, f"{SESSIONS}/stats/user")["total_sessions"] == 0


# Changing


def test_a_rename_answers_the_session_and_moves_its_time(owner: Person) -> None:
    session = owner.session(title="Trip", metadata={"a": 1})
    renamed = change(owner, session["id"], title="Journey")
    assert renamed == {**session, "title": "Journey", "updated_at": renamed["updated_at"]}
    assert renamed["updated_at"] > session["updated_at"]
    assert plain(body_of(owner, f"{SESSIONS}/{session['id']}")) == renamed


def test_metadata_is_replaced_and_not_merged(owner: Person) -> None:
    session = owner.session(metadata={"old": 1, "both": {"x": 1}})
    assert change(owner, session["id"], metadata={"both": {"y": 2}})["metadata"] == {"both": {"y": 2}}
    assert change(owner, session["id"], title="Trip")["metadata"] == {"both": {"y": 2}}
    assert change(owner, session["id"], metadata={})["metadata"] == {}


def test_a_title_that_a_person_gave_stays_whatever_is_written(owner: Person) -> None:
    session = owner.session(title="Mine")
    owner.message(session["id"], "Hello")
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["title"] == "Mine"


def test_a_title_set_to_null_comes_from_the_first_user_message_again(owner: Person) -> None:
    session = owner.session(title="Mine")
    assert change(owner, session["id"], title=None)["title"] is None
    owner.message(session["id"], "You are kind", "system")
    owner.message(session["id"], "ß" * 49 + "🙂 and more", "user")
    owner.message(session["id"], "Second", "user")
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["title"] == "ß" * 49 + "🙂"
    assert change(owner, session["id"], title="Mine again")["title"] == "Mine again"
    assert change(owner, session["id"], title=None)["title"] == "ß" * 49 + "🙂"


def test_archiving_and_resuming_by_a_change(app: Flask, owner: Person) -> None:
    session = owner.session(title="Trip")
    archived = change(owner, session["id"], is_active=False)
    assert archived == {**session, "status": "COMPLETED", "is_active": False, "updated_at": archived["updated_at"]}
    assert archived["updated_at"] > session["updated_at"]
    assert rows.of_session(app, session["id"]).ended_at is not None
    resumed = change(owner, session["id"], is_active=True)
    assert resumed == {**session, "updated_at": resumed["updated_at"]}
    assert resumed["updated_at"] > archived["updated_at"]
    assert rows.of_session(app, session["id"]).ended_at is None


@pytest.mark.parametrize("status", ["FAILED", "TIMEOUT", "CANCELLED"])
def test_resuming_brings_back_whatever_the_end_was_and_clears_the_error(app: Flask, owner: Person, status: str) -> None:
    session = owner.session()
    rows.run(app, f"UPDATE chat_sessions SET status = '{status}', ended_at = updated_at, error_message = 'x', error_kind = 'timeout'")
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["status"] == status
    assert change(owner, session["id"], is_active=True)["status"] == "ACTIVE"
    row = rows.of_session(app, session["id"])
    assert (row.ended_at, row.error_message, row.error_kind) == (None, None, None)


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"])
def test_ending_what_has_ended_changes_nothing(app: Flask, owner: Person, status: str) -> None:
    session = owner.session()
    archive(owner, session["id"])
    rows.run(app, f"UPDATE chat_sessions SET status = '{status}'")
    before, row = plain(body_of(owner, f"{SESSIONS}/{session['id']}")), rows.of_session(app, session["id"])
    assert change(owner, session["id"], is_active=False) == before
    assert archive(owner, session["id"]) == before
    assert rows.of_session(app, session["id"]) == row


def test_resuming_what_is_active_changes_nothing(owner: Person) -> None:
    session = owner.session()
    assert change(owner, session["id"], is_active=True) == session


def test_an_ended_session_can_be_renamed_and_stays_ended(owner: Person) -> None:
    session = owner.session()
    archive(owner, session["id"])
    renamed = change(owner, session["id"], title="Trip", metadata={"a": 1})
    assert (renamed["title"], renamed["metadata"], renamed["is_active"]) == ("Trip", {"a": 1}, False)


def test_one_change_may_hold_everything(owner: Person) -> None:
    session = owner.session()
    changed = change(owner, session["id"], title="Trip", metadata={"a": 1}, is_active=False)
    assert (changed["title"], changed["metadata"], changed["status"]) == ("Trip", {"a": 1}, "COMPLETED")


@pytest.mark.parametrize("wrong", [{"is_active": "no"}, {"metadata": []}, {"title": " "}, {"more": 1}])
def test_a_change_with_one_bad_field_changes_nothing(owner: Person, wrong: dict[str, Any]) -> None:
    session = owner.session(title="Trip")
    response = owner.put(f"{SESSIONS}/{session['id']}", json={"title": "Journey", "metadata": {"a": 1}, "is_active": False, **wrong})
    assert response.status_code == 400
    assert plain(body_of(owner, f"{SESSIONS}/{session['id']}")) == session


def test_a_change_of_nothing_is_refused(owner: Person) -> None:
    session = owner.session()
    response = owner.put(f"{SESSIONS}/{session['id']}", json={})
    assert response.status_code == 400
    assert response.json == {
        "detail": "body must change at least one of title, is_active and metadata",
        "errors": [{"field": "body", "message": "must change at least one of title, is_active and metadata"}],
    }


# Archiving


def test_a_delete_archives_and_answers_the_session(app: Flask, owner: Person) -> None:
    session = owner.session(title="Trip")
    archived = archive(owner, session["id"])
    assert archived == {**session, "status": "COMPLETED", "is_active": False, "updated_at": archived["updated_at"]}
    assert archived["updated_at"] > session["updated_at"]
    assert rows.of_session(app, session["id"]).deleted_at is None
    assert [found["id"] for found in body_of(owner, SESSIONS)["sessions"]] == [session["id"]]


def test_archiving_keeps_every_message(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"])
    assert archive(owner, session["id"])["message_count"] == 1
    assert body_of(owner, f"{SESSIONS}/{session['id']}/messages")["messages"] == [message]


# Exchanges


def test_an_exchange_is_read_renamed_and_noted_but_neither_archived_nor_resumed(app: Flask, owner: Person) -> None:
    session_id = rows.exchange(app, status="ACTIVE")
    path = f"{SESSIONS}/{session_id}"
    assert body_of(owner, path)["status"] == "ACTIVE"
    assert change(owner, session_id, title="Trip", metadata={"a": 1})["title"] == "Trip"
    before = rows.of_session(app, session_id)
    for response in (
        owner.put(path, json={"is_active": False}),
        owner.put(path, json={"is_active": True, "title": "Journey"}),
        owner.delete(path),
        owner.post(f"{path}/messages", json={"content": "x", "message_type": "user"}),
    ):
        refused(response, 409)
    assert rows.of_session(app, session_id) == before


def test_an_ended_exchange_is_final(app: Flask, owner: Person) -> None:
    session_id = rows.exchange(app, status="CANCELLED")
    for response in (
        owner.put(f"{SESSIONS}/{session_id}", json={"is_active": True}),
        owner.post(f"{SESSIONS}/{session_id}/messages", json={"content": "x", "message_type": "user"}),
    ):
        assert response.status_code == 409
    assert rows.of_session(app, session_id).status == "CANCELLED"


# Without history


def test_without_history_sessions_have_no_title_and_no_messages(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_ENABLE_MESSAGE_HISTORY="false"), "owner")
    session = owner.session(title="Trip", metadata={"a": 1})
    assert (session["title"], session["metadata"]) == (None, {"a": 1})
    assert change(owner, session["id"], title="Trip")["title"] is None
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert (found["messages"], found["has_more_messages"]) == ([], False)
    for response in (
        owner.get(f"{SESSIONS}/{session['id']}/messages"),
        owner.post(f"{SESSIONS}/{session['id']}/messages", json={"content": "x", "message_type": "user"}),
        owner.put(f"{SESSIONS}/{session['id']}/messages/1", json={"content": "x"}),
    ):
        refused(response, 403)
