"""The second wall: with the owner taken out of every question that the service asks, PostgreSQL still shows and changes nothing of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from chatsvc.api.common import door
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Route
from chatsvc.core import acting, cleanup, health, sessions
from chatsvc.core.database import read, unit
from chatsvc.core.errors import NotFound
from chatsvc.extensions import db
from tests.api.test_authorization import TABLE, WITH_IDS, World, world
from tests.api.v1 import rows
from tests.migrations.raw import Raw

__all__ = ["world"]
pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")

OF_PEOPLE = ("chat_messages", "chat_sessions", "conversations", "erasures", "idempotency_keys", "reply_chunks")
# Asked before anybody is known: whether a token still holds.
OF_NOBODY = {"revoked_tokens"}


@pytest.fixture
def confused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every view takes whoever calls for the owner: what the service asks for is the owner's, and all that its own checks let through."""
    let_in = door._let_in

    def as_owner(route: Route) -> tuple[Caller, ...]:
        return tuple(replace(caller, user_id="owner") for caller in let_in(route))

    monkeypatch.setattr(door, "_let_in", as_owner)


def existing(app: Flask) -> dict[str, list[Any]]:
    return {table: sorted(map(repr, rows.run(app, f"SELECT * FROM {table} WHERE user_id = 'owner'"))) for table in OF_PEOPLE}


def test_a_service_that_takes_everybody_for_the_owner_tells_nothing(world: World, confused: None) -> None:
    before = existing(world.app)
    assert before["chat_messages"]
    for method, rule in [*WITH_IDS, *[key for key in TABLE if key[0] == "GET" and "<" not in key[1]]]:
        if (method, rule) == ("GET", "/auths/me"):
            continue
        answer = world.ask("stranger", method, rule, {name: value for name, value in world.own["owner"].items() if f"<{name}>" in rule})
        assert "of owner" not in answer.text.replace("Echo of owner", ""), (method, rule)
        assert "to owner" not in answer.text, (method, rule)
        if method == "GET" and "<" in rule and "persona" not in rule and "<key_id>" not in rule and not rule.endswith("/export"):
            assert answer.status_code == 404, (rule, answer.text)
    assert existing(world.app) == before


def test_the_owner_is_shown_what_is_hers(world: World, confused: None) -> None:
    """So that the test above cannot hold because nothing is ever shown."""
    assert "Secret of owner" in world.ask("owner", "GET", "/api/v1/chat-sessions", {}).text


@pytest.mark.parametrize("whom", [acting.NOBODY, acting.user("stranger"), acting.user("*"), acting.user(""), "owner", "%", "uowner' OR true --"])
def test_nobody_sees_the_rows_of_somebody_else(world: World, whom: str) -> None:
    with world.app.app_context(), acting.acting_for(whom):
        for table in OF_PEOPLE:
            owners = {row.user_id for row in read(text(f"SELECT DISTINCT user_id FROM {table}"))}
            assert owners <= ({"stranger"} if whom == "ustranger" else set()), table


def test_whoever_says_nothing_sees_nothing(world: World, database_url: str) -> None:
    """As a service has it: `tables.open_to_tests` is what lets tests look."""
    with Raw(database_url) as raw:
        raw.run("SET chatsvc.acts_for = ''")
        assert [raw.one(f"SELECT count(*) FROM {table}") for table in OF_PEOPLE] == [0] * len(OF_PEOPLE)
        raw.run("SET chatsvc.acts_for = 'uowner'")
        assert {row[0] for row in raw.run("SELECT user_id FROM chat_messages")} == {"owner"}
        raw.run("SET chatsvc.acts_for = '*'")
        assert {row[0] for row in raw.run("SELECT user_id FROM chat_messages")} == {"owner", "stranger", "admin"}


def test_every_table_with_an_owner_has_its_wall(database_url: str, app: Flask) -> None:
    with Raw(database_url) as raw:
        owned = {row[0] for row in raw.run("SELECT table_name FROM information_schema.columns WHERE column_name = 'user_id' AND table_schema = 'public'")}
        forced = {row[0] for row in raw.run("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")}
        assert raw.one("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user") is False, "this run would prove nothing"
        assert {row[0] for row in raw.run("SELECT tablename FROM pg_policies")} == forced
    assert owned - forced == OF_NOBODY
    assert forced == set(OF_PEOPLE)


@unit
def _both(tx: Any, session_id: str) -> list[int]:
    """One transaction that acts for several, one after another, and undoes a part of it in between."""
    found = []
    for whom in (acting.user("owner"), acting.user("stranger"), acting.EVERYBODY, acting.NOBODY, acting.user("owner")):
        with acting.acting_for(whom):
            with tx.begin_nested() as part:
                found.append(len(tx.execute(text("SELECT 1 FROM chat_sessions WHERE id = :id"), {"id": session_id}).all()))
                part.rollback()
            found.append(len(read(text("SELECT 1 FROM chat_sessions WHERE id = :id"), {"id": session_id})))
    return found


def test_within_a_transaction_each_statement_says_for_whom_it_is(world: World) -> None:
    with world.app.app_context():
        assert _both(str(world.own["owner"]["session_id"])) == [1, 1, 0, 0, 1, 1, 0, 0, 1, 1]


def test_a_connection_remembers_nobody(world: World) -> None:
    """Whatever it carried out last, and however that ended."""
    with world.app.app_context():
        for whom in (acting.user("owner"), acting.EVERYBODY):
            with acting.acting_for(whom), pytest.raises(NotFound):
                sessions.get("owner", "00000000-0000-4000-8000-000000000000")
            with acting.acting_for(acting.NOBODY), pytest.raises(NotFound):
                sessions.get("owner", str(world.own["owner"]["session_id"]))
            with db.engine.connect() as connection:
                assert connection.exec_driver_sql("SHOW chatsvc.acts_for").scalar_one() == acting.EVERYBODY  # what tests are given


def test_rows_cannot_be_given_to_somebody_else(world: World) -> None:
    given = {"id": world.own["stranger"]["session_id"]}
    with world.app.app_context(), acting.acting_for(acting.user("stranger")), pytest.raises(Exception, match="row-level security"):
        read(text("UPDATE chat_sessions SET user_id = 'owner' WHERE id = :id RETURNING id"), given)


def test_the_cleanup_says_that_it_acts_for_all(world: World) -> None:
    with world.app.app_context():
        rows.run(world.app, "UPDATE chat_sessions SET deleted_at = now() - interval '40 days' WHERE user_id = 'owner'")
        with acting.acting_for(acting.NOBODY):
            assert cleanup.purge().sessions == 1


def test_an_id_that_is_somebody_elses_looks_like_none(world: World) -> None:
    """A client may bring the id of a new session; the wall hides that it is taken."""
    body = {"message": "Hello", "session_id": str(world.own["owner"]["session_id"])}
    for path in ("/api/v1/chat", "/api/v1/chat/stream"):
        assert world.people["stranger"].post(path, json=body).status_code == 404


def test_a_role_that_passes_the_wall_is_told_of(world: World) -> None:
    with world.app.app_context(), db.engine.connect() as connection:
        assert health.wall_missing() is None
        connection.exec_driver_sql("ALTER TABLE chat_sessions NO FORCE ROW LEVEL SECURITY")  # for its owner it is then as for a superuser
        connection.commit()
        try:
            assert "role of its own" in str(health.wall_missing())
        finally:
            connection.exec_driver_sql("ALTER TABLE chat_sessions FORCE ROW LEVEL SECURITY")
            connection.commit()
