"""Reads that may be a moment old, with a real replica that follows by streaming. It is told to wait, and so shows what it was asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from sqlalchemy import text

from chatsvc.api.common.caller import checked
from chatsvc.core import acting, replica, sessions, tokens
from chatsvc.core.database import unit
from chatsvc.core.last_writes import BORN, VOUCHED, LastWrites
from chatsvc.core.replica import read_any
from chatsvc.extensions import db
from tests import factories
from tests.api.common.redis_server import OwnServer, own_server
from tests.conftest import close, watched
from tests.factories import Person
from tests.faults.cluster import Cluster, Replica, own_cluster

pytestmark = pytest.mark.long
LISTS = (
    "/api/v1/chat-sessions",
    "/chat/sessions",
    "/api/chat-sessions",
    "/api/v1/chat/sessions",
    "/api/v1/chat-sessions/stats/user",
    "/api/chat-sessions/stats",
)
EVERYBODYS = text("SELECT user_id FROM chat_sessions")


@dataclass
class Setting:
    """Two services that read from the replica, as on two machines, and one that knows nothing of it."""

    primary: Cluster
    replica: Replica
    redis: OwnServer
    here: Flask
    there: Flask
    elsewhere: Flask

    def look(self) -> None:
        """As they do by themselves, twice a second: once they know how far the primary is, they see that the replica has come as far."""
        for _ in range(2):
            self.replica.has_caught_up()
            for app in (self.here, self.there):
                app.extensions["chatsvc.replica"].look()

    @contextmanager
    def stands_still(self) -> Iterator[None]:
        """The replica shows what it has, and no more."""
        self.look()
        self.replica.ask("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            self.replica.ask("SELECT pg_wal_replay_resume()")


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with own_server() as redis, own_cluster() as primary:
        url = primary.new_database()
        with primary.replica() as copy:
            beside = url.replace(f":{primary.port}/", f":{copy.port}/")
            given = {"DATABASE_REPLICA_URL": beside, "REDIS_URL": redis.url}
            apps = [watched(factories.settings(url, **more)) for more in (given, given, {})]
            with apps[0].app_context():
                upgrade()
            yield Setting(primary, copy, redis, *apps)
            for app in apps:
                close(app)
    LastWrites.anywhere = False  # the other tests of this process keep none


@pytest.fixture
def pair(setting: Setting) -> Setting:
    with Redis.from_url(setting.redis.url) as client:
        client.mset({BORN: "long ago", VOUCHED: "long ago"})
    return setting


@pytest.fixture
def name() -> str:
    """Somebody of this test's own, who has not written yet."""
    return f"owner-{factories.unknown_id()}"


def revoke(app: Flask, person: Person) -> None:
    """As another process does it: nothing in this one hears of it."""
    with app.app_context():
        token = checked(person.token)
        tokens.revoke(token.user_id, token.token_id, expires_at=datetime.now(UTC) + timedelta(hours=1))


def titles(person: Person) -> set[str]:
    response = person.get("/api/v1/chat-sessions?page_size=100")
    assert response.status_code == 200, response.text
    found: Any = response.json
    return {session["title"] for session in found["sessions"]}


def test_what_may_be_a_moment_old_comes_from_the_replica(pair: Setting, name: str) -> None:
    unseen = factories.person(pair.elsewhere, name)
    first = unseen.session(title="First")["id"]
    with pair.stands_still():
        unseen.session(title="Second")
        unseen.message(first, "Said behind its back")
        assert titles(unseen) == {"First", "Second"}
        assert titles(factories.person(pair.here, name)) == {"First"}
        person = factories.person(pair.here, name)
        read: Any = person.get(f"/api/v1/chat-sessions/{first}").json
        assert read["messages"] == []
        told: Any = person.get(f"/api/v1/chat-sessions/{first}/messages").json
        assert told["total"] == 0


@pytest.mark.parametrize("path", LISTS)
def test_lists_and_figures_do(pair: Setting, name: str, path: str) -> None:
    unseen = factories.person(pair.elsewhere, name)
    unseen.session(title="First", agent_type=None)
    with pair.stands_still():
        before = factories.person(pair.here, name).get(path).data
        unseen.session(title="Second", agent_type=None)
        assert factories.person(pair.here, name).get(path).data == before
        assert unseen.get(path).data != before


