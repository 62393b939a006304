"""A database that is there and does not answer: everybody is told so in time, once, and those who ask again and again take nothing from the others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatsvc.core import health, patience
from chatsvc.extensions import db
from config import ROOT
from tests import factories
from tests.factories import Person, person

NOWHERE = "7d1f0c1e-3f0a-4c0e-9b5e-0a4f6a1d2b3c"

GREENLETS = """
import sys, time
from gevent import monkey; monkey.patch_all()
import gevent
from chatsvc.core import patience
from psycopg2 import connect
patience.CONNECT_SECONDS = patience.ANSWER_SECONDS = 1
patience.install()
began, beats = time.monotonic(), []
def beat():
    while True:
        beats.append(time.monotonic()); gevent.sleep(0.05)
gevent.spawn(beat)
try:
    connect(sys.argv[1])
except patience.Silent as error:
    print(f"{time.monotonic() - began:.1f} {len(beats) > 5} {error}")
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/nothing"


def test_a_greenlet_gives_up_on_a_server_that_says_nothing_and_the_others_run_meanwhile(silent: str) -> None:
    environ = {**os.environ, "JWT_SECRET_KEY": factories.SECRET}
    done = subprocess.run([sys.executable, "-c", GREENLETS, silent], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=150, check=False)
    seconds, others_ran, told = done.stdout.split(maxsplit=2)
    assert (others_ran, "no answer within 1 s" in told) == ("True", True)
    assert 1 <= float(seconds) < 30


@pytest.fixture
def exhausted(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Person]:
    """Somebody known to the service, all of whose connections are held; nobody waits for one as long as they would otherwise."""
    app = make_app()
    known = person(app, "owner")
    assert known.get("/api/v1/chat-sessions").status_code == 200
    with app.app_context(), ExitStack() as held:
        monkeypatch.setattr(db.engine.pool, "_timeout", 0.3)
        monkeypatch.setattr(db.engine.pool, "_do_get", counted(db.engine.pool._do_get))
        for _ in range(16):
            held.enter_context(db.engine.connect())
        caplog.clear()
        in_vain.clear()
        yield known


in_vain: list[str] = []


def counted(get: Callable[[], Any]) -> Callable[[], Any]:
    """Notes each wait for a connection that was in vain."""

    def noting() -> Any:
        try:
            return get()
        except PoolTimeout as error:
            in_vain.append(str(error))
            raise

    return noting


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/chat-sessions", None),
        ("POST", "/api/v1/chat-sessions", {}),
        ("POST", f"/api/v1/chat-sessions/{NOWHERE}/messages", {"content": "Hello", "message_type": "user"}),
        ("GET", f"/chat/sessions/{NOWHERE}/messages", None),
    ],
)
def test_nobody_waits_twice_for_a_connection(exhausted: Person, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any) -> None:
    response = exhausted.call(method, path, json=body)
    assert (response.status_code, response.headers["Retry-After"], len(in_vain)) == (503, "2", 1)
    assert [record.getMessage() for record in caplog.records] == [patience.NO_CONNECTION]


def test_whoever_asks_again_whether_the_service_is_ready_takes_nothing_from_the_others(
    exhausted: Person, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    with ThreadPoolExecutor(8) as probes:
        answers = list(probes.map(lambda _: exhausted.client.application.test_client().get("/readyz"), range(8)))
    assert {answer.status_code for answer in answers} == {503}
    told = Counter((answer.json or {})["checks"]["database"] for answer in answers)
    assert (len(in_vain), told["The database is busy"]) == (1, 1)


def test_whoever_has_waited_for_a_connection_waits_so_much_less_for_a_lock(make_app: Callable[..., Flask], engine_name: str) -> None:
    if engine_name == "sqlite":
        pytest.skip("its writers queue for one lock, and readers for none")
    app = make_app()
    who = person(app, "owner")
    session_id = who.session()["id"]
    who.message(session_id)
    with app.app_context(), ExitStack() as held, ThreadPoolExecutor(2) as clients:
        locked = held.enter_context(db.engine.connect())
        locked.execute(text("LOCK TABLE chat_messages IN ACCESS EXCLUSIVE MODE"))
        others = [db.engine.connect() for _ in range(15)]
        began = time.monotonic()
        asked = [
            clients.submit(who.post, f"/api/v1/chat-sessions/{session_id}/messages", {"content": "Hello", "message_type": "user"}, headers=headers)
            for headers in ({}, {"Idempotency-Key": "key"})
        ]
        time.sleep(2)
        for other in others:
            other.close()
        statuses = [answer.result().status_code for answer in asked]
        took = time.monotonic() - began
    assert statuses == [503, 503]
    assert took < 4.5, "two seconds for a connection leave one for the lock"
