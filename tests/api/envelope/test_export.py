"""`GET /api/users/{id}/export`: all that a user has, line by line, and a last line that says so."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from chatsvc.api.envelope import export
from chatsvc.core import acting, exporting, users
from chatsvc.core.errors import Unavailable
from chatsvc.extensions import db
from tests.api.app.accounts import PASSWORD
from tests.api.envelope.calls import create
from tests.api.envelope.marked import MARK, NAME, account, fill
from tests.api.v1 import rows
from tests.factories import Person, person
from tests.responders.upstream import Upstream

Lines = list[dict[str, Any]]


def exported(who: Person, user_id: str) -> Lines:
    response = who.get(f"/api/users/{user_id}/export")
    assert (response.status_code, response.content_type) == (200, "application/x-ndjson"), response.text
    assert response.headers["Content-Disposition"] == 'attachment; filename="export.ndjson"'
    return [json.loads(line) for line in response.text.splitlines()]


def of(lines: Lines, kind: str) -> Lines:
    return [line for line in lines if line["type"] == kind]


def test_everything_that_a_user_has_is_in_it(app: Flask, admin: Person, n8n: Upstream) -> None:
    alice = account(app)
    fill(app, alice, admin, n8n)
    lines = exported(alice, alice.user_id)
    assert (lines[0]["type"], lines[0]["format"], lines[0]["userId"]) == ("export", 1, alice.user_id)
    assert (lines[-1]["type"], lines[-1]["complete"]) == ("end", True)
    counted = Counter(line["type"] for line in lines[1:-1])
    assert lines[-1]["counts"] == counted
    for kind, table in (("session", "chat_sessions"), ("message", "chat_messages"), ("conversation", "conversations"), ("idempotencyKey", "idempotency_keys")):
        assert counted[kind] == rows.count(app, table), kind
    assert counted["signInRecord"] == rows.count(app, "login_throttles")
    assert counted["auditEvent"] == rows.run(app, "SELECT count(*) FROM audit_events WHERE actor_id <> 'admin'")[0][0]
    assert len({line["eventId"] for line in of(lines, "auditEvent")}) == counted["auditEvent"], "each is told once"
    assert [line["username"] for line in of(lines, "account")] == [NAME]
    told = json.dumps(lines)
    for what in ("meta", "edited", "taken back", "in a deleted one", "cancelled", "kept answer", "conversation", "reply", "browser", "page", "waits"):
        assert f"{MARK} {what}" in told, what
    assert "argon2" not in told


def test_messages_stand_below_their_session_in_its_order(owner: Person) -> None:
    for title in ("One", "Two"):
        session_id = owner.session(title=title)["id"]
        for number in range(5):
            owner.message(session_id, f"{title} {number}")
    found: dict[str, list[str]] = {}
    for line in exported(owner, "owner"):
        if line["type"] == "session":
            current = found.setdefault(line["title"], [])
        elif line["type"] == "message":
            current.append(line["content"])
    assert found == {title: [f"{title} {number}" for number in range(5)] for title in ("One", "Two")}


def test_it_holds_nothing_of_anybody_else(owner: Person, stranger: Person) -> None:
    stranger.message(stranger.session(title="The stranger's")["id"], "What the stranger wrote")
    create(owner, title="Mine")
    assert "tranger" not in json.dumps(exported(owner, "owner"))


def test_somebody_with_nothing_gets_a_whole_file_too(owner: Person) -> None:
    lines = exported(owner, "owner")
    assert [line["type"] for line in lines] == ["export", "auditEvent", "end"], "but that it was asked for"
    assert lines[-1]["counts"] == {"auditEvent": 1}


def test_an_admin_carries_away_anybodys_and_is_named_for_it(app: Flask, owner: Person, admin: Person) -> None:
    create(owner, title="Hers")
    assert [line["title"] for line in of(exported(admin, "owner"), "session")] == ["Hers"]
    assert [tuple(row) for row in rows.run(app, "SELECT actor_id, subject FROM audit_events WHERE action = 'user.exported'")] == [("admin", "owner")]


def test_many_rows_come_a_few_at_a_time(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "SLICE", 3)
    monkeypatch.setattr(exporting, "LONG_ROWS", 2)
    ids = [create(owner, title=f"Session {number}")["sessionId"] for number in range(8)]
    for _ in range(7):
        owner.message(ids[0], "Hello")
    for number in range(5):
        owner.post("/api/chat-sessions", json={}, headers={"Idempotency-Key": f"k{number}"})
    counts = exported(owner, "owner")[-1]["counts"]
    assert (counts["session"], counts["message"], counts["idempotencyKey"]) == (13, 7, 5)


def piecewise(who: Person, user_id: str) -> Iterator[bytes]:
    response = who.get(f"/api/users/{user_id}/export", buffered=False)
    assert response.status_code == 200
    return iter(response.iter_encoded())


def test_nothing_is_held_while_nobody_takes_the_next_line(app: Flask, owner: Person) -> None:
    for _ in range(3):
        owner.message(owner.session()["id"], "Hello")
    pieces = piecewise(owner, "owner")
    for _ in range(4):
        next(pieces)
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    owner.message(owner.session()["id"], "Written meanwhile")
    assert json.loads(list(pieces)[-1])["complete"] is True


def test_its_memory_does_not_grow_with_what_there_is(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    words = "x" * 9_000
    with app.app_context(), db.engine.begin() as connection:
        for _ in range(2_000):
            said = {"id": session_id, "text": words}
            connection.execute(text("INSERT INTO chat_messages (session_id, user_id, role, content) VALUES (:id, 'owner', 'user', :text)"), said)
    with app.app_context(), acting.acting_for(acting.user("owner")):  # past the watch of the tests, which keeps all it has heard
        pieces = export.lines("owner")
    tracemalloc.start()
    size = sum(map(len, pieces))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 18_000_000
    assert peak < 8_000_000, peak


def test_an_error_in_the_middle_is_told_and_nothing_says_that_it_was_all(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    create(owner)
    for error, words in ((Unavailable("The database is busy"), "The database is busy"), (RuntimeError("inside"), export.BROKEN)):

        def broken(_: str, error: Exception = error) -> Iterator[Any]:
            yield from ()
            raise error

        monkeypatch.setattr(exporting, "_messages", broken)
        lines = exported(owner, "owner")
        assert lines[-1] == {"type": "error", "complete": False, "message": words, "counts": {"session": 1}}


def test_whoever_signs_out_is_told_nothing_more(app: Flask) -> None:
    alice = account(app)
    for _ in range(3):
        create(alice)
    pieces = piecewise(alice, alice.user_id)
    next(pieces)
    next(pieces)
    with app.app_context():
        users.disable(NAME)
        app.extensions["chatsvc.runtime"].clients.dismiss()
    last = json.loads(list(pieces)[-1])
    assert (last["type"], last["complete"]) == ("error", False)
    assert len(app.extensions["chatsvc.runtime"].clients) == 0


def test_numbers_and_letters_that_others_wrote_do_not_break_it(app: Flask, owner: Person) -> None:
    session_id = owner.session()["id"]
    owner.message(session_id, "one\u2028line\u2029and\x85no\nother")
    rows.run(app, "UPDATE chat_messages SET metadata = '{\"a\": 123456789012345678901234567890}'")
    lines = of(exported(owner, "owner"), "message")
    assert [line["content"] for line in lines] == ["one\u2028line\u2029and\x85no\nother"]
    assert lines[0]["metadata"]["a"] > 2**64


def test_it_takes_a_place_among_the_streams_of_this_process(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = piecewise(owner, "owner")
    next(pieces)
    assert len(app.extensions["chatsvc.runtime"].clients) == 1
    monkeypatch.setattr(app.extensions["chatsvc.runtime"], "capacity", 1)
    assert owner.get("/api/users/owner/export").status_code == 503
    list(pieces)


def test_the_command_writes_the_same_lines_to_a_file_of_its_own(app: Flask, tmp_path: Any, owner: Person) -> None:
    create(owner, title="Mine")
    file = tmp_path / "export.ndjson"
    run: Callable[..., Any] = app.test_cli_runner().invoke
    assert run(args=["users", "export", "owner", str(file)]).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["type"] for line in lines] == ["export", "session", "auditEvent", "end"]
    refused = run(args=["users", "export", "owner", str(file)])
    assert (refused.exit_code, refused.output) == (1, f"Error: {file} cannot be written: File exists\n")
    told = run(args=["users", "export", "owner"])
    assert [json.loads(line)["type"] for line in told.output.splitlines()] == ["export", "session", "auditEvent", "auditEvent", "end"]


def test_the_command_says_when_it_is_not_all(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "SESSION", (text("no_such_column AS id"),))
    told = app.test_cli_runner().invoke(args=["users", "export", "owner"])
    assert told.exit_code == 1
    assert "not all" in told.output


def test_an_account_is_found_by_name_or_by_id(app: Flask) -> None:
    with app.app_context(), acting.acting_for(acting.EVERYBODY):
        made = users.create("Alice", PASSWORD).id
        assert users.id_of("aLICE") == users.id_of(made) == made
        assert users.id_of("auth0|1") == "auth0|1"
    assert person(app, "x").get("/api/users/x/export").status_code == 200
