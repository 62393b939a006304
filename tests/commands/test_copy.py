"""`flask copy`: from either engine to either, all that there is, equal, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import copying, personas, verify
from chatsvc.core.acting import EVERYBODY, acting_for
from config import database_url
from tests.commands.copies import PAIRS, Make, blank, closed, copied, make, migrated, names, service
from tests.factories import person
from tests.migrations import filling
from tests.migrations.catalog import catalog, dump
from tests.migrations.raw import Raw

__all__ = ["blank", "make"]
STRANGE = "Ünïcødé 🙂 𝄞 e\u0301 \u202eאבג\u202c 'quotes' \"double\" back\\slash %s %(a)s :colon ?\n\ttab\r\n\x01 end "
META = '{"z": 1, "a": [1.50, -0.0, 1e2, 12345678901234567890123, 5e-324, 1e308, true, null, "é", {}], "": {"b": {"y": "\\u00e9\\n", "x": []}}}'
LONG = "lang ß " * 28_000


def fill(url: str) -> None:
    """Rows of every kind; and counters that a second count would show."""
    with Raw(url) as raw:
        filling.fill(raw)
        odd = raw.session("Ünï ' \" \\ %s 🙂", metadata=META, created_at="2024-10-27 00:59:59.999999", updated_at="2024-10-27 01:00:00.000001")
        raw.message(odd, STRANGE, user_id="Ünï ' \" \\ %s 🙂", metadata=META, created_at="1999-12-31 23:59:59.000001")
        raw.message(odd, LONG, "assistant", user_id="Ünï ' \" \\ %s 🙂", agent_type="research")
        raw.run("UPDATE chat_sessions SET updated_at = '2024-10-27 01:00:00.000001', title = 'Mine', title_from = 'person' WHERE id = ?", odd)
        for key in ("Zebra", "zebra", "ähre", "Ähre", "a b", "a-b", "aB", "_", "🙂"):  # in the order of people, and not of bytes
            raw.insert("idempotency_keys", user_id="owner", key=key, fingerprint="f")
        raw.session("owner", agent_type="primary")


@pytest.fixture(params=PAIRS, ids="_to_".join)
def pair(request: pytest.FixtureRequest, make: Make) -> tuple[str, str]:
    source, target = request.param
    return make(source), make(target)


@pytest.fixture
def filled(pair: tuple[str, str]) -> tuple[str, str]:
    fill(pair[0])
    return pair


def rows(url: str) -> dict[str, list[str]]:
    with Raw(url) as raw:
        return dump(raw)


def test_everything_arrives_and_the_source_is_as_it_was(filled: tuple[str, str]) -> None:
    source, target = filled
    before = rows(source)
    code, said = copied(source, target)
    assert code == 0, said
    for table in names():
        assert f"{table} " in said
        with Raw(source) as one, Raw(target) as other:
            amount = one.one(f"SELECT count(*) FROM {table}")
            assert amount == other.one(f"SELECT count(*) FROM {table}")
            assert amount, f"{table} is empty: this test shows nothing of it"
    assert said.endswith("copied: every row is equal, and everything agrees with the rows\n")
    assert rows(source) == before


def test_there_and_back_is_the_same_by_the_databases_own_word(filled: tuple[str, str], make: Make) -> None:
    source, target = filled
    back = make("sqlite" if source.startswith("sqlite") else "postgresql")
    assert copied(source, target)[0] == copied(target, back)[0] == 0
    assert spelt_alike(source) == spelt_alike(back)


def spelt_alike(url: str) -> dict[str, list[Any]]:
    """Every row as the driver gives it; JSON as what it means, since PostgreSQL spells it in its own way."""
    found: dict[str, list[Any]] = {}
    with Raw(url) as raw:
        for table in names():
            found[table] = sorted(([_parsed(value) for value in row] for row in raw.run(f"SELECT * FROM {table}")), key=lambda row: repr(row[:2]))
    return found


def _parsed(value: Any) -> Any:
    """PostgreSQL's driver has parsed it already, with numbers as they are."""
    if isinstance(value, dict):
        value = json.dumps(value)
    return json.loads(value, parse_float=Decimal, parse_int=Decimal) if isinstance(value, str) and value.startswith("{") else value


def test_what_triggers_keep_is_copied_and_not_counted_again_and_they_are_there_afterwards(filled: tuple[str, str]) -> None:
    source, target = filled
    with Raw(source) as raw:  # what no trigger would make of these rows
        raw.run("UPDATE chat_sessions SET updated_at = '2031-01-01 00:00:00.123456'")
    with Raw(target) as raw:
        schema = catalog(raw)
    assert copied(source, target)[0] == 0
    with Raw(target) as raw:
        assert catalog(raw) == schema
        assert {str(moment)[:26] for (moment,) in raw.run("SELECT updated_at FROM chat_sessions")} == {"2031-01-01 00:00:00.123456"}
        session = raw.session()
        raw.message(session, "Counted")
        assert raw.run("SELECT message_count, title FROM chat_sessions WHERE id = ?", session) == [(1, "Counted")]


@pytest.fixture
def open_service() -> Iterator[Any]:
    opened: list[Flask] = []

    def open_it(url: str) -> Flask:
        opened.append(service(url))
        return opened[-1]

    yield open_it
    for app in opened:
        closed(app)