def test_who_has_written_sees_it_at_once_wherever_they_ask(pair: Setting, name: str) -> None:
    factories.person(pair.elsewhere, name).session(title="First")
    with pair.stands_still():
        made = factories.person(pair.here, name).session(title="Second")["id"]
        for app in (pair.here, pair.there):
            person = factories.person(app, name)
            assert titles(person) == {"First", "Second"}
            assert person.get(f"/api/v1/chat-sessions/{made}").status_code == 200
        factories.person(pair.there, name).message(made, "Said there")
        said: Any = factories.person(pair.here, name).get(f"/api/v1/chat-sessions/{made}/messages").json
        assert [message["content"] for message in said["messages"]] == ["Said there"]
        assert titles(factories.person(pair.here, f"{name}-2")) == set(), "others go on with the replica"


def test_an_admin_who_looks_at_somebody_reads_from_the_replica_and_sees_what_they_did_there(pair: Setting, name: str) -> None:
    unseen = factories.person(pair.elsewhere, name)
    unseen.session(title="First")
    admin = factories.person(pair.here, f"{name}-admin", role="ADMIN")
    path = f"/api/v1/chat/sessions?user_id={name}"
    with pair.stands_still():
        unseen.session(title="Second")
        shown: Any = admin.get(path).json
        assert shown["total"] == 1
        factories.person(pair.there, name).session(title="Third")
        shown = admin.get(path).json
        assert shown["total"] == 3


def test_a_token_that_was_revoked_a_moment_ago_is_refused(pair: Setting, name: str) -> None:
    owner = factories.person(pair.here, name)
    with pair.stands_still():
        assert owner.get("/api/v1/chat-sessions").status_code == 200
        revoke(pair.elsewhere, owner)
        for path in (*LISTS, f"/api/v1/chat-sessions/{factories.unknown_id()}", f"/api/chat-sessions/{factories.unknown_id()}/messages"):
            assert owner.get(path).status_code == 401, path


def test_the_replica_holds_back_rows_of_others_by_itself(pair: Setting, name: str) -> None:
    factories.person(pair.elsewhere, name).session()
    pair.look()
    with pair.here.app_context():
        for whom, seen in ((acting.user(name), {name}), (acting.user(f"{name}-2"), set[str]())):
            with acting.acting_for(whom), asked_of(pair.here) as asked:
                assert {row.user_id for row in read_any(EVERYBODYS)} == seen
                assert asked == [1]
        found = pair.here.extensions["chatsvc.replica"]
        assert found.read(EVERYBODYS, None) == [], "who says nothing sees nothing"


@contextmanager
def asked_of(app: Flask) -> Iterator[list[int]]:
    """How many statements the replica was sent."""
    found, amount = app.extensions["chatsvc.replica"], [0]
    read = found.read

    def counted(*given: Any) -> Any:
        amount[0] += 1
        return read(*given)

    with patch.object(found, "read", counted):
        yield amount


def test_nothing_within_a_write_is_read_there(pair: Setting, name: str) -> None:
    made = factories.person(pair.elsewhere, name).session()["id"]
    pair.look()

    @unit
    def within(tx: Any) -> str:
        return str(sessions.get(name, made).id)

    with pair.here.app_context(), acting.acting_for(acting.user(name)), asked_of(pair.here) as asked:
        assert within() == made
        assert asked == [0]


def behind(pair: Setting) -> None:
    pair.here.extensions["chatsvc.replica"].look()
    time.sleep(0.4)


def test_one_that_falls_behind_is_not_asked_and_the_log_says_so(
    pair: Setting, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replica, "BEHIND_SECONDS", 0.3)
    unseen = factories.person(pair.elsewhere, name)
    with caplog.at_level(logging.WARNING), pair.stands_still():
        unseen.session(title="Second")
        behind(pair)
        assert titles(factories.person(pair.here, name)) == {"Second"}
        assert [line for line in caplog.messages if "it is behind" in line]
        caplog.clear()
    pair.look()
    assert [line for line in caplog.messages if "the replica is as new as it should be" in line]


