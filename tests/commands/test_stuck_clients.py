"""Clients that take nothing, or stay when all is said, hold up nobody else: the service as shipped."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing

from bench.streams import free_port, served
from tests.faults.parts.sockets import held, small

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n"


def test_a_client_that_takes_nothing_is_hung_up_on(empty_database: str) -> None:
    port = free_port()
    with served(port, DATABASE_URL=empty_database, WEB_CONCURRENCY="1", LOG_LEVEL="error", CHAT_SEND_TIMEOUT="1"), ExitStack() as clients:
        for _ in range(5):
            client = clients.enter_context(closing(small(port)))
            client.sendall(REQUEST % (b"/openapi.json", b"") * 20)
        until = time.monotonic() + 10
        while held(port).stuck < 5:
            assert time.monotonic() < until, "nobody is stuck"
            time.sleep(0.05)
        until = time.monotonic() + 20
        while held(port).connections:
            assert time.monotonic() < until, "they are still held"
            time.sleep(0.1)


def test_a_client_that_stays_when_its_answer_is_whole_keeps_nobody_waiting(empty_database: str) -> None:
    port = free_port()
    with served(port, DATABASE_URL=empty_database, WEB_CONCURRENCY="1", LOG_LEVEL="error"), ExitStack() as clients:
        began = time.monotonic()
        for _ in range(6):
            client = clients.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=30)))
            client.sendall(REQUEST % (b"/healthz", b"Connection: close\r\n"))
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 4, "each of them stayed for two seconds"
