"""`docs/scaling.md`: the keys that it argues are those that there are, and its SQL makes them ready to be distributed by user."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import psycopg2
import pytest

from chatsvc.core import acting, erasure, messages, sessions
from chatsvc.core.paging import Window
from chatsvc.extensions import db
from tests import postgres
from tests.commands.copies import closed, copied, migrated, service
from tests.factories import person
from tests.migrations import filling
from tests.migrations.plans import explained, sent_by
from tests.migrations.raw import Raw, Rows

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/scaling.md").read_text()
PARTITIONS = (ROOT / "deploy/postgresql/partitions.sql").read_text()
SPREAD = ("chat_sessions", "chat_messages", "reply_chunks", "conversations", "idempotency_keys")
KEYS = """
    SELECT conrelid::regclass::text, conname, contype = 'f', coalesce(confrelid::regclass::text, ''), EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey) AND a.attname = 'user_id')
    FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace AND conparentid = 0
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


def with_user_in_every_key(url: str, *, but_for_the_last: int = 0) -> None:
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    statements = [statement for statement in sql.split(";\n") if statement.strip()]
    with Raw(url) as raw:
        for statement in statements[: len(statements) - but_for_the_last]:
            raw.run(statement)


def test_after_the_pages_sql_every_key_of_what_is_spread_names_the_user_and_the_service_goes_on(url: str) -> None:
    with_user_in_every_key(url)
    for (table, name), (foreign, to, holds) in keys(url).items():
        assert holds or (foreign and to == "personas"), f"{table}: {name}"
    goes_on(url)


def goes_on(url: str) -> None:
    """Whether the service does its work here."""
    app = service(url, CHAT_ECHO_DELAY_MS="400")
    owner = person(app, "somebody")
    session = owner.session(title="Spread")["id"]
    sent = [owner.message(session, text)["id"] for text in ("one", "two")]
    assert owner.put(f"/api/v1/chat-sessions/{session}/messages/{sent[1]}", {"content": "two!"}).status_code == 200
    assert [message["id"] for message in owner.get(f"/api/v1/chat-sessions/{session}").get_json()["messages"]] == sent
    listed = owner.get("/api/v1/chat-sessions").get_json()["sessions"][0]
    assert (listed["message_count"], listed["last_message"]) == (2, "two!")
    assert person(app, "stranger").get(f"/api/v1/chat-sessions/{session}").status_code == 404
    asked = Thread(target=lambda: person(app, "somebody").post("/api/v1/chat", {"message": "word by word by word by word", "session_id": session}))
    asked.start()
    with Raw(url) as raw:
        until(lambda: raw.one("SELECT count(*) FROM reply_chunks c JOIN chat_messages m ON m.id = c.message_id WHERE m.user_id = 'somebody'") > 0)
    asked.join()
    assert owner.get(f"/api/v1/chat-sessions/{session}").get_json()["last_message"] == "word by word by word by word"
    assert owner.delete(f"/api/chat-sessions/{session}").get_json()["data"]["deletedMessages"] == 4
    for _ in range(2):
        owner.message(owner.session(title="To be erased")["id"], "with all that there is")
    erased = owner.delete("/api/users/somebody/data").get_json()["data"]
    assert (erased["status"], erased["counts"]["sessions"], erased["counts"]["messages"]) == ("FINISHED", 2, 2)
    assert app.test_cli_runner().invoke(args=["verify"]).exit_code == 0
    closed(app)


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_messages_go_into_partitions_where_they_are_and_the_service_goes_on(url: str, server: str) -> None:
    with Raw(url) as raw:
        filled(raw)
        before, newest = everything(raw), raw.one("SELECT max(id) FROM chat_messages")
        assert raw.one("SELECT count(*) FROM reply_chunks") > 0, "a reply that is being written goes along"
        raw.run(PARTITIONS)
        assert everything(raw) == before
        assert raw.one("SELECT pg_get_partkeydef('chat_messages'::regclass)") == "HASH (user_id)"
        assert len(raw.run("SELECT tableoid FROM chat_messages GROUP BY 1")) > 5
        assert raw.message(raw.session("user 3"), user_id="user 3") == newest + 1
        raw.run("SET chatsvc.acts_for = '.user 3'")  # a letter, and for whom
        assert raw.run("SELECT user_id, count(*) FROM chat_messages GROUP BY 1") == [("user 3", 2)]
        raw.run("SET chatsvc.acts_for = '*'")
        with pytest.raises(psycopg2.errors.RaiseException, match="in partitions already"):
            raw.run(PARTITIONS)
    with postgres.new_database(server) as other:
        migrated(other)
        with_user_in_every_key(other, but_for_the_last=2)
        assert keys(url) == keys(other)
    goes_on(url)


def test_a_copy_goes_into_partitions(url: str, server: str) -> None:
    with Raw(url) as raw:
        raw.run(PARTITIONS)
    with postgres.new_database(server) as source:
        migrated(source)
        with Raw(source) as raw:
            filled(raw)
            before = everything(raw)
        code, said = copied(source, url)
        assert code == 0, said
    with Raw(url) as raw:
        assert everything(raw) == before
        assert raw.run("SELECT DISTINCT tgenabled::text FROM pg_trigger WHERE NOT tgisinternal") == [("O",)]
    goes_on(url)


def test_lists_edits_and_erasing_a_session_look_into_one_partition(url: str) -> None:
    with Raw(url) as raw:
        filled(raw)
        ((session, message),) = raw.run("SELECT session_id::text, id FROM chat_messages WHERE user_id = 'user 3'")
        raw.run(PARTITIONS)
        (own,) = (str(name) for (name,) in raw.run("SELECT tableoid::regclass FROM chat_messages WHERE user_id = 'user 3'"))
    app = service(url)
    with app.app_context(), acting.acting_for(acting.user("user 3")):
        for verb in (
            partial(sessions.page, "user 3", sessions.Filters(), Window(5)),
            partial(messages.edit, "user 3", session, message, content="Edited"),
            partial(erasure.erase, "user 3", session),
        ):
            steps = [step for statement in sent_by(verb) for step in explained(statement)]
            assert {name for step in steps if (name := step.get("Relation Name", "")).startswith("chat_messages_")} <= {own}, verb
    closed(app)


def filled(raw: Raw) -> None:
    filling.fill(raw)
    for number in range(20):
        raw.message(raw.session(f"user {number}"), user_id=f"user {number}")


def everything(raw: Raw) -> list[Rows]:
    return [raw.run(f"SELECT * FROM {table} ORDER BY {order}") for table, order in (("chat_sessions", "id"), ("chat_messages", "id"), ("reply_chunks", "1, 2"))]
