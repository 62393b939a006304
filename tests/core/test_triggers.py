"""What the database keeps current by itself, whoever writes. Every write here is plain SQL over a plain connection, unless it says otherwise."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import messages, verify
from chatsvc.core.errors import NotFound, Unavailable
from tests.migrations.operations import OPERATIONS, TRANSACTION, Hand, any_of_them
from tests.migrations.raw import AGAIN, REFUSED, Raw
from tests.migrations.recount import breaches, look, moved_wrongly

# The long run: TRIGGER_OPERATIONS=20000 TRIGGER_SEEDS=6 make test ARGS=tests/core/test_triggers.py
OPERATIONS_A_RUN = int(os.environ.get("TRIGGER_OPERATIONS", "1500"))
SEEDS = int(os.environ.get("TRIGGER_SEEDS", "1"))
SECONDS_OF_WRITERS = float(os.environ.get("TRIGGER_SECONDS", "1.5"))
EARLY = "2020-01-01 00:00:00.000000"


@pytest.fixture
def raw(context: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        yield connection


def shown(raw: Raw, session_id: str, *columns: str) -> Any:
    row = raw.run(f"SELECT {', '.join(columns)} FROM chat_sessions WHERE id = ?", session_id)[0]
    return row if len(columns) > 1 else row[0]


@pytest.fixture
def several_replies_may_run(app: Flask, raw: Raw) -> Iterator[None]:
    """The triggers are held to more than the index would let through."""
    index = "CREATE UNIQUE INDEX uq_chat_messages_running ON chat_messages (session_id) WHERE status = 'streaming'"
    raw.run("DROP INDEX uq_chat_messages_running")
    yield
    raw.run("DELETE FROM chat_messages")
    raw.run(index)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_every_one_of_many_random_operations_each_session_shows_what_its_messages_say(raw: Raw, several_replies_may_run: None, seed: int) -> None:
    if raw.on_sqlite and seed % 2:
        raw.run("PRAGMA recursive_triggers=ON")
    hand, done, before = Hand(raw, seed), Counter[str](), look(raw)
    for number in range(OPERATIONS_A_RUN):
        what = any_of_them(hand)
        after = hand.look()
        wrong = breaches(after, hand.own_titles) + moved_wrongly(before, after, at_once=what != TRANSACTION)
        assert wrong == [], f"operation {number} of seed {seed}: {what}"
        done[what], before = done[what] + 1, after
    assert OPERATIONS_A_RUN < 1000 or done.keys() >= {step.__name__ for step in OPERATIONS}


class Writers:
    """Many at once on a few sessions, each with a connection of its own, until the time is over and each has done something."""

    def __init__(self, app: Flask, url: str, seconds: float) -> None:
        self.app, self.url, self.ends_at = app, url, time.monotonic() + seconds
        self.latest = self.ends_at + 30  # where two wait for each other, PostgreSQL takes a second to see it
        with Raw(url) as raw:
            self.sessions = [raw.session() for _ in range(3)]
        self.done = Counter[str]()

    def run(self, step: Callable[[Raw, Random], None], seed: int) -> None:
        rng, name = Random(seed), step.__name__
        with Raw(self.url) as raw, self.app.app_context():
            while time.monotonic() < (self.ends_at if self.done[name] else self.latest):
                try:
                    step(raw, rng)
                    self.done[name] += 1
                except (*AGAIN, Unavailable):
                    self.done["again"] += 1
                except NotFound:
                    self.done["gone meanwhile"] += 1

    def watches(self, raw: Raw, rng: Random) -> None:
        """No moment is wrong, not only the last one: a later write could heal an earlier breach."""
        with raw.snapshot():
            state = look(raw)
        assert breaches(state) == []
        time.sleep(0.02)

    def any_message(self, raw: Raw, rng: Random) -> tuple[int, str]:
        """One of the newest, so that the writers meet."""
        session = rng.choice(self.sessions)
        found = raw.run("SELECT id FROM chat_messages WHERE session_id = ? ORDER BY id DESC LIMIT 5", session)
        return (rng.choice(found)[0] if found else 0), session

    def service_appends(self, raw: Raw, rng: Random) -> None:
        messages.append("owner", rng.choice(self.sessions), role=rng.choice(("user", "assistant")), content=f"service {rng.random()}")

    def service_edits(self, raw: Raw, rng: Random) -> None:
        message, session = self.any_message(raw, rng)
        messages.edit("owner", session, message, content=f"service edit {rng.random()}")

    def service_removes_and_restores(self, raw: Raw, rng: Random) -> None:
        message, session = self.any_message(raw, rng)
        messages.remove("owner", session, message)
        messages.restore("owner", session, message)

    def inserts(self, raw: Raw, rng: Random) -> None:
        raw.message(rng.choice(self.sessions), f"insert {rng.random()}", rng.choice(("user", "assistant")))

    def inserts_into_two_sessions(self, raw: Raw, rng: Random) -> None:
        with raw.transaction():
            for session in rng.sample(self.sessions, 2):
                raw.message(session, f"two {rng.random()}")

    def edits(self, raw: Raw, rng: Random) -> None:
        raw.run("UPDATE chat_messages SET content = ? WHERE id = ?", f"edit {rng.random()}", self.any_message(raw, rng)[0])

    def soft_deletes_and_restores(self, raw: Raw, rng: Random) -> None:
        raw.run(f"UPDATE chat_messages SET deleted_at = CASE WHEN deleted_at IS NULL THEN {raw.now} END WHERE id = ?", self.any_message(raw, rng)[0])

    def erases(self, raw: Raw, rng: Random) -> None:
        raw.run("DELETE FROM chat_messages WHERE id = ?", self.any_message(raw, rng)[0])


def test_many_writers_at_once_leave_everything_as_the_rows_say(raw: Raw, context: Flask, database_url: str) -> None:
    writers = Writers(context, database_url, SECONDS_OF_WRITERS)
    steps = [
        writers.watches,
        *[writers.service_appends] * 2,
        *[writers.inserts] * 2,
        *[writers.inserts_into_two_sessions] * 2,
        *[writers.edits] * 2,
        writers.soft_deletes_and_restores,
        writers.erases,
        writers.service_edits,
        writers.service_removes_and_restores,
    ]
    with ThreadPoolExecutor(len(steps)) as pool:
        for running in [pool.submit(writers.run, step, seed) for seed, step in enumerate(steps)]:
            running.result()
    assert {step.__name__ for step in steps} <= writers.done.keys()
    assert breaches(look(raw)) == []
    assert list(verify.breaches()) == []


def test_the_title_is_the_first_fifty_letters_of_the_first_question(raw: Raw) -> None:
    session = raw.session()
    raw.message(session, "An answer first", "assistant")
    assert shown(raw, session, "title") is None
    raw.message(session, "🙂é" * 30)
    raw.message(session, "A later question")
    assert shown(raw, session, "title") == "🙂é" * 25


def test_the_preview_is_the_first_hundred_letters_of_the_newest_message_of_any_role(raw: Raw) -> None:
    session = raw.session()
    raw.message(session, "A question")
    raw.message(session, "𝄞" * 120, "system")
    assert shown(raw, session, "last_message", "message_count") == ("𝄞" * 100, 2)


def test_a_title_that_a_person_set_stays_until_they_give_it_back(raw: Raw) -> None:
    session = raw.session(title="Mine", title_from="person")
    first = raw.message(session, "The first question")
    raw.message(session, "The second question")
    raw.run("UPDATE chat_messages SET content = 'The first question, edited' WHERE id = ?", first)
    assert shown(raw, session, "title") == "Mine"
    raw.run("UPDATE chat_sessions SET title = NULL, title_from = 'message' WHERE id = ?", session)
    assert shown(raw, session, "title") == "The first question, edited"
    raw.run("DELETE FROM chat_messages WHERE id = ?", first)
    assert shown(raw, session, "title") == "The second question"


def test_a_title_given_back_before_there_is_a_question_comes_with_the_first_one(raw: Raw) -> None:
    session = raw.session(title="A model's", title_from="model")
    raw.run("UPDATE chat_sessions SET title = NULL, title_from = 'message' WHERE id = ?", session)
    assert shown(raw, session, "title") is None
    raw.message(session, "Now")
    assert shown(raw, session, "title") == "Now"


def test_an_edit_shows_in_title_and_preview_and_moves_no_last_message_at(raw: Raw) -> None:
    session = raw.session(created_at=EARLY, updated_at=EARLY)
    message = raw.message(session, "Before", created_at=EARLY)
    at = shown(raw, session, "last_message_at")
    raw.run("UPDATE chat_messages SET content = 'After' WHERE id = ?", message)
    assert shown(raw, session, "title", "last_message", "message_count", "last_message_at") == ("After", "After", 1, at)
    assert shown(raw, session, "updated_at") > at


def test_a_message_soft_deleted_leaves_the_count_the_title_and_the_preview_and_comes_back_with_them(raw: Raw) -> None:
    session = raw.session()
    only = raw.message(session, "Only")
    raw.run(f"UPDATE chat_messages SET deleted_at = {raw.now} WHERE id = ?", only)
    assert shown(raw, session, "message_count", "title", "last_message", "last_message_at") == (0, None, None, None)
    raw.run("UPDATE chat_messages SET deleted_at = NULL WHERE id = ?", only)
    assert shown(raw, session, "message_count", "title", "last_message") == (1, "Only", "Only")


def test_an_erased_message_leaves_the_count_the_title_and_the_preview(raw: Raw) -> None:
    session = raw.session()
    first, _second, third = (raw.message(session, text) for text in ("One", "Two", "Three"))
    raw.run("DELETE FROM chat_messages WHERE id IN (?, ?)", first, third)
    assert shown(raw, session, "message_count", "title", "last_message") == (1, "Two", "Two")


def test_a_soft_deleted_message_that_is_edited_or_erased_changes_nothing(raw: Raw) -> None:
    session = raw.session(created_at=EARLY, updated_at=EARLY)
    gone = raw.message(session, "Gone", deleted_at=EARLY)
    before = look(raw).sessions
    raw.run("UPDATE chat_messages SET content = 'Edited' WHERE id = ?", gone)
    raw.run("DELETE FROM chat_messages WHERE id = ?", gone)
    assert look(raw).sessions == before


def test_a_running_reply_counts_from_its_first_row_and_shows_at_its_end(raw: Raw) -> None:
    session = raw.session()
    raw.message(session, "A question")
    reply = raw.message(session, "The ans", "assistant", status="streaming")
    assert shown(raw, session, "message_count", "last_message") == (2, "A question")
    raw.run("UPDATE chat_messages SET content = 'The answer', status = 'complete' WHERE id = ?", reply)
    assert shown(raw, session, "message_count", "last_message") == (2, "The answer")


def test_a_reply_without_text_does_not_hide_the_question(raw: Raw) -> None:
    session = raw.session()
    raw.message(session, "A question")
    raw.message(session, "", "assistant", status="failed")
    assert shown(raw, session, "message_count", "last_message") == (2, "A question")


def test_updated_at_moves_with_a_message_and_never_goes_back(raw: Raw) -> None:
    session = raw.session(created_at=EARLY, updated_at=EARLY)
    early = shown(raw, session, "updated_at")
    raw.message(session, created_at="2019-01-01 00:00:00.000000")
    assert shown(raw, session, "updated_at") == early
    raw.message(session, created_at="2021-01-01 00:00:00.000000")
    later = shown(raw, session, "updated_at")
    assert later == shown(raw, session, "last_message_at") > early
    raw.run("UPDATE chat_sessions SET updated_at = '2099-01-01 00:00:00.000000' WHERE id = ?", session)
    ahead = shown(raw, session, "updated_at")
    raw.run("UPDATE chat_messages SET content = 'Edited'")
    raw.run("DELETE FROM chat_messages")
    assert shown(raw, session, "updated_at", "message_count") == (ahead, 0)


def test_one_statement_over_many_sessions_counts_in_each(raw: Raw) -> None:
    sessions = [raw.session() for _ in range(3)]
    raw.run(
        "INSERT INTO chat_messages (session_id, user_id, role, content) "
        "SELECT s.id, s.user_id, 'user', 'Question ' || n FROM chat_sessions s, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) numbers ORDER BY n"
    )
    assert [shown(raw, session, "message_count", "title", "last_message") for session in sessions] == [(3, "Question 1", "Question 3")] * 3
    raw.run(f"UPDATE chat_messages SET deleted_at = {raw.now} WHERE content <> 'Question 2'")
    assert [shown(raw, session, "message_count", "title", "last_message") for session in sessions] == [(1, "Question 2", "Question 2")] * 3


def test_what_is_rolled_back_leaves_no_trace(raw: Raw) -> None:
    session = raw.session()
    before = look(raw).sessions
    raw.run("BEGIN")
    raw.message(session)
    assert shown(raw, session, "message_count") == 1
    raw.run("ROLLBACK")
    assert look(raw).sessions == before


@pytest.mark.parametrize("foreign_keys", ["ON", "OFF"])
def test_a_session_that_is_erased_takes_its_messages_along(raw: Raw, foreign_keys: str) -> None:
    if raw.on_sqlite:
        raw.run(f"PRAGMA foreign_keys={foreign_keys}")  # OFF, as its shell has them
    session, other = raw.session(), raw.session()
    raw.message(session)
    raw.message(other)
    raw.run("DELETE FROM chat_sessions WHERE id = ?", session)
    assert [row.session_id for row in look(raw).messages.values()] == [other]


@pytest.mark.parametrize("column", ["id", "session_id", "user_id"])
def test_a_message_keeps_its_id_its_session_and_its_owner(raw: Raw, column: str) -> None:
    session, other = raw.session(), raw.session()
    message = raw.message(session)
    new = {"id": message + 1, "session_id": other, "user_id": "stranger"}[column]
    with pytest.raises(REFUSED, match="a message keeps its id, its session and its owner"):
        raw.run(f"UPDATE chat_messages SET {column} = ? WHERE id = ?", new, message)
    raw.run(f"UPDATE chat_messages SET {column} = {column}, content = 'Edited' WHERE id = ?", message)
    assert shown(raw, session, "last_message") == "Edited"


def test_the_id_of_an_erased_message_is_not_given_again(raw: Raw) -> None:
    session = raw.session()
    newest = raw.message(session)
    raw.run("DELETE FROM chat_messages")
    assert raw.message(session) > newest


def test_emptying_the_whole_table_empties_every_session(raw: Raw) -> None:
    session = raw.session()
    titled = raw.session(title="Mine", title_from="person")
    for each in (session, titled):
        raw.message(each)
    raw.run("DELETE FROM chat_messages" if raw.on_sqlite else "TRUNCATE chat_messages CASCADE")
    assert breaches(look(raw), {titled: "Mine"}) == []


def test_a_message_of_somebody_else_does_not_get_into_a_session(raw: Raw) -> None:
    session = raw.session()
    with pytest.raises(REFUSED):
        raw.message(session, user_id="stranger")


def test_only_replies_run_and_only_replies_have_agents(raw: Raw) -> None:
    session = raw.session()
    for wrong in ({"status": "streaming"}, {"agent_type": "research"}):
        with pytest.raises(REFUSED):
            raw.message(session, **wrong)
