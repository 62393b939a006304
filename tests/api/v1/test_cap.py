"""At most so many active sessions per user and agent type, whichever request would make one too many."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from chatsvc.core import sessions
from chatsvc.extensions import db
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, answered, archive, body_of, change
from tests.factories import Person, person
from tests.watching import statements_to

ROUNDS = int(os.environ.get("CHAT_TEST_CAP_ROUNDS", "2"))
AT_ONCE = 40


def active(who: Person, query: str = "") -> list[str]:
    """The active sessions, the oldest activity first."""
    page = body_of(who, f"{SESSIONS}?is_active=true&page_size=100{query}")
    return [session["id"] for session in page["sessions"]][::-1]


def make(who: Person, amount: int, **fields: Any) -> list[str]:
    return [who.session(**fields)["id"] for _ in range(amount)]


def all_at_once(app: Flask, amount: int, request: Callable[[Person, int], TestResponse]) -> list[TestResponse]:
    """The answers to so many requests of the owner that begin at the same moment."""
    start = threading.Barrier(amount)
    answers: list[TestResponse | None] = [None] * amount

    def run(n: int) -> None:
        who = person(app, "owner")
        start.wait()
        answers[n] = request(who, n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(amount)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


def test_the_sixth_session_archives_the_least_recently_active_one(app: Flask, owner: Person) -> None:
    made = make(owner, 5)
    oldest = body_of(owner, f"{SESSIONS}/{made[0]}?include_messages=false")
    made += make(owner, 1)
    assert active(owner) == made[1:]
    archived = body_of(owner, f"{SESSIONS}/{made[0]}?include_messages=false")
    assert archived == {**oldest, "status": "COMPLETED", "is_active": False}, "being archived is no activity"
    assert rows.of_session(app, made[0]).ended_at is not None
    assert body_of(owner, SESSIONS)["total"] == 6


def test_whatever_happens_to_a_session_makes_it_recent(owner: Person) -> None:
    first, second, third, fourth, fifth = make(owner, 5)
    owner.message(first)
    change(owner, second, title="Trip")
    change(owner, third, metadata={"a": 1})
    sixth = owner.session()["id"]
    assert active(owner) == [fifth, first, second, third, sixth]
    seventh = owner.session()["id"]
    assert active(owner) == [first, second, third, sixth, seventh]
    assert fourth not in active(owner)


def test_a_message_to_an_archived_session_resumes_it_and_archives_another(owner: Person) -> None:
    made = make(owner, 6)
    owner.message(made[0])
    assert active(owner) == [*made[2:], made[0]]


def test_a_resumed_session_archives_another(owner: Person) -> None:
    made = make(owner, 6)
    assert change(owner, made[0], is_active=True)["is_active"] is True
    assert active(owner) == [*made[2:], made[0]]


def test_a_change_that_resumes_and_renames_keeps_to_the_cap(owner: Person) -> None:
    made = make(owner, 6)
    change(owner, made[0], is_active=True, title="Trip", metadata={"a": 1})
    assert active(owner) == [*made[2:], made[0]]


def test_a_session_that_was_archived_leaves_its_place_to_others(owner: Person) -> None:
    made = make(owner, 5)
    archive(owner, made[3])
    sixth = owner.session()["id"]
    assert active(owner) == [*made[:3], made[4], sixth]


def test_a_session_begun_inactive_takes_no_place(owner: Person) -> None:
    made = make(owner, 5)
    begun_inactive = owner.session(is_active=False)["id"]
    assert active(owner) == made
    change(owner, begun_inactive, is_active=True)
    assert active(owner) == [*made[1:], begun_inactive]


def test_sessions_without_an_agent_type_are_not_counted(owner: Person) -> None:
    made = make(owner, 12, agent_type=None)
    assert active(owner) == made
    archive(owner, made[0])
    owner.message(made[0])
    assert active(owner) == [*made[1:], made[0]]


def test_agent_types_and_people_are_counted_apart(owner: Person, stranger: Person, admin: Person) -> None:
    made = make(owner, 5)
    for agent_type in ("research", "router", None):
        make(owner, 5, agent_type=agent_type)
    for other in (stranger, admin):
        assert len(make(other, 5)) == len(active(other))
    assert active(owner, "&agent_type=primary") == made
    assert len(active(owner)) == 20


def test_deleted_sessions_and_exchanges_take_no_place(app: Flask, owner: Person) -> None:
    made = make(owner, 5)
    rows.soft_delete(app, "owner", made[4])
    for _ in range(3):
        rows.exchange(app, status="ACTIVE", agent_type="primary")
    sixth = owner.session()["id"]
    assert active(owner) == [*made[:4], sixth]


def test_an_exchange_that_comes_back_takes_no_place_either(app: Flask, owner: Person) -> None:
    exchange = rows.exchange(app, status="ACTIVE", agent_type="primary")
    rows.soft_delete(app, "owner", exchange)
    made = make(owner, 5)
    with app.app_context():
        sessions.restore("owner", exchange)
    assert active(owner) == made


def test_an_archived_session_that_comes_back_takes_no_place(app: Flask, owner: Person) -> None:
    gone = owner.session()["id"]
    archive(owner, gone)
    rows.soft_delete(app, "owner", gone)
    made = make(owner, 5)
    with app.app_context():
        sessions.restore("owner", gone)
    assert active(owner) == made


@pytest.mark.parametrize("cap", [1, 3])
def test_the_cap_comes_from_the_settings(make_app: Callable[..., Flask], cap: int) -> None:
    owner = person(make_app(MAX_SESSIONS_PER_AGENT=str(cap)), "owner")
    made = make(owner, cap + 2)
    assert active(owner) == made[2:]
    owner.message(made[0])
    assert active(owner) == [*made[3:], made[0]]


def test_a_lowered_cap_is_met_again_with_the_next_session(owner: Person, make_app: Callable[..., Flask]) -> None:
    made = make(owner, 5)
    later = person(make_app(MAX_SESSIONS_PER_AGENT="2"), "owner")
    sixth = later.session()["id"]
    assert active(later) == [made[4], sixth]


def test_forty_creates_and_forty_resumes_at_once_leave_exactly_five(app: Flask, owner: Person) -> None:
    for _ in range(ROUNDS):
        for session_id in active(owner):
            archive(owner, session_id)
        created = all_at_once(app, AT_ONCE, lambda who, n: who.post(SESSIONS, json={}))
        made = [answered(response, 201)["id"] for response in created]
        assert len(set(made)) == AT_ONCE
        assert len(active(owner)) == 5
        assert not rows.breaches(app)
        resumed = all_at_once(app, AT_ONCE, lambda who, n, made=made: resume(who, n, made[n]))  # type: ignore[misc]
        assert all(answer.status_code in (200, 201) for answer in resumed), [answer.text for answer in resumed]
        assert len(active(owner)) == 5
        assert not rows.breaches(app)


def test_a_message_that_waits_for_its_turn_holds_no_session(app: Flask, owner: Person, engine_name: str) -> None:
    """Else it and whoever has the turn wait for each other, until the database ends one of them after a second."""
    if engine_name == "sqlite":
        pytest.skip("one writer at a time cannot wait for another")
    session_id = owner.session()["id"]
    answers: list[TestResponse] = []

    def write() -> None:
        answers.append(person(app, "owner").post(f"{SESSIONS}/{session_id}/messages", json=MESSAGE, headers={"Idempotency-Key": "key"}))

    writer = threading.Thread(target=write)
    with app.app_context():
        archiver, resumer = db.engine.connect(), db.engine.connect()
    try:
        archiver.execute(ONE, {"status": "COMPLETED", "id": session_id})
        resumer.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('cap:owner:primary', 0))"))
        resumer.execute(text("SET LOCAL lock_timeout = '300ms'"))
        writer.start()
        wait_until(app, "transactionid")  # the writer waits for the session
        archiver.commit()
        wait_until(app, "advisory")  # and now for its turn
        resumer.execute(ONE, {"status": "ACTIVE", "id": session_id})
        resumer.commit()
    finally:
        for connection in (archiver, resumer):
            connection.close()
        writer.join()
    assert [answer.status_code for answer in answers] == [201]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")  # on SQLite everybody has their turn
def test_only_who_may_make_one_too_many_takes_a_turn(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    chat = {"message": "Hello", "session_id": session_id}
    whoever: dict[str, Callable[[], object]] = {
        "begins": owner.session,
        "begins one that is not counted": lambda: owner.session(agent_type=None),
        "writes": lambda: owner.message(session_id),
        "chats": lambda: answered(owner.post("/api/v1/chat", json=chat)),
        "archives": lambda: archive(owner, session_id),
        "chats in an archived one": lambda: answered(owner.post("/api/v1/chat", json=chat)),
    }
    turns: list[str] = []
    with app.app_context():
        engine = db.engine
    for who, does in whoever.items():

        def note(sql: str, values: Any, prepared: object, who: str = who) -> None:
            if "pg_advisory" in sql and "'cap:" in repr(values):
                turns.append(who)

        with statements_to(engine, note):
            does()
    assert turns == ["begins", "chats in an archived one"]


ONE = text("UPDATE chat_sessions SET status = :status WHERE id = :id")
MESSAGE = {"content": "Hello", "message_type": "user"}


def wait_until(app: Flask, waits_for: str) -> None:
    for _ in range(3000):
        if _as_who_started_the_server(
            app, f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = '{waits_for}'"
        ):
            return
        time.sleep(0.01)
    raise AssertionError(f"nobody waits for {waits_for}")


def _as_who_started_the_server(app: Flask, statement: str) -> list[Any]:
    """A role without privileges is not told what other connections wait for."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE NONE"))
        return list(connection.execute(text(statement)).all())


def resume(who: Person, n: int, session_id: str) -> TestResponse:
    """By a change, by a message, by a message that may be sent again."""
    if n % 2:
        return who.put(f"{SESSIONS}/{session_id}", json={"is_active": True})
    headers = {"Idempotency-Key": f"resume-{session_id}"} if n % 4 else {}
    return who.post(f"{SESSIONS}/{session_id}/messages", json=MESSAGE, headers=headers)
