"""A model that misbehaves, asked by the service as `flask serve` starts it: threads on SQLite, greenlets on PostgreSQL."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.streams import free_port, served, token
from tests.api.v1.streams import CHAT
from tests.api.v1.test_chat_upstreams import ENDLESS, HALF, LONG_LINE, LONG_TEXT
from tests.faults.kill_streams import workers_of
from tests.responders.upstream import Script, Upstream, chunk, completion, in_pieces, running, stall


@dataclass
class Service:
    port: int
    pid: int
    upstream: Upstream

    def ask(self, path: str, user: str = "owner", **body: Any) -> tuple[int, str]:
        """Status and text of an answer, once it is there to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token(user)}", "Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        try:
            return response.status, response.read().decode()
        finally:
            connection.close()

    def resident(self) -> float:
        """Megabytes that the worker holds."""
        (worker,) = workers_of(self.pid)
        return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.fixture
def service(empty_database: str) -> Iterator[Service]:
    with running() as upstream:
        port = free_port()
        settings = {
            "DATABASE_URL": empty_database,
            "WEB_CONCURRENCY": "1",
            "CHAT_RESPONDER": "openai",
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "OPENAI_MODEL": "parrot",
            "CHAT_FIRST_BYTE_TIMEOUT": "2",
            "CHAT_IDLE_TIMEOUT": "2",
            "LOG_LEVEL": "error",
        }
        with served(port, **settings) as pid:
            yield Service(port, pid, upstream)


@contextmanager
def growth(service: Service) -> Iterator[list[float]]:
    """By how many megabytes the worker grew at most; one figure once it is over."""
    before, highest, done = service.resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], service.resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield highest
    done.set()
    watcher.join()


GOOD: Script = lambda caller: caller.stream(completion("Ferns"))  # noqa: E731
FLOODS = ((ENDLESS, HALF), (LONG_LINE, HALF), (LONG_TEXT, (HALF + "z" * 200_000)[:200_000]))
AT_ONCE = 50


@pytest.mark.long
def test_no_flood_makes_the_worker_grow_and_no_silence_holds_it_up(service: Service) -> None:
    service.upstream.script = GOOD
    assert service.ask(CHAT, message="Hello")[0] == 200
    for flood, text in FLOODS:
        service.upstream.script = flood
        for path, expected in ((CHAT, 502), (f"{CHAT}/stream", 200)):
            with growth(service) as grown:
                status, said = service.ask(path, message="Hello")
            assert grown[0] < 64
            assert (status, text in said, '"failed"' in said) == (expected, True, True)
    all_of_them_are_answered_in_time_and_reads_at_once(service)
    service.upstream.script = GOOD
    assert service.ask(CHAT, message="And now?")[0] == 200


def all_of_them_are_answered_in_time_and_reads_at_once(service: Service) -> None:
    service.upstream.script = in_pieces(chunk(HALF), then=stall)
    service.upstream.requests.clear()
    answers: list[tuple[int, str]] = []
    threads = [threading.Thread(target=lambda number=number: answers.append(service.ask(CHAT, f"user{number}", message="Hello"))) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    ends_at = time.monotonic() + 60
    while len(service.upstream.requests) < AT_ONCE:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    began = time.monotonic()
    assert service.ask("/api/v1/chat-sessions")[0] == 200
    assert time.monotonic() - began < 0.5  # while all of them wait for two seconds
    for thread in threads:
        thread.join(60)
    assert [status for status, _ in answers] == [504] * AT_ONCE
    assert all(json.loads(said)["assistant_message"]["content"] == HALF for _, said in answers)
