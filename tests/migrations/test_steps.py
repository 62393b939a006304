"""Each revision, up and down, on both engines: what it keeps, what it refuses to lose, what it leaves behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import config
from tests.migrations.catalog import tables
from tests.migrations.conftest import Database
from tests.migrations.filling import MADE_BY_PEOPLE, NEWEST, TAKEN_BACK, fill
from tests.migrations.recount import breaches, look

REVISIONS = [f"{number:03}" for number in range(1, NEWEST + 1)]
# Revisions that make tables; those after them change tables that are there.
MAKE_TABLES = (*range(1, 7), 9, 12, 13)
# This one is about rows on PostgreSQL, who sees them; going down it nobody loses anything. Nor by an index, nor with secrets that were replaced.
ROW_SECURITY = 11
LOSE_NOTHING = (ROW_SECURITY, 14, 15)


def test_revisions_are_numbered_one_after_the_other_and_have_one_head() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(config.ROOT / "migrations"))
    scripts = list(ScriptDirectory.from_config(settings).walk_revisions())[::-1]
    assert [script.revision for script in scripts] == REVISIONS
    assert [script.down_revision for script in scripts] == [None, *REVISIONS[:-1]]
    assert [Path(script.path).name.partition("_")[0] for script in scripts] == REVISIONS


def test_a_database_that_went_up_and_down_with_rows_in_it_equals_a_fresh_one(database: Database) -> None:
    database.upgrade()
    fresh = database.schema
    database.downgrade("base")
    assert database.schema == []
    for number in range(1, NEWEST + 1):
        database.upgrade(f"{number:03}")
        at_first = database.schema
        database.downgrade()
        database.upgrade(f"{number:03}")
        assert database.schema == at_first
    fill(database.raw)
    database.downgrade("006", force=True)
    database.upgrade()
    database.downgrade("007", force=True)
    database.upgrade()
    database.downgrade("004", force=True)
    database.upgrade()
    assert database.schema == fresh


@pytest.mark.parametrize("number", [number for number in range(1, NEWEST + 1) if number not in LOSE_NOTHING])
def test_a_step_down_that_would_lose_what_people_made_refuses_and_changes_nothing(database: Database, number: int) -> None:
    database.upgrade(f"{number:03}")
    fill(database.raw, number)
    for statement in MADE_BY_PEOPLE.get(number, ()):
        database.raw.run(statement)
    rows, schema = database.rows, database.schema
    with pytest.raises(SystemExit, match=r"would lose \d+ .* force=true"):
        database.downgrade()
    assert (database.rows, database.schema, database.revision) == (rows, schema, f"{number:03}")
    database.downgrade(force=True)
    assert database.revision == (f"{number - 1:03}" if number > 1 else None)


@pytest.mark.parametrize("number", range(1, NEWEST + 1))
def test_a_step_down_and_up_again_keeps_every_row_and_all_that_can_be_derived(database: Database, number: int) -> None:
    database.upgrade(f"{number:03}")
    fill(database.raw, number if number not in MAKE_TABLES else number - 1)
    for statement in TAKEN_BACK.get(number, ()):
        database.raw.run(statement)
    rows, schema = database.rows, database.schema
    database.downgrade()
    assert database.schema != schema or (database.raw.on_sqlite and number == ROW_SECURITY)
    database.upgrade(f"{number:03}")
    assert (database.rows, database.schema) == (rows, schema)
    assert {table for table, found in rows.items() if found} == set(tables(database.raw)) - _made_by(number)


def _made_by(number: int) -> set[str]:
    """The tables that this revision makes, which a step down drops."""
    made = {
        1: {"users"},
        2: {"revoked_tokens", "login_throttles"},
        3: {"personas", "conversations"},
        4: {"chat_sessions"},
        5: {"chat_messages"},
        9: {"workers", "reply_chunks"},
        10: {"circuits", "audit_events"},
        12: {"api_keys"},
        13: {"erasures"},
    }
    return made.get(number, {"idempotency_keys"} if number == 6 else set())


def test_a_secret_that_was_replaced_does_not_stop_the_step_down_and_the_present_one_stays(database: Database) -> None:
    database.upgrade("015")
    fill(database.raw, 15)
    assert database.raw.run("SELECT previous_secret_sealed FROM personas WHERE kind = 'webhook'") == [("y",)]
    database.downgrade()
    database.upgrade("015")
    columns = "secret_sealed, previous_secret_sealed, previous_secret_until"
    assert database.raw.run(f"SELECT {columns} FROM personas WHERE kind = 'webhook'") == [("x", None, None)]


def test_a_model_s_title_does_not_stop_the_step_down_and_the_question_speaks_again(database: Database) -> None:
    database.upgrade("007")
    session = database.raw.session(title="A model's", title_from="model")
    database.raw.message(session, "The question")
    database.downgrade()
    database.upgrade("007")
    assert database.raw.run("SELECT title, title_from FROM chat_sessions") == [("The question", "message")]


def test_rows_that_were_there_before_get_title_preview_and_counter_and_keep_their_updated_at(database: Database) -> None:
    database.upgrade("006")
    fill(database.raw, 6)
    before: dict[str, object] = dict(database.raw.run("SELECT id, updated_at FROM chat_sessions"))
    database.upgrade("007")
    state = look(database.raw)
    assert breaches(state) == []
    assert {row.id: row.updated_at for row in state.sessions.values()} == before
    assert sorted((row.message_count, row.title, row.last_message) for row in state.sessions.values() if row.last_message) == [
        (1, "Only", "Only"),
        (1, "To the guide", "To the guide"),
        (5, ("A question 🙂" * 20)[:50], ("An answer 𝄞" * 20)[:100]),
    ]


def test_rows_that_were_there_before_are_kept_current_from_then_on(database: Database) -> None:
    database.upgrade("006")
    fill(database.raw, 6)
    database.upgrade()
    database.raw.run("UPDATE chat_messages SET content = content || '!', deleted_at = NULL")
    database.raw.run("DELETE FROM chat_messages WHERE content LIKE 'An answer%'")
    assert breaches(look(database.raw)) == []


def test_deleting_a_row_deletes_what_hangs_on_it_and_a_persona_in_use_stays(database: Database) -> None:
    database.upgrade()
    fill(database.raw)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        database.raw.run("DELETE FROM personas")
    database.raw.run("DELETE FROM conversations")
    assert database.raw.one("SELECT count(*) FROM chat_sessions WHERE conversation_id IS NOT NULL") == 0
    assert database.raw.one("SELECT count(*) FROM chat_messages") > 0
    database.raw.run("DELETE FROM chat_sessions")
    assert database.raw.one("SELECT count(*) FROM chat_messages") == 0
    assert database.raw.one("SELECT count(*) FROM idempotency_keys") == 2


def test_a_row_written_with_psql_alone_gets_its_id_its_times_and_its_state(database: Database) -> None:
    database.upgrade()
    database.raw.session()
    row = database.raw.run("SELECT id, status, metadata, message_count, title_from, created_at = updated_at, ended_at FROM chat_sessions")[0]
    assert len(str(row[0])) == 36
    assert str(row[0])[14] == "4"
    assert str(row[2]) == "{}"
    assert (row[1], *row[3:]) == ("ACTIVE", 0, "message", True, None)


def test_the_two_indexes_of_the_lists_have_their_names(database: Database) -> None:
    database.upgrade("007")
    schema = " ".join(database.schema)
    assert "INDEX idx_chat_sessions_user_id_updated " in schema
    assert "INDEX idx_chat_sessions_updated_at " in schema


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_an_index_that_an_operator_made_before_as_the_guide_says_is_taken_as_it_is(database: Database) -> None:
    database.upgrade("014")
    schema = database.schema
    database.downgrade()
    (made,) = re.findall(r"```sql\n(CREATE INDEX CONCURRENTLY .*?)```", (config.ROOT / "docs/deployment.md").read_text(), re.DOTALL)
    database.raw.run(made)
    database.upgrade("014")
    assert database.schema == schema
