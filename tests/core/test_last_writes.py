"""Who has written a moment ago, as several processes know it by one Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from chatsvc.core import last_writes, replies, turns
from chatsvc.core.last_writes import BORN, VOUCHED, LastWrites
from chatsvc.core.models import ChatMessage
from tests.api.common.redis_server import OwnServer, own_server
from tests.api.v1 import rows
from tests.factories import unknown_id


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    with own_server() as found:
        yield found


@pytest.fixture
def redis(own: OwnServer, monkeypatch: pytest.MonkeyPatch) -> OwnServer:
    """One that has been there for long, and that nobody has told anything."""
    monkeypatch.setattr(LastWrites, "anywhere", False)  # the other tests of this process keep none
    with Redis.from_url(own.url) as client:
        client.flushall()
        client.mset({BORN: "long ago", VOUCHED: "long ago"})
    return own


def test_what_one_process_has_seen_all_know(redis: OwnServer) -> None:
    here, there = LastWrites(redis.url), LastWrites(redis.url)
    assert not there.lately("uowner")
    here.note("uowner")
    assert here.lately("uowner")
    assert there.lately("uowner")
    assert not there.lately("ustranger")


def test_it_is_known_for_some_seconds_after_the_last_of_many(redis: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_writes, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(last_writes, "KEEP_SECONDS", 0.4)
    monkeypatch.setattr(last_writes, "LIVES_SECONDS", 0.6)
    here, there = LastWrites(redis.url), LastWrites(redis.url)
    for _ in range(8):
        here.note("uowner")
        time.sleep(0.1)
        assert there.lately("uowner")
    time.sleep(0.25)
    assert there.lately("uowner"), "a little more than a third of a second after the last write"
    time.sleep(0.4)
    assert not there.lately("uowner")
    assert not here.lately("uowner")


def test_redis_is_told_of_somebody_once_a_second(redis: OwnServer) -> None:
    here = LastWrites(redis.url)
    with Redis.from_url(redis.url) as client:
        before = client.info("commandstats").get("cmdstat_set", {}).get("calls", 0)
        for _ in range(50):
            here.note("uowner")
        assert client.info("commandstats")["cmdstat_set"]["calls"] == before + 1


def test_a_redis_that_was_emptied_knows_nobody_and_is_not_believed(redis: OwnServer) -> None:
    here, there = LastWrites(redis.url), LastWrites(redis.url)
    here.note("uowner")
    with Redis.from_url(redis.url) as client:
        client.flushall()
        assert there.lately("uowner")
        assert there.lately("ustranger")


def test_it_is_vouched_for_once_it_has_been_the_same_for_as_long_as_marks_live(redis: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_writes, "LIVES_SECONDS", 0.3)
    here, there = LastWrites(redis.url), LastWrites(redis.url)
    with Redis.from_url(redis.url) as client:
        for _ in range(3):
            client.flushall()
            for _ in range(2):
                here.vouch()
                time.sleep(0.1)
                assert here.lately("ustranger"), "it was emptied less than 0.3 s ago"
        time.sleep(0.2)
        here.vouch()
        assert not here.lately("ustranger")
        assert not there.lately("ustranger")
        client.set(BORN, "another")
        assert there.lately("ustranger"), "emptied, and named anew by somebody"


def test_while_redis_is_away_everybody_has_written_and_it_is_told_afterwards(
    redis: OwnServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(last_writes, "REST_SECONDS", 0.0)
    here, there = LastWrites(redis.url), LastWrites(redis.url)
    redis.stop()
    with caplog.at_level(logging.WARNING):
        here.note("uowner")
        assert here.lately("ustranger")
        assert there.lately("ustranger")
    assert sum("Redis does not answer" in line for line in caplog.messages) == 2, "one of each process"
    redis.start()
    with Redis.from_url(redis.url) as client:
        client.mset({BORN: "long ago", VOUCHED: "long ago"})
    assert not there.lately("uowner")
    here.tell_again()
    assert there.lately("uowner")


def test_a_redis_that_hangs_holds_nobody_up_for_long(redis: OwnServer) -> None:
    here = LastWrites(redis.url)
    redis.hang()
    try:
        began = time.monotonic()
        for number in range(20):
            here.note(f"u{number}")
            assert here.lately("ustranger")
        assert time.monotonic() - began < 2
    finally:
        redis.go_on()


def test_whoever_is_told_that_a_reply_has_ended_finds_its_end_in_what_they_read_next(context: Flask, redis: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    here = LastWrites(redis.url)
    monkeypatch.setitem(context.extensions, "chatsvc.last_writes", here)
    told = {user: turns.begin(user, worker_id=unknown_id(), session_id=None, message="Hello") for user in ("owner", "stranger", "somebody")}
    end = update(ChatMessage).where(ChatMessage.id == told["stranger"].reply.id).values(status="complete")
    rows.run(context, end)  # by another process
    found = {row.user_id: row.status for row in replies.states([turn.reply.id for turn in told.values()])}
    assert found == {"owner": "streaming", "stranger": "complete", "somebody": "streaming"}
    assert replies.end_abandoned(told["somebody"].reply.id) is not None
    assert [here.lately(f"u{user}") for user in told] == [False, True, True]


def test_without_a_replica_nobody_keeps_it(app: Flask) -> None:
    assert app.extensions["chatsvc.last_writes"] is None
    assert app.extensions["chatsvc.replica"] is None
