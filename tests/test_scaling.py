"""`docs/scaling.md`: the keys that it argues are those that there are, and its SQL makes them ready to be distributed by user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsvc.extensions import db
from tests import postgres
from tests.commands.copies import closed, migrated, service
from tests.factories import person
from tests.migrations.raw import Raw

PAGE = (Path(__file__).resolve().parent.parent / "docs/scaling.md").read_text()
SPREAD = ("chat_sessions", "chat_messages", "reply_chunks", "conversations", "idempotency_keys")
KEYS = """
    SELECT conrelid::regclass::text, conname, contype = 'f', coalesce(confrelid::regclass::text, ''), EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey) AND a.attname = 'user_id')
    FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
    UNION ALL
    SELECT indrelid::regclass::text, indexrelid::regclass::text, false, '', EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = indrelid AND a.attnum = ANY (indkey) AND a.attname = 'user_id')
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indisunique AND c.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"""


@pytest.fixture
def url(server: str) -> Iterator[str]:
    with postgres.new_database(server) as made:
        migrated(made)
        yield made


def keys(url: str) -> dict[tuple[str, str], tuple[bool, str, bool]]:
    """Of the tables that would be spread: whether it is a foreign key, to which table, and whether it names user_id."""
    with Raw(url) as raw:
        return {(table, name): (foreign, to, holds) for table, name, foreign, to, holds in raw.run(KEYS) if table in SPREAD}


def test_every_unique_and_foreign_key_is_argued(url: str) -> None:
    told = {(table, name): holds == "yes" for table, name, holds in re.findall(r"^\| `(\w+)` \| `(\w+)` \| (yes|no) \|", PAGE, re.MULTILINE)}
    assert told == {key: holds for key, (_, _, holds) in keys(url).items()}


def test_every_table_has_its_place() -> None:
    rows = re.findall(r"^\| ((?:`\w+` ?)+) \| (?:distributed|a copy|on the first)", PAGE, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"\w+", row)) == sorted(db.metadata.tables)


def test_after_the_pages_sql_every_key_of_what_is_spread_names_the_user_and_the_service_goes_on(url: str) -> None:
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    with Raw(url) as raw:
        for statement in sql.split(";\n"):
            if statement.strip():
                raw.run(statement)
    for (table, name), (foreign, to, holds) in keys(url).items():
        assert holds or (foreign and to == "personas"), f"{table}: {name}"
    app = service(url)
    owner = person(app, "owner")
    session = owner.session(title="Spread")["id"]
    sent = [owner.message(session, text)["id"] for text in ("one", "two")]
    assert [message["id"] for message in owner.get(f"/api/v1/chat-sessions/{session}").get_json()["messages"]] == sent
    assert owner.get("/api/v1/chat-sessions").get_json()["sessions"][0]["message_count"] == 2
    assert person(app, "stranger").get(f"/api/v1/chat-sessions/{session}").status_code == 404
    assert owner.delete(f"/api/chat-sessions/{session}").get_json()["data"]["deletedMessages"] == 2
    closed(app)
