"""Many people at once through nginx, each with an address of their own: lists, reads and appends, none of them tried twice."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.cluster.clients import bearer, trusting
from tests.cluster.network import Net
from tests.cluster.servers import NAME, Nginx

LIST = "/api/v1/chat-sessions"
BETWEEN = 0.105  # one user may ask 600 times a minute
PATIENCE = 30.0


@dataclass
class Load:
    """What came of it so far."""

    front: Nginx
    net: Net
    people: int
    seed: int
    statuses: Counter[int] = field(default_factory=Counter)  # 0: the connection was lost before the answer was whole
    failed: list[str] = field(default_factory=list)
    longest: float = 0.0
    appended: Counter[str] = field(default_factory=Counter)  # acknowledged messages, by user
    began: float = field(default_factory=time.monotonic)
    ended: bool = False

    @property
    def amount(self) -> int:
        return self.statuses.total()

    async def run(self) -> None:
        """Until `ended` is set."""
        await asyncio.gather(*(self._person(number) for number in range(self.people)))

    async def _person(self, number: int) -> None:
        chance, user = random.Random(f"{self.seed} {number}"), f"person-{number}"
        source, trusts = self.net.source(), trusting(self.front.certificate)
        connection = await self._opened(source, trusts)
        status, body, connection = await self._asked(connection, user, "POST", LIST, {"title": "Rolled", "agent_type": None}, source, trusts)
        session = json.loads(body)["id"] if status == 201 else ""
        while not self.ended:
            began = time.monotonic()
            what = chance.random()
            asked: tuple[str, str, dict[str, object] | None] = ("GET", LIST if what < 0.4 else f"{LIST}/{session}", None)
            if what > 0.7:
                asked = ("POST", f"{LIST}/{session}/messages", {"content": f"Said at {began}", "message_type": "user"})
            status, _, connection = await self._asked(connection, user, *asked, source, trusts)
            self.appended[user] += asked[0] == "POST" and status == 201
            await asyncio.sleep(max(0.0, BETWEEN - (time.monotonic() - began)))
        connection[1].close()

    async def _asked(
        self, connection: Streams, user: str, method: str, path: str, body: dict[str, object] | None, source: str, trusts: ssl.SSLContext
    ) -> tuple[int, bytes, Streams]:
        """Once. A connection that says that it ends, or is lost, is followed by a new one for the next request."""
        began = time.monotonic()
        try:
            status, answer, stays = await asyncio.wait_for(_answer(connection, _request(user, method, path, body)), PATIENCE)
        except (OSError, EOFError, TimeoutError) as error:
            status, answer, stays = 0, repr(error).encode(), False
        seconds = time.monotonic() - began
        self.longest = max(self.longest, seconds)
        self.statuses[status] += 1
        if not 200 <= status < 300:
            self.failed.append(f"{began - self.began:6.1f} s: {method} {path} of {user}: {status} after {seconds:.2f} s {answer[:120]!r}")
        if not stays:
            connection[1].close()
            connection = await self._opened(source, trusts)
        return status, answer, connection

    async def _opened(self, source: str, trusts: ssl.SSLContext) -> Streams:
        return await asyncio.open_connection(self.front.address, self.front.port, ssl=trusts, server_hostname=NAME, local_addr=(source, 0))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _request(user: str, method: str, path: str, body: dict[str, object] | None) -> bytes:
    sent = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer {bearer(user)}\r\n"
    if sent:
        head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
    return head.encode() + b"\r\n" + sent


async def _answer(connection: Streams, sent: bytes) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection is good for another."""
    reader, writer = connection
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    if not lengths:
        raise EOFError("an answer without a length")
    return int(head.split()[1]), await reader.readexactly(lengths[0]), b"connection: close" not in head
