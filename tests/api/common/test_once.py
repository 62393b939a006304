"""`Idempotency-Key`: the same request again gets the first answer, and whatever goes wrong, all is kept or nothing."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert
from werkzeug.test import TestResponse

from chatsvc.api.common.once import _fingerprint
from chatsvc.core import erasure
from chatsvc.core.models import IdempotencyKey
from chatsvc.extensions import db
from tests import openapi_check
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, archive, body_of, refused
from tests.factories import ENCRYPTION_KEY, Person, person, unknown_id

RACERS = 16


def create(who: Person, key: str = "key", **fields: Any) -> TestResponse:
    return who.post(SESSIONS, json=fields, headers={"Idempotency-Key": key})


def send(who: Person, session_id: str, key: str = "key", content: str = "Hello") -> TestResponse:
    return who.post(f"{SESSIONS}/{session_id}/messages", json={"content": content, "message_type": "user"}, headers={"Idempotency-Key": key})


def is_replay(response: TestResponse, first: TestResponse) -> bool:
    assert first.headers.get("Idempotent-Replayed") is None
    same = (response.status_code, response.data, response.content_type) == (first.status_code, first.data, first.content_type)
    return same and response.headers.get("Idempotent-Replayed") == "true"


# Replays


def test_the_same_request_again_gets_the_same_bytes_and_makes_nothing(app: Flask, owner: Person) -> None:
    first = create(owner, title="Trip 🙂", metadata={"b": 1, "a": [0.1, 1e300]})
    assert first.status_code == 201
    for _ in range(3):
        assert is_replay(create(owner, title="Trip 🙂", metadata={"b": 1, "a": [0.1, 1e300]}), first)
    assert rows.count(app, "chat_sessions") == rows.count(app, "idempotency_keys") == 1


def test_the_same_message_again_is_written_once(owner: Person) -> None:
    session = owner.session()
    first = send(owner, session["id"])
    assert first.status_code == 201
    assert is_replay(send(owner, session["id"]), first)
    assert body_of(owner, f"{SESSIONS}/{session['id']}")["message_count"] == 1


def test_a_replay_is_the_first_answer_whatever_happened_since(owner: Person) -> None:
    first = create(owner, title="Trip")
    session_id = str(first.json and first.json["id"])
    sent = send(owner, session_id, "message")
    owner.put(f"{SESSIONS}/{session_id}", json={"title": "Journey"})
    archive(owner, session_id)
    assert is_replay(create(owner, title="Trip"), first)
    assert is_replay(send(owner, session_id, "message"), sent)
    assert body_of(owner, f"{SESSIONS}/{session_id}")["is_active"] is False, "a replay resumes nothing"


def test_a_replay_after_the_cap_archived_the_session_archives_no_other(owner: Person) -> None:
    first = create(owner)
    for _ in range(5):
        owner.session()
    before = body_of(owner, SESSIONS)
    assert is_replay(create(owner), first)
    assert body_of(owner, SESSIONS) == before


def test_without_a_key_the_same_request_makes_another(app: Flask, owner: Person) -> None:
    assert owner.session()["id"] != owner.session()["id"]
    assert rows.count(app, "idempotency_keys") == 0


def test_the_answer_about_an_erased_session_is_erased_with_it(app: Flask, owner: Person) -> None:
    session_id = str((create(owner, title="Secret").json or {})["id"])
    send(owner, session_id, "message", "Secret")
    with app.app_context():
        erasure.erase("owner", session_id)
    for response in (create(owner, title="Secret"), send(owner, session_id, "message", "Secret")):
        assert refused(response, 404) == {"detail": "Session not found"}
    assert "Secret" not in str(rows.dump(app))


# What a key stands for


def test_a_key_stands_for_one_body(app: Flask, owner: Person) -> None:
    first = create(owner, title="Trip")
    for response in (create(owner, title="Other"), create(owner), create(owner, title="Trip", metadata={})):
        refused(response, 422)
    assert is_replay(create(owner, title="Trip"), first)
    assert rows.count(app, "chat_sessions") == 1


def test_a_key_stands_for_one_path(owner: Person) -> None:
    one, other = owner.session()["id"], owner.session()["id"]
    first = send(owner, one)
    refused(send(owner, other), 422)
    refused(create(owner, content="Hello", message_type="user"), 400, "content", "message_type")
    refused(create(owner), 422)
    assert is_replay(send(owner, one), first)
    assert body_of(owner, f"{SESSIONS}/{other}")["message_count"] == 0


def test_a_key_stands_for_one_method(app: Flask) -> None:
    marks = set()
    for method in ("POST", "PUT", "PATCH"):
        with app.test_request_context(SESSIONS, method=method, data=b"{}"):
            marks.add(_fingerprint())
    assert len(marks) == 3


def test_routes_that_create_nothing_take_no_notice_of_a_key(app: Flask, owner: Person) -> None:
    first = create(owner, title="Trip")
    path = f"{SESSIONS}/{(first.json or {})['id']}"
    for response in (
        owner.put(path, json={"title": "a"}, headers={"Idempotency-Key": "key"}),
        owner.put(path, json={"title": "b"}, headers={"Idempotency-Key": "key"}),
        owner.get(path, headers={"Idempotency-Key": "key"}),
        owner.delete(path, headers={"Idempotency-Key": "key"}),
    ):
        assert response.status_code == 200
        assert "Idempotent-Replayed" not in response.headers
    assert rows.count(app, "idempotency_keys") == 1


def test_a_key_belongs_to_its_user(owner: Person, stranger: Person, admin: Person) -> None:
    answers = [create(who, title="Trip") for who in (owner, stranger, admin)]
    assert [response.status_code for response in answers] == [201, 201, 201]
    assert len({(response.json or {})["id"] for response in answers}) == 3
    assert [(response.json or {})["user_id"] for response in answers] == ["owner", "stranger", "admin"]
    assert create(stranger, title="Other").status_code == 422
    assert is_replay(create(owner, title="Trip"), answers[0])


def test_a_key_says_nothing_to_a_stranger(owner: Person, stranger: Person) -> None:
    session_id = owner.session()["id"]
    send(owner, session_id)
    assert refused(send(stranger, session_id), 404) == refused(send(stranger, unknown_id(), "other"), 404)


@pytest.mark.parametrize("key", ["x", "x" * 255, "".join(map(chr, range(0x21, 0x7F))), "a,b;c=d"])
def test_a_key_is_any_visible_ascii(owner: Person, key: str) -> None:
    first = create(owner, key)
    assert first.status_code == 201
    assert is_replay(create(owner, key), first)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "x" * 8192, "a b", "a\tb", "é", "x\x7f", "\xa0", "🙂".encode().decode("latin-1")])
def test_any_other_key_is_refused(app: Flask, owner: Person, key: str) -> None:
    response = create(owner, key)
    refused(response, 400, "Idempotency-Key")
    assert rows.count(app, "chat_sessions") == rows.count(app, "idempotency_keys") == 0


# How long a key is kept


def test_a_key_is_kept_for_a_day_and_then_free_again(app: Flask, owner: Person) -> None:
    first = create(owner, title="Trip")
    set_age(app, timedelta(hours=23, minutes=59))
    assert is_replay(create(owner, title="Trip"), first)
    refused(create(owner, title="Other"), 422)
    set_age(app, timedelta(hours=24, minutes=1))
    second = create(owner, title="Other")
    assert second.status_code == 201
    assert is_replay(create(owner, title="Other"), second)
    assert rows.count(app, "idempotency_keys") == 1


def set_age(app: Flask, age: timedelta) -> None:
    table = IdempotencyKey.__table__
    rows.run(app, table.update().values(created_at=datetime.now(UTC) - age))  # type: ignore[attr-defined]


# Refusals keep no key


def test_a_refusal_keeps_no_key(app: Flask, owner: Person, stranger: Person) -> None:
    session_id, exchange_id, foreign_id = owner.session()["id"], rows.exchange(app), stranger.session()["id"]
    refused(create(owner, title=" "), 400, "title")
    refused(owner.post(SESSIONS, data=b"{", content_type="application/json", headers={"Idempotency-Key": "key"}), 400, "body")
    refused(owner.post(SESSIONS, data=b"{}", content_type="text/plain", headers={"Idempotency-Key": "key"}), 415, "body")
    refused(send(owner, session_id, content=" "), 400, "content")
    for missing in (unknown_id(), foreign_id, "no-id"):
        refused(send(owner, missing), 404)
    refused(send(owner, exchange_id), 409)
    assert rows.count(app, "idempotency_keys") == 0
    assert send(owner, session_id).status_code == 201


# At the same time


@pytest.mark.parametrize("what", ["session", "message"])
def test_sixteen_at_once_write_one_row(app: Flask, owner: Person, what: str) -> None:
    session_id = owner.session()["id"]
    start = threading.Barrier(RACERS)
    answers: list[TestResponse] = []

    def run() -> None:
        who = person(app, "owner")
        start.wait()
        answers.append(create(who, title="Trip") if what == "session" else send(who, session_id))

    threads = [threading.Thread(target=run) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {response.status_code for response in answers} <= {201, 409}
    made = [response for response in answers if response.status_code == 201]
    assert len({response.data for response in made}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in made) == 1
    assert all("Retry-After" in response.headers for response in answers if response.status_code == 409)
    assert rows.count(app, "chat_sessions") == (2 if what == "session" else 1)
    assert rows.count(app, "chat_messages") == (0 if what == "session" else 1)
    assert rows.count(app, "idempotency_keys") == 1


def test_a_second_request_waits_for_the_first_and_replays_it(app: Flask, owner: Person) -> None:
    with app.test_request_context(SESSIONS, method="POST", json={}):
        fingerprint = _fingerprint()
    with first_request(app, fingerprint) as end:
        threading.Timer(0.3, end).start()
        response = create(owner)
    assert (response.status_code, response.data, response.headers["Idempotent-Replayed"]) == (201, b'{"first":true}', "true")
    assert rows.count(app, "chat_sessions") == 0
    assert openapi_check.mismatches(), "the made-up answer is not one that the document knows"


def test_a_second_request_gives_up_after_a_fair_wait_and_nobody_is_alarmed(app: Flask, owner: Person, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with first_request(app, "0" * 64):
        response = create(owner)
    refused(response, 409)
    assert int(response.headers["Retry-After"]) >= 1
    assert 3 <= time.monotonic() - began < 8
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert rows.count(app, "chat_sessions") == 0


@contextmanager
def first_request(app: Flask, fingerprint: str) -> Iterator[Any]:
    """A request of the same key under way in another process; it ends with the block, or when the given function is called."""
    ended = threading.Lock()
    with app.app_context():
        connection = db.engine.connect()
    values = {"user_id": "owner", "key": "key", "fingerprint": fingerprint, "status": 201, "body": '{"first":true}', "created_at": datetime.now(UTC)}
    connection.execute(insert(IdempotencyKey).values(**values))

    def end() -> None:
        with ended:
            if not connection.closed:
                connection.commit()
                connection.close()

    try:
        yield end
    finally:
        end()


# Something breaks


@pytest.mark.parametrize(
    ("what", "table", "event"),
    [
        ("session", "chat_sessions", "INSERT"),
        ("session", "idempotency_keys", "UPDATE"),
        ("message", "chat_messages", "INSERT"),
        ("message", "chat_sessions", "UPDATE"),
        ("message", "idempotency_keys", "UPDATE"),
    ],
)
def test_a_failure_in_the_middle_leaves_nothing(app: Flask, owner: Person, engine_name: str, what: str, table: str, event: str) -> None:
    session_id = owner.session()["id"]
    before = rows.dump(app)
    with breaking(app, engine_name, table, event):
        response = create(owner, title="Trip") if what == "session" else send(owner, session_id)
        assert response.status_code == 500
        assert (response.json or {}).keys() == {"detail"}
        assert rows.dump(app) == before
    again = create(owner, title="Trip") if what == "session" else send(owner, session_id)
    assert again.status_code == 201
    assert "Idempotent-Replayed" not in again.headers


@contextmanager
def breaking(app: Flask, engine_name: str, table: str, event: str) -> Iterator[None]:
    """The database refuses this kind of write."""
    if engine_name == "sqlite":
        define(app, f"CREATE TRIGGER broken AFTER {event} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")
    else:
        define(app, "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$")
        define(app, f"CREATE TRIGGER broken AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION broken()")
    try:
        yield
    finally:
        define(app, "DROP TRIGGER broken" if engine_name == "sqlite" else "DROP FUNCTION broken CASCADE")


def define(app: Flask, statement: str) -> None:
    with app.app_context():
        db.engine.dispose()  # SQLite looks for the trigger in what an older connection remembers of the schema
    rows.run(app, statement)


def test_what_is_kept_of_a_body_cannot_be_guessed_from(app: Flask, owner: Person) -> None:
    """A body may hold a secret; a plain digest of it would let whoever has a copy of the database try out what it was."""
    raw = b'{"title":"My secret"}'
    response = owner.post("/chat/sessions", data=raw, content_type="application/json", headers={"Idempotency-Key": "once"})
    assert response.status_code == 201
    kept = rows.run(app, "SELECT fingerprint FROM idempotency_keys")[0].fingerprint
    assert len(kept) == 64
    assert kept != hashlib.sha256(b"POST /chat/sessions?\n" + raw).hexdigest()
    keyed = hmac.new(ENCRYPTION_KEY.encode(), b"POST /chat/sessions?\n" + raw, hashlib.sha256)
    assert kept == keyed.hexdigest()
