"""Clients that stop reading or are gone, and what became of the replies that they had asked for."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.streams import request
from tests.faults.client import Client
from tests.faults.history import History
from tests.faults.parts.sockets import reset, small

STREAM, ANSWER, RESET = range(3)
# Each letter takes six bytes on its way, so that a message of ten thousand is more than a connection holds that nobody reads from.
MESSAGE = " ".join("\x01" * 98 for _ in range(100))
READER = "reader"
REPLY = re.compile(rb'"reply_id":(\d+).*?\n\n', re.DOTALL)


@dataclass
class Stopping:
    """One of them."""

    user: str
    kind: int
    after: float  # seconds into its reply until it is gone
    connection: socket.socket | None = None
    reply_id: int = 0
    wrong: str = ""

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


async def begin(port: int, client: Stopping, large: str) -> None:
    """Returns when it reads no more."""
    loop = asyncio.get_running_loop()
    client.connection = await asyncio.to_thread(small, port)
    client.connection.setblocking(False)
    if client.kind == ANSWER:
        await loop.sock_sendall(client.connection, request(port, READER, "GET", large))
        return
    body = json.dumps({"message": MESSAGE}).encode()
    await loop.sock_sendall(client.connection, request(port, client.user, "POST", "/api/v1/chat/stream", body))
    came = b""
    while not (begun := REPLY.search(came)):
        piece = await loop.sock_recv(client.connection, 512)
        came += piece
        if not piece or not came.startswith(b"HTTP/1.1 200"):
            client.wrong = f"was told {came[:200]!r}"
            return
    client.reply_id = int(begun[1])
    await asyncio.sleep(client.after)
    if client.kind == RESET:
        reset(client.connection)


def large_answer(service_url: str) -> str:
    """The path of an answer of a quarter of a megabyte."""
    with _asking(service_url, READER) as client:
        session = client.ask("POST", "/api/v1/chat-sessions", {"agent_type": None}).body["id"]
        for _ in range(25):
            client.ask("POST", f"/api/v1/chat-sessions/{session}/messages", {"content": "x" * 10_000, "message_type": "user"})
    return f"/api/v1/chat-sessions/{session}/messages?page_size=50"


def replies_of(service_url: str, clients: Sequence[Stopping]) -> Iterator[str]:
    """What is wrong with the replies that were asked for: each must be there once, and whole."""
    for one in clients:
        with _asking(service_url, one.user) as client:
            sessions = client.ask("GET", "/api/v1/chat-sessions").body["sessions"]
            messages = client.ask("GET", f"/api/v1/chat-sessions/{sessions[0]['id']}/messages").body["messages"] if len(sessions) == 1 else []
        found = [(message["message_type"], message["status"], message["content"] == MESSAGE) for message in messages]
        if found != [("user", "complete", True), ("assistant", "complete", True)]:
            yield f"{one.user} has {len(sessions)} sessions, and in it {found}"


@contextmanager
def _asking(service_url: str, user: str) -> Iterator[Client]:
    """Somebody who asks and reads the answers."""
    with TemporaryDirectory() as folder:
        client = Client(service_url, user, History(Path(folder), 0))
        try:
            yield client
        finally:
            client.close()
