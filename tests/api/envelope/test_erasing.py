"""`DELETE` and `PATCH …/cancel`: for good, with all that belongs to it; and what becomes of a reply that is being written."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from chatsvc.core import messages
from tests.api.envelope.calls import SESSIONS, answered, cancel, create, ids, listed, read, refused
from tests.api.v1 import calls as v1
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT, Event, HandedOut, follow
from tests.api.v1.test_chat_stream import saved_text, until
from tests.factories import Person, person, unknown_id


def begin(who: Person, session_id: str) -> tuple[int, Iterator[Event]]:
    """A reply that is being written in this session: its id, and what is still to be heard of it."""
    stream = follow(who, json={"message": "Hello", "session_id": session_id})
    return next(stream).data["reply_id"], stream


def test_erasing_takes_every_message_and_counts_the_soft_deleted_ones(app: Flask, owner: Person) -> None:
    session_id, other = create(owner)["sessionId"], create(owner)["sessionId"]
    kept = owner.message(other)["id"]
    said = [owner.message(session_id, f"Message {n}")["id"] for n in range(5)]
    with app.app_context():
        messages.remove("owner", session_id, said[1])
        messages.remove("owner", session_id, said[4])
    assert read(owner, session_id)["messagesCount"] == 3
    erased = answered(owner.delete(f"{SESSIONS}/{session_id}"), 200, "Session deleted successfully")
    assert erased == {"sessionId": session_id, "deletedMessages": 5}
    assert list(erased) == ["sessionId", "deletedMessages"]
    assert [row.id for row in rows.run(app, "SELECT id FROM chat_messages")] == [kept]
    assert ids(listed(owner)) == [other]
    assert not rows.breaches(app)
    again = owner.delete(f"{SESSIONS}/{session_id}")
    assert refused(again, 404) == refused(owner.delete(f"{SESSIONS}/{unknown_id()}"), 404)


def test_an_archived_session_and_one_with_nothing_in_it_are_erased_alike(owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    v1.archive(owner, session_id)
    assert answered(owner.delete(f"{SESSIONS}/{session_id}"))["deletedMessages"] == 0


def test_the_kept_answer_of_its_creation_goes_with_it(owner: Person, app: Flask) -> None:
    headers = {"Idempotency-Key": "one"}
    session_id = answered(owner.post(SESSIONS, json={"title": "Secret"}, headers=headers), 201)["sessionId"]
    answered(owner.delete(f"{SESSIONS}/{session_id}"))
    refused(owner.post(SESSIONS, json={"title": "Secret"}, headers=headers), 404)
    assert "Secret" not in repr(rows.dump(app))


def test_erasing_needs_no_body_and_takes_no_parameter(owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    refused(owner.delete(f"{SESSIONS}/{session_id}?force=true"), 400, "force")
    answered(owner.call("DELETE", f"{SESSIONS}/{session_id}", data=b"\xff", content_type="text/plain"))


def test_erasing_by_many_at_once_is_done_by_one(app: Flask, owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    for n in range(3):
        owner.message(session_id, f"Message {n}")
    barrier = threading.Barrier(8)

    def try_it(_: int) -> int:
        barrier.wait(10)
        return person(app, "owner").delete(f"{SESSIONS}/{session_id}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(try_it, range(8))) == {200: 1, 404: 7}


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_erasing_ends_a_running_reply_and_leaves_no_piece_of_it(
    app: Flask, owner: Person, handed: HandedOut, make_app: Callable[..., Flask], where: str
) -> None:
    caller = owner if where == "here" else person(make_app(), "owner")
    session_id = create(owner)["sessionId"]
    reply_id, stream = begin(owner, session_id)
    handed.say("So far")
    until(lambda: saved_text(app, reply_id) == "So far")
    assert answered(caller.delete(f"{SESSIONS}/{session_id}"))["deletedMessages"] == 2
    assert [rows.count(app, table) for table in ("chat_sessions", "chat_messages", "reply_chunks")] == [0, 0, 0]
    heard = list(stream)
    assert (heard[-1].name, heard[-1].data["assistant_message"]) == ("error", None)
    until(lambda: not app.extensions["chatsvc.runtime"]._runs)
    assert [rows.count(app, table) for table in ("chat_sessions", "chat_messages", "reply_chunks")] == [0, 0, 0]
    assert owner.get(f"{CHAT}/stream/{reply_id}").status_code == 404
    assert not rows.breaches(app)


# Cancelling


def test_cancelling_ends_an_active_session_once(app: Flask, owner: Person) -> None:
    session = create(owner, title="Trip")
    cancelled = answered(cancel(owner, session["sessionId"]), 200, "Session cancelled successfully")
    assert cancelled["status"] == "CANCELLED"
    assert min(cancelled["endedAt"], cancelled["updatedAt"]) >= session["updatedAt"]
    assert cancelled["durationMs"] >= 0
    assert read(owner, session["sessionId"]) == cancelled
    assert "CANCELLED" in refused(cancel(owner, session["sessionId"]), 409)["message"]
    assert read(owner, session["sessionId"]) == cancelled
    assert ids(listed(owner, "?status=CANCELLED")) == [session["sessionId"]]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"])
def test_only_what_is_active_can_be_cancelled(app: Flask, owner: Person, status: str) -> None:
    session_id = create(owner)["sessionId"]
    v1.archive(owner, session_id)
    rows.run(app, f"UPDATE chat_sessions SET status = '{status}'")
    before = rows.of_session(app, session_id)
    refused(cancel(owner, session_id), 409)
    assert rows.of_session(app, session_id) == before


def test_a_cancelled_session_goes_on_with_the_next_message(owner: Person) -> None:
    for resume in (
        owner.message,
        lambda session_id: v1.change(owner, session_id, is_active=True),
        lambda session_id: owner.post(CHAT, json={"message": "Hello", "session_id": session_id}),
    ):
        session_id = create(owner)["sessionId"]
        answered(cancel(owner, session_id))
        resume(session_id)
        session = read(owner, session_id)
        assert (session["status"], session["endedAt"], session["durationMs"]) == ("ACTIVE", None, None)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_cancelling_stops_the_running_reply_and_keeps_its_text(
    app: Flask, owner: Person, handed: HandedOut, make_app: Callable[..., Flask], where: str
) -> None:
    caller = owner if where == "here" else person(make_app(), "owner")
    session_id = create(owner)["sessionId"]
    reply_id, stream = begin(owner, session_id)
    handed.say("So far")
    assert next(stream).data["content"] == "So far"
    session = answered(cancel(caller, session_id))
    assert (session["status"], session["lastMessage"]) == ("CANCELLED", "So far"), "the answer comes when the reply has ended"
    last = list(stream)[-1]
    assert (last.name, last.data["assistant_message"]["status"], last.data["assistant_message"]["id"]) == ("done", "cancelled", reply_id)
    reply = answered(owner.get(f"{SESSIONS}/{session_id}/messages?order=desc"))["messages"][0]
    assert (reply["messageId"], reply["content"], reply["status"]) == (reply_id, "So far", "cancelled")


def test_cancelling_by_many_at_once_is_done_by_one(app: Flask, owner: Person) -> None:
    session_id = create(owner)["sessionId"]
    barrier = threading.Barrier(8)

    def try_it(_: int) -> int:
        barrier.wait(10)
        return cancel(person(app, "owner"), session_id).status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(try_it, range(8))) == {200: 1, 409: 7}


def test_an_exchange_that_is_under_way_is_cancelled_for_good(app: Flask, owner: Person) -> None:
    session_id = rows.exchange(app, status="ACTIVE")
    assert answered(cancel(owner, session_id))["status"] == "CANCELLED"
    refused(cancel(owner, session_id), 409)
    assert owner.put(f"{v1.SESSIONS}/{session_id}", json={"is_active": True}).status_code == 409


def test_a_session_that_is_not_ones_own_is_neither_cancelled_nor_erased(owner: Person, stranger: Person, admin: Person) -> None:
    session_id = create(owner)["sessionId"]
    before = read(owner, session_id)
    for who in (stranger, admin):
        assert refused(cancel(who, session_id), 404) == refused(cancel(who, unknown_id()), 404)
        refused(who.delete(f"{SESSIONS}/{session_id}"), 404)
    assert read(owner, session_id) == before
