"""`verify` finds what contradicts the rows, each kind of it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from chatsvc.core import messages, sessions, verify
from tests.migrations.conftest import Database
from tests.migrations.filling import fill

EVERYTHING = ("message_count", "title", "title_message_id", "last_message", "last_message_at", "last_message_id", "newest_message_id")
AT = "2001-01-01 00:00:00.000000"
# What somebody writes, and what is wrong with the session afterwards. All of it is written while no trigger watches.
PLANTED = {
    "UPDATE chat_sessions SET message_count = message_count + 1 WHERE id = ?": {"message_count"},
    "UPDATE chat_sessions SET title = 'Other' WHERE id = ?": {"title"},
    "UPDATE chat_sessions SET title = NULL WHERE id = ?": {"title"},
    "UPDATE chat_sessions SET title_message_id = NULL WHERE id = ?": {"title_message_id"},
    "UPDATE chat_sessions SET last_message = last_message || '!' WHERE id = ?": {"last_message"},
    "UPDATE chat_sessions SET last_message_at = '2001-01-01 00:00:00.000000' WHERE id = ?": {"last_message_at"},
    "UPDATE chat_sessions SET last_message_id = last_message_id - 1 WHERE id = ?": {"last_message_id"},
    "UPDATE chat_sessions SET ended_at = '2001-01-01 00:00:00.000000' WHERE id = ?": {"ended_at"},
    "UPDATE chat_sessions SET status = 'COMPLETED' WHERE id = ?": {"ended_at"},
    "INSERT INTO chat_messages (session_id, user_id, role, content) VALUES (?, 'owner', 'user', 'Unseen')": {
        "message_count",
        "last_message",
        "last_message_at",
        "last_message_id",
        "newest_message_id",
    },
    "INSERT INTO chat_messages (session_id, user_id, role, content) VALUES (?, 'owner', 'assistant', '')": {
        "message_count",
        "last_message_at",
        "newest_message_id",
    },
    "UPDATE chat_messages SET content = 'Edited', created_at = '2001-01-01 00:00:00.000000' WHERE session_id = ?": {"title", "last_message", "last_message_at"},
    "UPDATE chat_messages SET deleted_at = '2001-01-01 00:00:00.000000' WHERE session_id = ?": set(EVERYTHING),
    "DELETE FROM chat_messages WHERE session_id = ?": set(EVERYTHING),
    "UPDATE chat_messages SET user_id = 'stranger' WHERE session_id = ?": {"user_id of its messages"},
    "DELETE FROM chat_sessions WHERE id = ?": {"messages of a session that is gone"},
}


@pytest.fixture
def unwatched(empty_database: str) -> Iterator[Database]:
    """A database whose triggers and foreign keys have been turned off."""
    made = Database(empty_database)
    made.upgrade()
    if made.raw.on_sqlite:
        made.raw.run("PRAGMA foreign_keys=OFF")
        for (name,) in made.raw.run("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            made.raw.run(f"DROP TRIGGER {name}")
    else:
        made.raw.run("SET ROLE NONE")  # a role without privileges may not
        made.raw.run("SET session_replication_role = replica")
    with made.app.app_context():
        yield made
    made.close()


def whole(database: Database) -> str:
    """A session that shows what its messages say, as the triggers would have left it."""
    session = database.raw.session()
    first = database.raw.message(session, "First")
    last = database.raw.message(session, "Last")
    database.raw.run(
        "UPDATE chat_sessions SET message_count = 2, title = 'First', title_message_id = ?, last_message = 'Last', last_message_id = ?, "
        "newest_message_id = ?, last_message_at = (SELECT created_at FROM chat_messages WHERE id = ?) WHERE id = ?",
        first,
        last,
        last,
        last,
        session,
    )
    return session


def test_each_kind_of_breach_is_found_where_it_is_and_nowhere_else(unwatched: Database) -> None:
    planted = {whole(unwatched): (statement, wrong) for statement, wrong in PLANTED.items() for _ in range(2)}
    for _ in range(3):
        whole(unwatched)
    assert list(verify.breaches()) == []
    for session, (statement, _) in planted.items():
        unwatched.raw.run(statement, session)
    found: dict[str, set[str]] = {}
    for breach in verify.breaches():
        assert breach.kept != breach.found
        found.setdefault(breach.session_id, set()).add(breach.what)
    assert found == {session: wrong for session, (_, wrong) in planted.items()}


def test_a_title_that_a_person_or_a_model_gave_is_nobody_s_breach(unwatched: Database) -> None:
    for who in ("person", "model"):
        unwatched.raw.run("UPDATE chat_sessions SET title = 'Mine', title_from = ? WHERE id = ?", who, whole(unwatched))
    assert list(verify.breaches()) == []


def test_too_many_active_sessions_of_an_agent_are_found(unwatched: Database) -> None:
    for _ in range(6):
        unwatched.raw.session(agent_type="research")
        unwatched.raw.session()
    for _ in range(5):
        unwatched.raw.session("stranger", agent_type="research")
    (breach,) = verify.breaches()
    assert (breach.session_id, breach.what, breach.kept) == ("user owner", "active sessions of agent type research", 6)


def test_breaches_are_found_in_the_first_batch_in_the_last_and_in_between(unwatched: Database) -> None:
    amount = 2 * verify.BATCH + 10
    for _ in range(amount):
        unwatched.raw.session()
    every = [row[0] for row in unwatched.raw.run("SELECT id FROM chat_sessions ORDER BY id")]
    assert list(verify.breaches()) == []
    wrong = {every[0], every[verify.BATCH - 1], every[verify.BATCH], every[-1]}
    for session in wrong:
        unwatched.raw.run("UPDATE chat_sessions SET message_count = 1 WHERE id = ?", session)
    assert [breach.session_id for breach in verify.breaches()] == sorted(wrong)


def test_a_session_with_the_lowest_id_there_can_be_is_looked_at(unwatched: Database) -> None:
    unwatched.raw.session(id="00000000-0000-0000-0000-000000000000", message_count=1)
    assert [breach.what for breach in verify.breaches()] == ["message_count"]


def test_what_the_service_and_psql_write_is_clean(context: Flask, database_url: str) -> None:
    session = sessions.create("owner", agent_type="research")
    message = messages.append("owner", session.id, role="user", content="🙂" * 200)
    messages.append("owner", session.id, role="assistant", content="𝄞" * 200)
    messages.edit("owner", session.id, message.id, content="é" * 60)
    sessions.change("owner", session.id, title="Mine")
    sessions.archive("owner", session.id)
    sessions.remove("owner", session.id)
    database = Database(database_url)
    fill(database.raw)
    database.close()
    assert list(verify.breaches()) == []


def test_verifying_changes_nothing(unwatched: Database) -> None:
    unwatched.raw.run("UPDATE chat_sessions SET message_count = 7 WHERE id = ?", whole(unwatched))
    before = unwatched.rows
    assert len(list(verify.breaches())) == 1
    assert unwatched.rows == before
