"""A reply written by one process and followed in another, through a real Redis that comes and goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from redis import Redis

from chatsvc import create_app
from chatsvc.core import fanout, replies, runtime
from chatsvc.extensions import db
from tests import factories, postgres, quicker, tables
from tests.api.common.redis_server import OwnServer, own_server
from tests.api.v1.streams import CHAT, Event, HandedOut, follow, text_of
from tests.factories import person

BEAT = quicker.SHIPPED_BEAT  # what comes live is told from what is read at each beat
SLOW = 3.0  # a heartbeat that comes so seldom saves nothing while a test looks


@pytest.fixture(scope="module")
def redis_server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def two(redis_server: OwnServer, make_app: Callable[..., Flask], handed: HandedOut, monkeypatch: pytest.MonkeyPatch) -> tuple[Flask, Flask]:
    """Two processes' worth of the service; the first one's responder says what it is handed."""
    monkeypatch.setattr(fanout, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(runtime, "TICK_SECONDS", BEAT)
    here, elsewhere = make_app(REDIS_URL=redis_server.url), make_app(REDIS_URL=redis_server.url)
    here.extensions["chatsvc.responder"] = handed
    here.extensions["chatsvc.runtime"].start()
    time.sleep(BEAT / 2)  # two hearts that beat together would read each piece as soon as it is saved
    elsewhere.extensions["chatsvc.runtime"].start()
    return here, elsewhere


def begun(app: Flask, **rest: str) -> tuple[int, Iterator[Event]]:
    stream = follow(person(app, "owner"), json={"message": "Hello", **rest})
    return next(stream).data["reply_id"], stream


def taken_up(app: Flask, reply_id: int, offset: int = 0) -> Iterator[Event]:
    return follow(person(app, "owner"), f"{CHAT}/stream/{reply_id}", "GET", headers={"Last-Event-ID": str(offset)})


def followed(app: Flask, reply_id: int, said: HandedOut, server: OwnServer) -> Iterator[Event]:
    """A reply taken up elsewhere, once its first words, "So: ", have come and Redis is listened to."""
    said.say("So: ")
    stream = taken_up(app, reply_id)
    heard_by(server)
    assert next_text(stream, 4) == "So: "
    return stream


def heard_by(server: OwnServer, seconds: float = 30) -> None:
    """Until somebody listens to a reply."""
    until = time.monotonic() + seconds
    with Redis.from_url(server.url) as client:
        while not [name for name in client.pubsub_channels(f"{fanout.CHANNEL}*") if not name.endswith(b"none")]:
            assert time.monotonic() < until
            time.sleep(0.02)


def saved(app: Flask, reply_id: int) -> str:
    with app.app_context():
        return "".join(chunk.text for chunk in replies.chunks([reply_id]))


def next_text(stream: Iterator[Event], length: int) -> str:
    """The next piece of so many characters, however it is cut."""
    found = ""
    while len(found) < length:
        found += next(stream).data["content"]
    return found


def test_a_follower_elsewhere_hears_what_has_not_been_saved_yet(
    two: tuple[Flask, Flask], redis_server: OwnServer, handed: HandedOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = two
    reply_id, stream = begun(here)
    other = followed(elsewhere, reply_id, handed, redis_server)
    monkeypatch.setattr(runtime, "TICK_SECONDS", SLOW)
    time.sleep(0.5)  # the tick under way
    for word in ("Not ", "saved ", "yet"):
        handed.say(word)
        began = time.monotonic()
        assert next_text(other, len(word)) == word
        assert time.monotonic() - began < 0.5
    assert saved(here, reply_id) == "So: "
    monkeypatch.setattr(runtime, "TICK_SECONDS", BEAT)
    handed.say(None)
    assert [event.name for event in other] == ["done"]
    assert text_of(list(stream)) == "So: Not saved yet"


def test_one_who_comes_late_to_a_reply_that_never_pauses_hears_it_live(two: tuple[Flask, Flask], handed: HandedOut) -> None:
    here, elsewhere = two
    reply_id, stream = begun(here)
    came: list[float] = []
    with talking(handed):
        next_text(stream, 100)
        other = taken_up(elsewhere, reply_id)
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            next(other)
            came.append(time.monotonic() - began)
    handed.say(None)
    assert [event.name for event in other][-1] == "done"
    live = [moment for moment in came if moment > 1.5]
    assert len(live) > 8, came  # the rows alone give two or three


@contextmanager
def talking(handed: HandedOut) -> Iterator[None]:
    """A word each 20 ms, without a pause that a poll could use to catch up."""
    done = threading.Event()

    def talk() -> None:
        while not done.wait(0.02):
            handed.say("word ")

    speaker = threading.Thread(target=talk)
    speaker.start()
    yield
    done.set()
    speaker.join()


@pytest.mark.parametrize("way", ["stopped", "hung"])
def test_without_redis_in_mid_stream_nothing_is_lost_nor_doubled(
    two: tuple[Flask, Flask], redis_server: OwnServer, handed: HandedOut, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    here, elsewhere = two
    reply_id, stream = begun(here)
    other = followed(elsewhere, reply_id, handed, redis_server)
    handed.say("With it, ")
    assert next_text(other, 9) == "With it, "
    redis_server.stop() if way == "stopped" else redis_server.hang()
    try:
        for word in ("without ", "it, "):
            handed.say(word)
            assert next_text(other, len(word)) == word
    finally:
        redis_server.start() if way == "stopped" else redis_server.go_on()
    heard_by(redis_server)
    handed.say("again.")
    assert next_text(other, 6) == "again."
    handed.say(None)
    whole = "So: With it, without it, again."
    last = list(other)
    assert [event.name for event in last] == ["done"]
    assert (last[0].data["assistant_message"]["content"], last[0].id) == (whole, len(whole))
    assert text_of(list(stream)) == whole


def test_what_is_none_of_ours_is_not_listened_to(two: tuple[Flask, Flask], redis_server: OwnServer, handed: HandedOut) -> None:
    here, elsewhere = two
    reply_id, stream = begun(here)
    other = followed(elsewhere, reply_id, handed, redis_server)
    with Redis.from_url(redis_server.url) as client:
        for name in client.pubsub_channels(f"{fanout.CHANNEL}*"):
            for nonsense in (b"", b"\xff", b"{}", b"[]", b"[0]", b'["0", "x"]', b"[0, 1]", b"[-1, null]", b"[1e99, 2]"):
                client.publish(name, nonsense)
    handed.say("Heard")
    assert next_text(other, 5) == "Heard"
    handed.say(None)
    assert text_of(list(stream)) == "So: Heard"


@pytest.fixture
def strangers_app(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest, redis_server: OwnServer) -> Iterator[Callable[..., Flask]]:
    """Makes services with databases of their own, whose replies are numbered alike."""
    made: list[Flask] = []
    databases = []

    def make(url: str = "") -> Flask:
        if url:
            pass
        elif engine_name == "sqlite":
            url = f"sqlite:///{tmp_path / f'own{len(made)}.db'}"
        else:
            databases.append(postgres.new_database(request.getfixturevalue("server")))
            url = databases[-1].__enter__()
        app = tables.open_to_tests(create_app(factories.settings(url, REDIS_URL=redis_server.url)))
        with app.app_context():
            upgrade()
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["chatsvc.runtime"].stop(wait=True)
        with app.app_context():
            db.engine.dispose()
    for database in databases:
        database.__exit__(None, None, None)


def test_two_services_that_share_a_redis_hear_nothing_of_each_other(strangers_app: Callable[..., Flask], redis_server: OwnServer) -> None:
    theirs, ours = strangers_app(), strangers_app()
    said = {}
    for app in (theirs, ours):
        app.extensions["chatsvc.responder"] = said[app] = HandedOut()
    elsewhere = strangers_app(ours.extensions["chatsvc.settings"].database_url)
    (their_id, their_stream), (our_id, our_stream) = begun(theirs), begun(ours)
    assert their_id == our_id
    other = followed(elsewhere, our_id, said[ours], redis_server)
    said[theirs].say("A secret of theirs")
    time.sleep(0.5)
    said[ours].say("Ours")
    assert next_text(other, 4) == "Ours"
    for app in (theirs, ours):
        said[app].say(None)
    assert [event.name for event in other] == ["done"]
    assert (text_of(list(our_stream)), text_of(list(their_stream))) == ("So: Ours", "A secret of theirs")
