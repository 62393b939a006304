"""`/api/v1/chat-sessions/{id}/messages`: appended, listed, edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import messages
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, answered, archive, body_of, plain, refused, send
from tests.factories import Person, person, unknown_id

ODD_TEXTS = (
    *(" leading and trailing \n", "\tx\r\n", "x\u0001\u001f\u007f\u0085", "a\u2028b\u2029c", "\ufeffx", "\ufffe\uffff\ufdd0"),
    *("שלום \u202eabc\u202c", "zero\u200bwidth\u200d", "👩‍👩‍👧‍👦 🏳️‍🌈", "e\u0301 vs é", "<script>alert(1)</script>", "'; DROP TABLE chat_messages; --"),
    *("%s %(x)s {x} :x ${x}", "\\u0000 \\n \\", '"quoted"', "𝕏" * 3, "ﷺ" * 5, "a\u0300" * 50),
)


def listed(who: Person, session_id: str, query: str = "") -> list[Any]:
    return [message["content"] for message in body_of(who, f"{SESSIONS}/{session_id}/messages{query}")["messages"]]


def walk(who: Person, path: str, between: Callable[[], object] = lambda: None) -> list[str]:
    page = body_of(who, path)
    seen = [message["content"] for message in page["messages"]]
    while page["next_cursor"]:
        assert len(seen) < 100, "this walk goes in circles"
        between()
        page = body_of(who, f"{path}&cursor={page['next_cursor']}")
        seen += [message["content"] for message in page["messages"]]
    return seen


# Appending


def test_a_new_message_has_every_field_of_the_contract(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"], "Hello", metadata={"timestamp": "2024-01-01T00:00:00Z"})
    assert message == {
        "id": message["id"],
        "session_id": session["id"],
        "content": "Hello",
        "message_type": "user",
        "agent_type": None,
        "status": "complete",
        "metadata": {"timestamp": "2024-01-01T00:00:00Z"},
        "created_at": message["created_at"],
        "edited_at": None,
    }
    assert isinstance(message["id"], int)
    assert len(message["created_at"]) == len("2026-11-20T10:00:00.000000Z")


def test_ids_rise_and_a_session_is_read_in_their_order(owner: Person) -> None:
    session_id, other = owner.session()["id"], owner.session()["id"]
    made = []
    for n in range(5):
        made.append(owner.message(session_id, str(n))["id"])
        owner.message(other)
    assert made == sorted(set(made))
    assert [message["id"] for message in body_of(owner, f"{SESSIONS}/{session_id}/messages")["messages"]] == made


@pytest.mark.parametrize("message_type", ["user", "assistant", "system"])
def test_each_type_of_message_may_be_written(owner: Person, message_type: str) -> None:
    session = owner.session()
    assert owner.message(session["id"], "Hello", message_type)["message_type"] == message_type


@pytest.mark.parametrize("of_session", ["primary", "research", None])
def test_an_assistant_message_has_the_sessions_agent_type_unless_it_says_another(owner: Person, of_session: str | None) -> None:
    session = owner.session(agent_type=of_session)
    assert owner.message(session["id"], "Hi", "assistant")["agent_type"] == of_session
    assert owner.message(session["id"], "Hi", "assistant", agent_type="router")["agent_type"] == "router"
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["agent_type"] == of_session


@pytest.mark.parametrize("message_type", ["user", "system"])
def test_only_assistant_messages_take_an_agent_type(owner: Person, message_type: str) -> None:
    session = owner.session()
    refused(send(owner, session["id"], "Hi", message_type, agent_type="primary"), 400, "agent_type")
    assert owner.message(session["id"], "Hi", message_type)["agent_type"] is None


def test_all_bad_fields_of_a_message_are_named(owner: Person) -> None:
    session = owner.session()
    refused(send(owner, session["id"], "", "user", agent_type="primary", metadata=[]), 400, "content", "agent_type", "metadata")
    refused(send(owner, session["id"], 1, "nobody", agent_type="x", more=1), 400, "content", "message_type", "agent_type", "more")
    refused(owner.post(f"{SESSIONS}/{session['id']}/messages", json={"agent_type": "primary"}), 400, "content", "message_type")


def test_a_message_moves_its_session(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"], "x" * 150)
    found = body_of(owner, f"{SESSIONS}/{session['id']}?include_messages=false")
    assert found == {
        **session,
        "title": "x" * 50,
        "message_count": 1,
        "last_message": "x" * 100,
        "last_message_at": message["created_at"],
        "updated_at": message["created_at"],
    }


def test_the_first_user_message_gives_the_title_and_any_message_the_preview(owner: Person) -> None:
    session = owner.session()
    owner.message(session["id"], "You are kind", "system")
    owner.message(session["id"], "Hi there", "assistant")
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["title"] is None
    owner.message(session["id"], "Where is Ulm?", "user")
    owner.message(session["id"], "On the Danube", "assistant")
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert (found["title"], found["last_message"], found["message_count"]) == ("Where is Ulm?", "On the Danube", 4)


def test_a_message_resumes_an_archived_session(app: Flask, owner: Person) -> None:
    session = owner.session(title="Trip")
    archive(owner, session["id"])
    message = owner.message(session["id"])
    found = plain(body_of(owner, f"{SESSIONS}/{session['id']}"))
    assert (found["status"], found["is_active"], found["message_count"]) == ("ACTIVE", True, 1)
    assert found["updated_at"] >= message["created_at"]
    assert rows.of_session(app, session["id"]).ended_at is None


@pytest.mark.parametrize("status", ["FAILED", "TIMEOUT", "CANCELLED"])
def test_a_message_resumes_whatever_the_end_was_and_clears_the_error(app: Flask, owner: Person, status: str) -> None:
    session = owner.session()
    rows.run(app, f"UPDATE chat_sessions SET status = '{status}', ended_at = updated_at, error_message = 'x', error_kind = 'timeout'")
    owner.message(session["id"])
    row = rows.of_session(app, session["id"])
    assert (row.status, row.ended_at, row.error_message, row.error_kind) == ("ACTIVE", None, None, None)


def test_content_is_kept_as_sent(owner: Person) -> None:
    for content in ODD_TEXTS:
        session = owner.session(agent_type=None)
        assert owner.message(session["id"], content)["content"] == content
        assert listed(owner, session["id"]) == [content]
        found = body_of(owner, f"{SESSIONS}/{session['id']}")
        assert [message["content"] for message in found["messages"]] == [content]
        assert (found["title"], found["last_message"]) == (content[:50], content[:100])


def test_the_longest_message_comes_from_the_settings(make_app: Callable[..., Flask]) -> None:
    owner = person(make_app(CHAT_MESSAGE_MAX_LENGTH="5"), "owner")
    session = owner.session()
    message = owner.message(session["id"], "🙂" * 5)
    refused(send(owner, session["id"], "🙂" * 6), 400, "content")
    refused(owner.put(f"{SESSIONS}/{session['id']}/messages/{message['id']}", json={"content": "x" * 6}), 400, "content")


# Listing


def test_a_list_of_no_messages_is_empty(owner: Person) -> None:
    session = owner.session()
    assert body_of(owner, f"{SESSIONS}/{session['id']}/messages") == {
        "messages": [],
        "total": 0,
        "page": 1,
        "page_size": 50,
        "total_pages": 0,
        "next_cursor": None,
    }


def test_messages_are_listed_oldest_first_or_newest_first(owner: Person) -> None:
    session = owner.session()
    for n in range(3):
        owner.message(session["id"], str(n))
    assert listed(owner, session["id"]) == ["0", "1", "2"] == listed(owner, session["id"], "?order=asc")
    assert listed(owner, session["id"], "?order=desc") == ["2", "1", "0"]


def test_messages_are_listed_by_type(owner: Person, stranger: Person) -> None:
    for who in (owner, stranger):
        other = who.session()["id"]
        for role in ("user", "assistant", "system"):
            who.message(other, "Elsewhere", role)
    session = owner.session()
    for n, role in enumerate(("user", "assistant", "user", "system")):
        owner.message(session["id"], f"{n}", role)
    for role, found in (("user", ["0", "2"]), ("assistant", ["1"]), ("system", ["3"])):
        page = body_of(owner, f"{SESSIONS}/{session['id']}/messages?message_type={role}")
        assert ([message["content"] for message in page["messages"]], page["total"], page["total_pages"]) == (found, len(found), 1)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_messages_are_paged_by_number_and_by_cursor(owner: Person, order: str) -> None:
    session = owner.session()
    for n in range(5):
        owner.message(session["id"], str(n))
    expected = [str(n) for n in (range(5) if order == "asc" else reversed(range(5)))]
    path = f"{SESSIONS}/{session['id']}/messages?order={order}"
    pages = [body_of(owner, f"{path}&page_size=2&page={number}") for number in (1, 2, 3, 4)]
    assert [[message["content"] for message in page["messages"]] for page in pages] == [expected[:2], expected[2:4], expected[4:], []]
    assert [(page["total"], page["page"], page["page_size"], page["total_pages"]) for page in pages] == [(5, n, 2, 3) for n in (1, 2, 3, 4)]
    assert [page["next_cursor"] is None for page in pages] == [False, False, True, True]
    for size in (1, 2, 5, 6):
        assert walk(owner, f"{path}&page_size={size}") == expected


def test_a_page_far_past_the_end_is_empty(owner: Person) -> None:
    session = owner.session()
    owner.message(session["id"])
    page = body_of(owner, f"{SESSIONS}/{session['id']}/messages?page=1000000&page_size=200")
    assert (page["messages"], page["total"], page["page"], page["next_cursor"]) == ([], 1, 1_000_000, None)


def test_a_walk_newest_first_is_not_disturbed_by_new_messages(owner: Person) -> None:
    session = owner.session()
    for n in range(6):
        owner.message(session["id"], str(n))
    seen = walk(owner, f"{SESSIONS}/{session['id']}/messages?order=desc&page_size=2", lambda: owner.message(session["id"], "new"))
    assert seen == ["5", "4", "3", "2", "1", "0"]


def test_a_walk_oldest_first_meets_the_messages_that_are_written_meanwhile(owner: Person) -> None:
    session = owner.session()
    for n in range(3):
        owner.message(session["id"], str(n))
    more = iter(["3", "4"])
    path = f"{SESSIONS}/{session['id']}/messages?page_size=2"
    assert walk(owner, path, lambda: [owner.message(session["id"], content) for content in more]) == ["0", "1", "2", "3", "4"]


def test_a_walk_by_type_sees_that_type(owner: Person) -> None:
    session = owner.session()
    for n in range(6):
        owner.message(session["id"], str(n), "user" if n % 2 else "assistant")
    assert walk(owner, f"{SESSIONS}/{session['id']}/messages?message_type=user&page_size=1") == ["1", "3", "5"]


def test_deleted_messages_are_neither_listed_nor_counted(app: Flask, owner: Person) -> None:
    session = owner.session()
    made = [owner.message(session["id"], str(n))["id"] for n in range(3)]
    with app.app_context():
        messages.remove("owner", session["id"], made[1])
    page = body_of(owner, f"{SESSIONS}/{session['id']}/messages?message_type=user")
    assert (listed(owner, session["id"]), page["total"]) == (["0", "2"], 2)
    refused(owner.put(f"{SESSIONS}/{session['id']}/messages/{made[1]}", json={"content": "x"}), 404)


def test_a_cursor_of_another_list_of_messages_is_refused(owner: Person) -> None:
    first, second = owner.session()["id"], owner.session()["id"]
    for session_id in (first, second):
        for n in range(3):
            owner.message(session_id, str(n))
    path = f"{SESSIONS}/{first}/messages?page_size=1"
    cursor = body_of(owner, path)["next_cursor"]
    answered(owner.get(f"{path}&cursor={cursor}"))
    answered(owner.get(f"{SESSIONS}/{first}/messages?page_size=2&cursor={cursor}"))
    for other in (
        f"{SESSIONS}/{second}/messages?cursor={cursor}",
        f"{path}&order=desc&cursor={cursor}",
        f"{path}&message_type=user&cursor={cursor}",
        f"{path}&page=1&cursor={cursor}",
        f"{SESSIONS}?cursor={cursor}",
    ):
        refused(owner.get(other), 400, "cursor")


def test_all_bad_parameters_are_named(owner: Person) -> None:
    session = owner.session()
    path = f"{SESSIONS}/{session['id']}/messages"
    refused(owner.get(f"{path}?page=0&page_size=201&message_type=x&order=up&more=1"), 400, "page", "page_size", "message_type", "order", "more")
    refused(owner.get(f"{path}?page=1&cursor=x&page_size=0"), 400, "cursor", "page_size")


# Editing


def test_an_edit_changes_the_text_and_says_when(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"], "Helo", metadata={"a": 1})
    edited = answered(owner.put(f"{SESSIONS}/{session['id']}/messages/{message['id']}", json={"content": "Hello"}))
    assert edited == {**message, "content": "Hello", "edited_at": edited["edited_at"]}
    assert edited["edited_at"] > message["created_at"]
    assert edited["edited_at"].endswith("Z")
    assert body_of(owner, f"{SESSIONS}/{session['id']}/messages")["messages"] == [edited]


def test_an_edit_changes_title_and_preview_with_the_message(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"], "Helo")
    answered(owner.put(f"{SESSIONS}/{session['id']}/messages/{message['id']}", json={"content": "Hello"}))
    found = body_of(owner, f"{SESSIONS}/{session['id']}")
    assert (found["title"], found["last_message"], found["message_count"]) == ("Hello", "Hello", 1)
    assert found["last_message_at"] == message["created_at"]
    assert found["updated_at"] > message["created_at"]


def test_a_message_of_an_archived_session_can_be_edited_and_it_stays_archived(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"])
    archive(owner, session["id"])
    answered(owner.put(f"{SESSIONS}/{session['id']}/messages/{message['id']}", json={"content": "Changed"}))
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["is_active"] is False


def test_a_reply_that_has_ended_can_be_edited_and_one_that_runs_cannot(app: Flask, owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"], "Once upon", "assistant")
    path = f"{SESSIONS}/{session['id']}/messages/{message['id']}"
    rows.run(app, "UPDATE chat_messages SET status = 'streaming'")
    refused(owner.put(path, json={"content": "x"}), 409)
    for status in ("cancelled", "failed", "complete"):
        rows.run(app, f"UPDATE chat_messages SET status = '{status}'")
        assert answered(owner.put(path, json={"content": status}))["status"] == status


def test_a_message_is_reached_through_its_own_session_only(owner: Person) -> None:
    first, second = owner.session()["id"], owner.session()["id"]
    message = owner.message(first)
    path = f"messages/{message['id']}"
    assert refused(owner.put(f"{SESSIONS}/{second}/{path}", json={"content": "x"}), 404) == {"detail": "Message not found"}
    assert refused(owner.put(f"{SESSIONS}/{unknown_id()}/{path}", json={"content": "x"}), 404) == {"detail": "Session not found"}
    assert refused(owner.put(f"{SESSIONS}/{first}/messages/999999999", json={"content": "x"}), 404) == {"detail": "Message not found"}
    assert listed(owner, first) == ["Hello"]


def test_an_edit_needs_content(owner: Person) -> None:
    session = owner.session()
    message = owner.message(session["id"])
    path = f"{SESSIONS}/{session['id']}/messages/{message['id']}"
    refused(owner.put(path, json={}), 400, "content")
    refused(owner.put(path, json={"content": None}), 400, "content")
    refused(owner.put(path, json={"content": "x", "metadata": {}}), 400, "metadata")
