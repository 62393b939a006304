"""Replies that wait for a model hold no connection, however many they are, and nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import QueuePool

from chatsvc.core import runtime
from chatsvc.extensions import db
from tests import quicker
from tests.api.v1 import rows
from tests.factories import Person, person
from tests.responders.upstream import Upstream, running, stall

AT_ONCE = 60  # nearly four times what the pool has


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as server:
        server.script = lambda caller: stall(caller, 60)
        yield server


@pytest.fixture
def hung(make_app: Callable[..., Flask], upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The product, with a model that takes every question and answers none."""
    monkeypatch.setattr(runtime, "TICK_SECONDS", quicker.SHIPPED_BEAT)  # how often a connection is in use is what we look at
    address = {"OPENAI_BASE_URL": upstream.url, "OPENAI_MODEL": "parrot"}
    return make_app(CHAT_RESPONDER="openai", CHAT_REPLY_TIMEOUT="60", CHAT_STREAMS_PER_WORKER="100", **address)


@contextmanager
def sends(app: Flask, upstream: Upstream) -> Iterator[list[str]]:
    """So many sends that wait for their replies, whole or as they are written; what they were told, once they are no longer waited for."""
    answers: list[str] = []
    threads = [threading.Thread(target=lambda number=number: answers.append(ask(person(app, f"user{number}"), number))) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 60
        while len(upstream.requests) < AT_ONCE:
            assert time.monotonic() < until
            time.sleep(0.01)
        yield answers
    finally:
        app.extensions["chatsvc.runtime"].stop()
        for thread in threads:
            thread.join(60)


def ask(who: Person, number: int) -> str:
    return who.post("/api/v1/chat/stream" if number % 2 else "/api/v1/chat", json={"message": "Hello"}).text


def test_a_reply_that_waits_holds_no_connection(hung: Flask, upstream: Upstream) -> None:
    with hung.app_context():
        pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    with sends(hung, upstream) as answers:
        held = []
        for _ in range(200):
            held.append(pool.checkedout())
            time.sleep(0.005)
        assert answers == []
        assert max(held) <= 1  # the heartbeat's
        assert held.count(0) > 150
        assert pool.size() < AT_ONCE
        who = person(hung, "owner")
        began = time.monotonic()
        for _ in range(20):
            who.message(who.session(agent_type=None)["id"])
            assert who.get("/api/v1/chat-sessions").status_code == 200
        assert time.monotonic() - began < 5
    assert [said for said in answers if "The service was interrupted" not in said] == []
    assert len(answers) == AT_ONCE
    assert rows.breaches(hung) == []
