"""`flask copy` that does not come to its end: nothing is left, the words say why, and it can be begun again."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import text

from chatsvc.core import copying, likeness
from chatsvc.core.database import write
from config import database_url
from tests.commands.copies import Make, blank, closed, copied, empty, make, service
from tests.commands.copies import copying as copy_process
from tests.migrations import filling
from tests.migrations.catalog import catalog
from tests.migrations.raw import Raw

__all__ = ["blank", "make"]
ENGINES = ("sqlite", "postgresql")
TO_EITHER = pytest.mark.parametrize("target_engine", ENGINES)


@pytest.mark.long
@pytest.mark.parametrize("line", ["users", "chat_messages"])
@TO_EITHER
def test_one_that_is_killed_leaves_nothing_and_the_next_one_succeeds(line: str, target_engine: str, make: Make) -> None:
    source, target = make("sqlite"), make(target_engine)
    with Raw(source) as raw, raw.transaction():
        filling.fill(raw)
        session = raw.session()
        for number in range(3000):  # what is left to do takes a second
            raw.message(session, f"Message {number}")
    with Raw(target) as raw:
        schema = catalog(raw)
    with copy_process(source, target) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(f"{line}: "):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert empty(target)
    with Raw(target) as raw:
        assert catalog(raw) == schema
    code, said = copied(source, target)
    assert code == 0, said


@TO_EITHER
def test_a_copy_that_is_not_equal_is_undone(target_engine: str, make: Make) -> None:
    source, target = make("sqlite"), make(target_engine)
    with Raw(source) as raw:
        filling.fill(raw)
        raw.run("UPDATE users SET created_at = '2024-05-06 07:08:09.101112'")
        raw.insert("audit_events", action="noted", details='{"a": [1, 2]}')
    differs = "row 1 by key: the copy has something else in"
    assert undone_by("UPDATE users SET created_at = '2024-05-06 07:08:09.101113'", source, target) == f"users, {differs} created_at"
    assert undone_by("UPDATE audit_events SET details = '{\"a\": [2, 1]}' WHERE action = 'noted'", source, target).endswith("else in details")
    assert undone_by("UPDATE users SET password_hash = 'y'", source, target) == f"users, {differs} password_hash"
    assert undone_by("DELETE FROM users", source, target) == "users has 1 rows in the source and 0 in the copy"
    assert undone_by("UPDATE users SET id = 'u0'", source, target) == f"users, {differs} id"
    assert empty(target)


def undone_by(spoilt: str, source: str, target: str) -> str:
    """What is said when somebody's hand has been in the copy."""

    def spoil() -> None:
        assert write(text(f"{spoilt} RETURNING id"))

    app = service(target)
    try:
        with app.app_context(), pytest.raises(copying.NotCopied) as told:
            copying.copy(database_url(source), lambda line: spoil() if line.startswith("workers") else None)
    finally:
        closed(app)
    return str(told.value).removeprefix("What was copied is not equal, and was undone: ")


@TO_EITHER
def test_a_row_that_the_other_engine_does_not_take_is_told_by_its_table_and_without_what_is_in_it(target_engine: str, make: Make) -> None:
    source, target = make("sqlite"), make(target_engine)
    with Raw(source) as raw:
        session = raw.session()
        raw.message(session, "Dear diary")
        raw.run("PRAGMA foreign_keys=OFF")
        raw.message("11111111-1111-4111-8111-111111111111", "Dear orphan")
    code, said = copied(source, target)
    assert (code, "Error: chat_messages, after 0 rows by key: " in said, "oreign key" in said or "FOREIGN KEY" in said, "Dear" in said) == (
        1,
        True,
        True,
        False,
    ), said
    assert empty(target)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("UPDATE users SET username = printf('%100s', 'dear')", "users, after 0 rows by key: value too long"),
        ("UPDATE users SET username = CAST(x'64650061' AS TEXT)", "users, after 0 rows by key: A string literal cannot contain NUL"),
        ("UPDATE users SET created_at = 'dear'", "users, after 0 rows by key: "),
        ("UPDATE users SET role = 'DEAR'", "users, after 0 rows by key: "),
    ],
)
def test_what_sqlite_lets_pass_and_postgresql_does_not_is_told(spoilt: str, said: str, make: Make) -> None:
    source, target = make("sqlite"), make("postgresql")
    with Raw(source) as raw:
        raw.insert("users", id="u1", username="Alice", username_key="alice", password_hash="x")
        raw.run("PRAGMA ignore_check_constraints=ON")
        raw.run(spoilt)
    code, told = copied(source, target)
    assert (code, said in told, "Nothing was kept; put it right in the source" in told, "Alice" in told) == (1, True, True, False), told
    assert empty(target)


@TO_EITHER
def test_what_contradicts_itself_in_the_source_is_copied_as_it_is_and_told(target_engine: str, make: Make) -> None:
    source, target = make("sqlite"), make(target_engine)
    with Raw(source) as raw:
        session = raw.session()
        raw.run("UPDATE chat_sessions SET message_count = 7")
    code, said = copied(source, target)
    assert (code, f"{session}: message_count is 7, the rows say 0\n" in said, "The copy is equal and is kept" in said) == (1, True, True), said
    with Raw(target) as raw:
        assert raw.run("SELECT id, message_count FROM chat_sessions") == [(session, 7)]


def test_a_role_that_does_not_own_the_tables_is_told_which_one_may(make: Make) -> None:
    target = make("postgresql")
    with Raw(target) as raw:
        raw.run("REVOKE ALL ON users FROM CURRENT_USER")
    code, said = copied(make("sqlite"), target)
    assert (code, said) == (1, "Error: permission denied for table users. Copy as the role that owns the tables: the one that runs flask db upgrade.\n")


def test_nobody_writes_to_the_target_meanwhile(make: Make) -> None:
    for engine in ENGINES:
        source, target = make("sqlite"), make(engine)
        app = service(target)
        with app.app_context(), Raw(target) as raw:
            raw.run("PRAGMA busy_timeout=50" if raw.on_sqlite else "SET lock_timeout = '50ms'")
            told: list[str] = []

            def meanwhile(line: str, raw: Raw = raw, told: list[str] = told) -> None:
                try:
                    raw.insert("users", id="u9", username="Here", username_key="here", password_hash="x")
                except Exception as error:
                    told.append(type(error).__name__)

            done = copying.copy(database_url(source), meanwhile)
        closed(app)
        assert set(told) == {"OperationalError" if engine == "sqlite" else "LockNotAvailable"}
        assert len(told) == len(done.tables) + 2


def test_numbers_are_compared_by_what_they_mean_and_texts_letter_by_letter() -> None:
    meaning = likeness._meaning
    assert meaning('{"b": [1.0, 100, -0.0], "a": "é"}') == meaning('{"a":"\\u00e9","b":[1,1e2,0]}')
    for one, other in [("1", "2"), ('"1"', "1"), ("true", "1"), ("[1,2]", "[2,1]"), ("null", '"null"'), ("12345678901234567890123", "12345678901234567890124")]:
        assert meaning(f'{{"a": {one}}}') != meaning(f'{{"a": {other}}}'), (one, other)
