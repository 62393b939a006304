"""`/api/v1/chat/stream`: a reply as it is written, taken up again, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from chatsvc.core import erasure, replies, runtime, turns, verify
from chatsvc.core.database import read
from chatsvc.extensions import db
from chatsvc.responders.base import ResponderError
from tests import quicker
from tests.api.v1.streams import CHAT, Event, HandedOut, events, follow, text_of, told
from tests.factories import Person, person

SESSIONS = "/api/v1/chat-sessions"


def begin(person_: Person, message: str = "Hello", **rest: object) -> tuple[Event, Iterator[Event]]:
    """A stream that has begun: its first event and the others to come."""
    stream = follow(person_, json={"message": message, **rest})
    return next(stream), stream


SAVED_WITHIN, TRIES = 0.5, 3


def begin_retry(person_: Person, reply_id: int) -> tuple[Event, Iterator[Event]]:
    stream = follow(person_, json={"retry": reply_id})
    return next(stream), stream


def saved_text(app: Flask, reply_id: int) -> str:
    with app.app_context():
        return "".join(chunk.text for chunk in replies.chunks([reply_id]))


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    ends_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_at, "did not happen in time"
        time.sleep(0.02)


def test_a_stream_tells_who_what_and_how_it_ended(owner: Person) -> None:
    heard = list(follow(owner, json={"message": "one two three"}))
    assert [event.name for event in heard][:1] + [event.name for event in heard][-1:] == ["session", "done"]
    assert {event.name for event in heard[1:-1]} == {"delta"}
    first, last = heard[0], heard[-1]
    assert first.data.keys() == {"session_id", "user_message", "reply_id"}
    assert (first.id, last.id, text_of(heard)) == (0, 13, "one two three")
    assert last.data["assistant_message"]["id"] == first.data["reply_id"]
    assert last.data["assistant_message"]["content"] == "one two three"
    sent = 0
    for event in heard[1:-1]:
        sent += len(event.data["content"])
        assert event.id == sent


def test_ids_count_code_points(owner: Person) -> None:
    heard = list(follow(owner, json={"message": "a𝄞é 👩‍👩‍👧 z"}))
    assert heard[-1].id == len("a𝄞é 👩‍👩‍👧 z")


def test_an_event_is_as_many_lines_to_every_reader(owner: Person) -> None:
    said = "one\ntwo\rthree\u2028four\u2029five\x85six\x0bseven\x0ceight\x1cnine"
    raw = owner.post(f"{CHAT}/stream", json={"message": said}).text
    assert raw.splitlines() == raw.split("\n")[:-1]
    assert text_of(list(events(iter([raw.encode()])))) == said


@pytest.mark.parametrize("offset", [0, 1, 5, 13, 99])
def test_a_finished_reply_is_taken_up_anywhere(owner: Person, offset: int) -> None:
    reply_id = next(iter(follow(owner, json={"message": "one two three"}))).data["reply_id"]
    heard = list(follow(owner, f"{CHAT}/stream/{reply_id}", "GET", headers={"Last-Event-ID": str(offset)}))
    assert (text_of(heard), heard[-1].name, heard[-1].id) == ("one two three"[offset:], "done", 13)


def test_a_reply_goes_on_when_its_client_leaves(app: Flask, owner: Person, handed: HandedOut) -> None:
    response = owner.call("POST", f"{CHAT}/stream", json={"message": "Hello"}, buffered=False)
    stream = response.iter_encoded()
    reply_id = int(next(stream).decode().split('"reply_id":')[1].split("}")[0])
    response.close()
    handed.say("It goes", " on", None)
    until(lambda: owner.get(f"{CHAT}/stream/{reply_id}").data.count(b"event: done") == 1)


def test_another_process_follows_and_resumes(app: Flask, owner: Person, handed: HandedOut, make_app: Callable[..., Flask]) -> None:
    elsewhere = person(make_app(), "owner")
    first, stream = begin(owner)
    handed.say("Hello ")
    until(lambda: saved_text(app, first.data["reply_id"]) == "Hello ")
    other = follow(elsewhere, f"{CHAT}/stream/{first.data['reply_id']}", "GET", headers={"Last-Event-ID": "2"})
    assert next(other).data["content"] == "llo "
    handed.say("world")
    assert next(other).data["content"] == "world"
    handed.say(None)
    assert next(other).data["assistant_message"]["content"] == "Hello world"
    assert list(stream)[-1].name == "done"


def test_the_text_so_far_is_in_every_reading(app: Flask, owner: Person, handed: HandedOut) -> None:
    first, stream = begin(owner)
    handed.say("So far")
    until(lambda: saved_text(app, first.data["reply_id"]) == "So far")
    session = told(owner.get(f"{SESSIONS}/{first.data['session_id']}"))
    assert (session["message_count"], session["last_message"]) == (2, "Hello")
    assert (session["messages"][-1]["content"], session["messages"][-1]["status"]) == ("So far", "streaming")
    listed = told(owner.get(f"{SESSIONS}/{first.data['session_id']}/messages?order=desc"))["messages"][0]
    assert listed["content"] == "So far"
    assert owner.put(f"{SESSIONS}/{first.data['session_id']}/messages/{first.data['reply_id']}", json={"content": "x"}).status_code == 409
    handed.say(None)
    list(stream)
    assert saved_text(app, first.data["reply_id"]) == ""


def test_what_was_said_is_saved_within_half_a_second(app: Flask, owner: Person, handed: HandedOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "TICK_SECONDS", quicker.SHIPPED_BEAT)
    first, stream = begin(owner)
    said, slowest = "", [9.0]
    while len(slowest) <= TRIES and slowest[-1] > SAVED_WITHIN:
        took = []
        for _ in range(6):
            said += "word "
            handed.say("word ")
            began = time.monotonic()
            until(lambda: saved_text(app, first.data["reply_id"]) == said)  # noqa: B023 - it is asked before the loop goes on
            took.append(time.monotonic() - began)
        slowest.append(max(took))
    assert slowest[-1] <= SAVED_WITHIN, slowest
    handed.say(None)
    assert text_of(list(stream)) == said


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_reply_is_stopped_from_anywhere_and_its_text_kept(
    app: Flask, owner: Person, handed: HandedOut, make_app: Callable[..., Flask], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "TICK_SECONDS", quicker.SHIPPED_BEAT)
    caller = owner if where == "here" else person(make_app(), "owner")
    first, stream = begin(owner)
    handed.say("Kept")
    assert next(stream).data["content"] == "Kept"
    began = time.monotonic()
    path = f"{CHAT}/stream/{first.data['reply_id']}/cancel"
    stopped = caller.post(path)
    assert time.monotonic() - began < 2
    assert (stopped.status_code, told(stopped)["status"], told(stopped)["content"]) == (200, "cancelled", "Kept")
    last = list(stream)[-1]
    assert (last.name, last.data["assistant_message"]["status"]) == ("done", "cancelled")
    assert told(caller.post(path)) == told(stopped)


def test_what_has_ended_cannot_be_stopped(owner: Person) -> None:
    *_, last = follow(owner, json={"message": "one"})
    reply_id = last.data["assistant_message"]["id"]
    assert owner.post(f"{CHAT}/stream/{reply_id}/cancel").status_code == 409


def test_nobody_follows_or_stops_somebody_elses_reply(owner: Person, stranger: Person, handed: HandedOut) -> None:
    first, stream = begin(owner)
    unknown = stranger.get(f"{CHAT}/stream/999999999")
    for response in (stranger.get(f"{CHAT}/stream/{first.data['reply_id']}"), stranger.post(f"{CHAT}/stream/{first.data['reply_id']}/cancel")):
        assert (response.status_code, response.data) == (404, unknown.data)
    handed.say("mine", None)
    assert text_of(list(stream)) == "mine"


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "", "٣", "9" * 30])
def test_a_last_event_id_that_is_no_number_is_refused(owner: Person, value: str) -> None:
    reply_id = next(iter(follow(owner, json={"message": "one"}))).data["reply_id"]
    response = owner.get(f"{CHAT}/stream/{reply_id}", headers={"Last-Event-ID": value.encode().decode("latin-1")})
    assert response.status_code == 400
    assert told(response)["errors"][0]["field"] == "Last-Event-ID"


def test_a_failure_is_told_and_kept(owner: Person, handed: HandedOut) -> None:
    handed.say("Half", ResponderError("bad_response", "The model broke off"))
    heard = list(follow(owner, json={"message": "Hello"}))
    assert (heard[-1].name, heard[-1].data["detail"], heard[-1].data["assistant_message"]["content"]) == ("error", "The model broke off", "Half")
    again = list(follow(owner, f"{CHAT}/stream/{heard[0].data['reply_id']}", "GET"))
    assert (text_of(again), again[-1].name, again[-1].data) == ("Half", "error", heard[-1].data)


def test_the_same_key_attaches_to_the_running_reply_and_replays_the_finished_one(owner: Person, handed: HandedOut) -> None:
    asked: dict[str, Any] = {"json": {"message": "Hello"}, "headers": {"Idempotency-Key": "k"}}
    stream = follow(owner, **asked)
    first = next(stream)
    handed.say("One ")
    next(stream)
    attached = follow(owner, **asked)
    assert next(attached).data == first.data
    assert next(attached).data["content"] == "One "
    assert owner.post(CHAT, **asked).status_code == 422  # another path
    handed.say("answer", None)
    assert list(attached)[-1].data["assistant_message"]["content"] == "One answer"
    list(stream)
    replayed = list(follow(owner, **asked))
    assert (replayed[0].data, text_of(replayed), replayed[-1].name) == (first.data, "One answer", "done")
    assert len(handed.questions) == 1


def test_a_replay_is_the_first_answer_whatever_came_after(owner: Person) -> None:
    asked: dict[str, Any] = {"json": {"message": "First"}, "headers": {"Idempotency-Key": "k"}}
    first = told(owner.post(CHAT, **asked))
    edited = owner.put(f"{SESSIONS}/{first['session_id']}/messages/{first['user_message']['id']}", json={"content": "Edited"})
    assert edited.status_code == 200
    assert told(owner.post(CHAT, json={"retry": first["assistant_message"]["id"]}))["assistant_message"]["content"] == "Edited"
    assert told(owner.post(CHAT, **asked)) == first
    owner.delete(f"{CHAT}/sessions/{first['session_id']}")
    assert owner.post(CHAT, **asked).status_code == 404


def test_a_stream_is_replayed_after_its_reply_was_given_anew(owner: Person) -> None:
    asked: dict[str, Any] = {"json": {"message": "one two"}, "headers": {"Idempotency-Key": "k"}}
    first = list(follow(owner, **asked))
    owner.post(CHAT, json={"retry": first[0].data["reply_id"]})
    again = list(follow(owner, **asked))
    assert (again[0].data, text_of(again), again[-1].data) == (first[0].data, "one two", first[-1].data)


def test_a_retry_sent_twice_is_told_which_reply_is_running(owner: Person, handed: HandedOut) -> None:
    handed.say("Not good", None)
    first = told(owner.post(CHAT, json={"message": "Hello"}))
    again, stream = begin_retry(owner, first["assistant_message"]["id"])
    twice = owner.post(CHAT, json={"retry": first["assistant_message"]["id"]})
    assert (twice.status_code, told(twice)["reply_id"]) == (409, again.data["reply_id"])
    handed.say("Better", None)
    assert text_of(list(stream)) == "Better"


@pytest.mark.parametrize("way", ["archive", "delete", "cap"])
def test_ending_a_session_stops_its_reply(app: Flask, owner: Person, handed: HandedOut, way: str) -> None:
    session = owner.session()
    _first, stream = begin(owner, session_id=session["id"])
    handed.say("Until here")
    next(stream)
    if way == "archive":
        owner.delete(f"{SESSIONS}/{session['id']}")
    elif way == "delete":
        owner.delete(f"{CHAT}/sessions/{session['id']}")
    else:
        for _ in range(5):
            owner.session()
    last = list(stream)[-1]
    assert (last.name, last.data["assistant_message"]["status"], last.data["assistant_message"]["content"]) == ("done", "cancelled", "Until here")


def test_erasing_a_session_ends_its_reply(app: Flask, owner: Person, handed: HandedOut) -> None:

    first, stream = begin(owner)
    with app.app_context():
        erasure.erase("owner", first.data["session_id"])
    assert list(stream)[-1].data["assistant_message"] is None


def test_the_reply_of_a_dead_worker_ends_with_its_text(app: Flask, owner: Person, handed: HandedOut) -> None:
    first, stream = begin(owner)
    reply_id = first.data["reply_id"]
    handed.say("Saved in time")
    until(lambda: saved_text(app, reply_id) == "Saved in time")
    with app.app_context():
        with db.engine.begin() as connection:  # as if another worker, long unseen, had written it
            long_ago = "2020-01-01 00:00:00.000000"
            connection.execute(text("UPDATE chat_messages SET worker_id = 'dead', created_at = :at WHERE id = :id"), {"id": reply_id, "at": long_ago})
        assert replies.sweep() == 1
        row = read(text(f"SELECT status, content FROM chat_messages WHERE id = {reply_id}"))[0]
        assert (row.status, row.content) == ("failed", "Saved in time")
        assert list(verify.breaches()) == []
    last = list(stream)[-1]
    assert (last.name, last.data["assistant_message"]["status"]) == ("error", "failed")


def test_stopping_a_reply_that_nobody_writes_any_more_ends_it(app: Flask, owner: Person, handed: HandedOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatsvc.core.chat.CANCEL_SECONDS", 1.0)
    with app.app_context():
        turn = turns.begin("owner", worker_id="dead", session_id=None, message="Hello")
        stopped = owner.post(f"{CHAT}/stream/{turn.reply.id}/cancel")
        assert (stopped.status_code, told(stopped)["status"]) == (200, "cancelled")
        assert told(owner.post(f"{CHAT}/stream/{turn.reply.id}/cancel")) == told(stopped)


def test_a_process_that_ends_saves_its_replies_and_says_so(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.extensions["chatsvc.responder"] = handed = HandedOut()
    owner = person(app, "owner")
    _first, stream = begin(owner)
    handed.say("Saved")
    next(stream)
    app.extensions["chatsvc.runtime"].stop()
    last = list(stream)[-1]
    assert (last.name, last.data["assistant_message"]["status"], last.data["assistant_message"]["content"]) == ("error", "failed", "Saved")
    assert owner.post(CHAT, json={"message": "More"}).status_code == 503


def test_streams_are_limited_per_user_and_per_worker(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_STREAMS_PER_USER="1", RATELIMIT_ENABLED="true")
    app.extensions["chatsvc.responder"] = handed = HandedOut()
    owner = person(app, "owner")
    _, stream = begin(owner)
    refused = owner.post(f"{CHAT}/stream", json={"message": "Second"})
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    handed.say("x", None)
    list(stream)
    full = make_app(CHAT_STREAMS_PER_WORKER="1")
    full.extensions["chatsvc.responder"] = handed
    _, stream = begin(person(full, "owner"))
    refused = person(full, "stranger").post(f"{CHAT}/stream", json={"message": "Second"})
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    handed.say("x", None)
    list(stream)


def test_a_reply_that_says_nothing_new_is_taken_up_at_once_all_the_same(owner: Person, handed: HandedOut) -> None:
    stream = begin(owner)[0]
    began = time.monotonic()
    response = owner.get(f"{CHAT}/stream/{stream.data['reply_id']}")
    assert next(iter(response.response)) == b": ping\n\n"
    assert time.monotonic() - began < 2  # not first after the fifteen seconds between two of them
    response.close()
