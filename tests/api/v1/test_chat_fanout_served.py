"""A reply followed on another process of the service as shipped, while Redis goes and comes back."""

from __future__ import annotations

import http.client
import json
import threading
import time
from bisect import bisect_left
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from bench.streams import free_port, served, token
from tests.api.common.redis_server import own_server

WORDS = " ".join(f"word{number}" for number in range(100))
HEADERS = {"Authorization": f"Bearer {token('owner')}", "Content-Type": "application/json"}


@dataclass
class Follower:
    """One client, with the moment at which each character had come."""

    port: int
    text: str = ""
    came: list[tuple[int, float]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    reply_id: int = 0

    def follow(self, method: str, path: str, body: str | None = None) -> threading.Thread:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, HEADERS)
        reader = threading.Thread(target=self._read, args=(connection,))
        reader.start()
        return reader

    def _read(self, connection: http.client.HTTPConnection) -> None:
        response = connection.getresponse()
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                self.names.append(value)
            elif name == "data":
                told = json.loads(value)
                self.reply_id = told.get("reply_id", self.reply_id)
                if self.names[-1] == "delta":
                    self.text += told["content"]
                    self.came.append((len(self.text), time.monotonic()))
        connection.close()

    def until(self, length: int) -> None:
        ends_at = time.monotonic() + 30
        while len(self.text) < length:
            assert time.monotonic() < ends_at
            time.sleep(0.01)

    def had(self, length: int) -> float:
        """When it had so many characters."""
        return self.came[bisect_left(self.came, (length, 0.0))][1]


def behind(first: Follower, second: Follower, since: int, upto: int) -> float:
    """By how much the second was later than the first, in the middle."""
    late = sorted(second.had(length) - moment for length, moment in first.came if since < length <= upto)
    return late[len(late) // 2]


@pytest.mark.long
def test_two_processes_tell_the_same_with_redis_without_it_and_with_it_again(empty_database: str) -> None:
    settings = {"DATABASE_URL": empty_database, "WEB_CONCURRENCY": "1", "CHAT_ECHO_DELAY_MS": "60", "LOG_LEVEL": "error"}
    with own_server() as redis, ExitStack() as stack:
        here, elsewhere = (Follower(free_port()) for _ in range(2))
        for one in (here, elsewhere):
            stack.enter_context(served(one.port, REDIS_URL=redis.url, **settings))
        readers = [here.follow("POST", "/api/v1/chat/stream", json.dumps({"message": WORDS}))]
        here.until(1)
        readers.append(elsewhere.follow("GET", f"/api/v1/chat/stream/{here.reply_id}"))
        here.until(250)
        redis.stop()
        stopped_at = len(here.text)
        here.until(450)
        redis.start()
        for reader in readers:
            reader.join(30)
    assert (here.text, elsewhere.text) == (WORDS, WORDS)
    assert (here.names[-1], elsewhere.names[-1], elsewhere.names.count("done")) == ("done", "done", 1)
    assert behind(here, elsewhere, 100, stopped_at - 20) < 0.15  # the rows alone: 0.4 and more