def test_the_service_goes_on_with_the_copy(pair: tuple[str, str], open_service: Any) -> None:
    source, target = pair
    before = open_service(source)
    owner, admin = person(before, "owner"), person(before, "admin", role="ADMIN")
    session = owner.session(title="Kept", metadata={})
    kept = owner.message(session["id"], STRANGE.strip())
    key = {"Idempotency-Key": "again"}
    first = owner.post("/api/v1/chat-sessions", {"title": "Once"}, headers=key)
    persona = {"name": "Flow", "kind": "webhook", "webhookUrl": "https://flows.example.com/hook", "secret": "a-secret-for-flows-0123456789abcdef"}
    persona_id = admin.post("/api/personas", persona).get_json()["data"]["personaId"]
    assert admin.call("PATCH", f"/api/personas/{persona_id}", json={"secret": "its-successor-0123456789abcdef", "previousSecretHours": 24}).status_code == 200
    gone = owner.session()["id"]
    erased = owner.message(gone)["id"]
    assert owner.delete(f"/api/chat-sessions/{gone}").status_code == 200
    assert copied(source, target)[0] == 0

    after = open_service(target)
    again = person(after, "owner")
    assert again.get(f"/api/v1/chat-sessions/{session['id']}").json == owner.get(f"/api/v1/chat-sessions/{session['id']}").json
    assert again.get("/api/v1/chat-sessions").json == owner.get("/api/v1/chat-sessions").json
    replayed = again.post("/api/v1/chat-sessions", {"title": "Once"}, headers=key)
    assert (replayed.data, replayed.headers["Idempotent-Replayed"]) == (first.data, "true")
    assert person(after, "stranger").get(f"/api/v1/chat-sessions/{session['id']}").status_code == 404
    new = again.message(session["id"], "After the copy")
    assert new["id"] > erased > kept["id"], "an id that was given once is not given again"
    with after.app_context(), acting_for(EVERYBODY):
        assert personas.secrets_of(persona_id) == ["its-successor-0123456789abcdef", persona["secret"]]
        assert list(verify.breaches()) == []


def test_a_database_that_orders_text_as_people_do_is_equal_all_the_same(make: Make) -> None:
    source, target, back = make("sqlite"), make("postgresql"), make("sqlite")
    fill(source)
    with Raw(target) as raw:
        raw.run('ALTER TABLE idempotency_keys ALTER COLUMN key TYPE varchar(255) COLLATE "und-x-icu"')
    assert copied(source, target)[0] == copied(target, back)[0] == 0


def test_what_is_written_meanwhile_is_not_in_it(filled: tuple[str, str]) -> None:
    source, target = filled
    app = service(target)
    with Raw(source) as raw, app.app_context():
        before = dump(raw)
        session = raw.one("SELECT id FROM chat_sessions WHERE user_id = 'owner' AND deleted_at IS NULL AND agent_type = 'primary'")
        told: list[str] = []

        def meanwhile(line: str) -> None:
            told.append(line)
            raw.message(session, line)
            raw.insert("users", id=str(len(told)), username=line, username_key=line, password_hash="x")

        done = copying.copy(database_url(source), meanwhile)
    closed(app)
    assert len(told) > len(names())
    assert done.breaches == []
    assert {table.table: table.rows for table in done.tables} == {table: len(before[table]) for table in names()}


def test_a_source_that_was_migrated_back_is_refused(pair: tuple[str, str]) -> None:
    source, target = pair
    migrated(source, "-1")
    code, said = copied(source, target)
    assert (code, "The source is at revision " in said, "flask db upgrade" in said) == (1, True, True), said
    migrated(source)
    migrated(target, "-1")
    code, said = copied(source, target)
    assert (code, "The database of DATABASE_URL is at revision " in said, "Run: flask db upgrade" in said) == (1, True, True), said


def test_a_newer_or_foreign_database_is_refused(pair: tuple[str, str]) -> None:
    source, target = pair
    with Raw(source) as raw:
        raw.run("UPDATE alembic_version SET version_num = '999'")
        assert "which this code does not know: it was migrated by a newer release" in copied(source, target)[1]
        raw.run("DROP TABLE alembic_version")
        assert copied(source, target) == (1, "Error: The source has no tables of chatsvc. Look whether the address names the right one.\n")


def test_a_target_with_rows_is_named_and_left_alone(filled: tuple[str, str]) -> None:
    source, target = filled
    with Raw(target) as raw:
        raw.insert("users", id="u9", username="Here", username_key="here", password_hash="x")
        before = dump(raw)
        code, said = copied(source, target)
        assert (code, "is not empty: there are rows in users." in said) == (1, True), said
        assert dump(raw) == before


def test_the_source_may_not_be_the_target(make: Make) -> None:
    url = make("sqlite")
    assert "The source is the database of DATABASE_URL itself" in copied(url, url)[1]


def test_an_address_that_leads_nowhere_is_refused_and_no_file_is_made(make: Make, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.db"
    assert copied(f"sqlite:///{nowhere}", make("sqlite")) == (1, f"Error: The source cannot be opened: {nowhere} is not a file.\n")
    assert not nowhere.exists()
    assert "The source cannot be opened: " in copied("postgresql://nobody@127.0.0.1:1/nothing", make("sqlite"))[1]
    assert "SOURCE_URL must begin with" in copied("-", make("sqlite"), input="mysql://user:pass@host/name")[1]


def test_the_address_may_come_by_the_standard_input(make: Make) -> None:
    source, target = make("sqlite"), make("sqlite")
    fill(source)
    code, said = copied("-", target, input=f"{source}\n")
    assert (code, "copied: every row is equal" in said) == (0, True)