def test_one_that_does_nothing_while_nobody_writes_is_fresh(pair: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.look()
    time.sleep(0.4)
    monkeypatch.setattr(replica, "BEHIND_SECONDS", 0.3)
    found = pair.here.extensions["chatsvc.replica"]
    assert not found.is_fresh(), "nobody has looked for longer"
    found.look()
    assert found.is_fresh()


def test_one_that_goes_away_is_noticed_by_the_log_alone(pair: Setting, name: str, caplog: pytest.LogCaptureFixture) -> None:
    factories.person(pair.elsewhere, name).session(title="First")
    pair.look()
    owner = factories.person(pair.here, name)
    assert titles(owner) == {"First"}
    pair.replica.kill()
    with caplog.at_level(logging.WARNING):
        assert [titles(owner) for _ in range(20)] == [{"First"}] * 20
        pair.here.extensions["chatsvc.replica"].look()
    assert sum("it does not answer" in line for line in caplog.messages) == 1
    pair.replica.start()
    pair.look()
    with asked_of(pair.here) as asked:
        assert titles(owner) == {"First"}
        assert asked == [1]


def test_what_it_does_not_know_yet_is_read_from_the_primary(pair: Setting, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A migration that it has not replayed, for one."""
    with pair.stands_still(), pair.elsewhere.app_context():
        with db.engine.begin() as connection:
            connection.execute(text("CREATE TABLE of_later AS SELECT 7 AS found"))
        with pair.here.app_context(), acting.acting_for(acting.user(name)), caplog.at_level(logging.WARNING), asked_of(pair.here) as asked:
            assert read_any(text("SELECT found FROM of_later"))[0].found == 7
            assert asked == [1]
    assert [line for line in caplog.messages if "the replica refused a read (42P01)" in line]
    assert titles(factories.person(pair.here, name)) == set()


def test_without_redis_nobody_knows_who_has_written_and_the_primary_is_asked(pair: Setting, name: str) -> None:
    unseen = factories.person(pair.elsewhere, name)
    with pair.stands_still():
        unseen.session(title="Second")
        pair.redis.stop()
        try:
            assert titles(factories.person(pair.here, name)) == {"Second"}
        finally:
            pair.redis.start()


def test_a_server_that_follows_nobody_is_no_replica(pair: Setting, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """One that was promoted: whatever it holds by then, it is not what the primary holds."""
    url = pair.here.extensions["chatsvc.settings"].database_url
    app = watched(factories.settings(url, DATABASE_REPLICA_URL=url, REDIS_URL=pair.redis.url))
    found = app.extensions["chatsvc.replica"]
    with caplog.at_level(logging.WARNING):
        found.look()
        found.look()
    assert not found.is_fresh()
    assert sum("it follows no primary" in line for line in caplog.messages) == 1
    close(app)


def test_a_primary_that_does_not_say_how_far_it_has_come_leaves_the_replica_unread(pair: Setting, caplog: pytest.LogCaptureFixture) -> None:
    """One that is a replica itself, where somebody has mixed up the two addresses."""
    settings = pair.here.extensions["chatsvc.settings"]
    app = watched(factories.settings(settings.database_replica_url, DATABASE_REPLICA_URL=settings.database_replica_url, REDIS_URL=pair.redis.url))
    found = app.extensions["chatsvc.replica"]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found.look()
    assert not found.is_fresh()
    assert sum("the primary does not say how far it has come" in line for line in caplog.messages) == 1
    close(app)


def test_it_looks_by_itself_once_it_was_started(pair: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    settings = pair.here.extensions["chatsvc.settings"]
    app = watched(factories.settings(settings.database_url, DATABASE_REPLICA_URL=settings.database_replica_url, REDIS_URL=settings.redis_url))
    found = app.extensions["chatsvc.replica"]
    look: Callable[[], None] = found.look

    def noted() -> None:
        look()
        looked.append(time.monotonic())

    monkeypatch.setattr(found, "look", noted)
    found.start()
    until = time.monotonic() + 30
    while len(looked) < 3:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert found.is_fresh()
    found.stop()
    amount = len(looked)
    time.sleep(3 * replica.LOOK_SECONDS)
    assert len(looked) <= amount + 1
    close(app)
