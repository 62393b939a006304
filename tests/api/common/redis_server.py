"""A real Redis for the tests: TEST_REDIS_URL, else a `redis-server` found on PATH and started on a free port, else none."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import RedisError

NONE = "No Redis could be had: set TEST_REDIS_URL, or install redis-server. What this test promises was NOT checked."
NOT_OURS = "This test stops and hangs a Redis, so it needs a redis-server on PATH; TEST_REDIS_URL is not enough. What it promises was NOT checked."


class OwnServer:
    """A Redis of this test's own, that may be stopped, hung and started again."""

    def __init__(self, binary: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.binary = binary
        self.url = f"redis://127.0.0.1:{self.port}/1"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with Redis.from_url(self.url) as client:
            for _ in range(200):
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def own_server() -> Iterator[OwnServer]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip(NOT_OURS if os.environ.get("TEST_REDIS_URL") else NONE)
    server = OwnServer(binary)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def any_server() -> Iterator[str]:
    """The URL of a Redis to count in."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
        return
    with own_server() as server:
        yield server.url
