"""How long answers take while something goes on: a list, a read and an append, each asked ten times a second by a user of its own."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.streams import percentile, request, token
from tests.faults.parts.nginx import ADDRESS

SESSIONS = "/api/v1/chat-sessions"
LONGEST_WAIT = 30.0


@dataclass
class Asked:
    """What came of one kind of request."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    hasty: int = 0  # answers of 503 and 429 that do not say when to come back

    @property
    def p95(self) -> float:
        """Milliseconds."""
        return round(percentile(self.times, 0.95) * 1000, 1)


Found = dict[str, Asked]


class Asker:
    """Asks through one door, a port of 127.0.0.1."""

    def __init__(self, port: int, *, names: tuple[str, ...] = ("list", "read", "append"), who: str = "measured", address: str = "127.0.0.1") -> None:
        self.port = port
        self.who = who
        self.address = address
        self.names = names
        self.made = {name: self._session(f"{who}-{name}") for name in names}

    def _session(self, user: str) -> str:
        headers = {"Authorization": f"Bearer {token(user)}", "Content-Type": "application/json"}
        body = json.dumps({"title": "Measured", "agent_type": None}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{SESSIONS}", body, headers), timeout=30) as response:
            return str(json.load(response)["id"])

    def _bytes(self, name: str) -> bytes:
        return self._plain(name).replace(b"\r\n", b"\r\n%b: %b\r\n" % (ADDRESS.encode(), self.address.encode()), 1)

    def _plain(self, name: str) -> bytes:
        user, session_id = f"{self.who}-{name}", self.made[name]
        if name == "list":
            return request(self.port, user, "GET", SESSIONS)
        if name == "read":
            return request(self.port, user, "GET", f"{SESSIONS}/{session_id}")
        message = json.dumps({"content": "Hello", "message_type": "user"}).encode()
        return request(self.port, user, "POST", f"{SESSIONS}/{session_id}/messages", message)

    async def ask(self, seconds: float) -> Found:
        """Each kind for so long, one after another answer on a connection that is kept; a new one where that is lost."""
        found = {name: Asked() for name in self.names}
        await asyncio.gather(*(self._one(name, found[name], seconds) for name in self.names))
        return found

    async def _one(self, name: str, asked: Asked, seconds: float) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            began = time.monotonic()
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", self.port)
                status, told, stays = await asyncio.wait_for(_answer(connection, self._bytes(name)), LONGEST_WAIT)
            except (OSError, EOFError, TimeoutError):
                status, told, stays = 0, True, False
            asked.times.append(time.monotonic() - began)
            asked.statuses[status] += 1
            asked.hasty += not told
            if not stays and connection:
                connection[1].close()
                connection = None
            await asyncio.sleep(max(0.0, 0.105 - (time.monotonic() - began)))  # below ten a second, which is what one user may ask
        if connection:
            connection[1].close()


async def _answer(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], sent: bytes) -> tuple[int, bool, bool]:
    """Its status, whether it says when to come back where it should, and whether the connection is good for another."""
    reader, writer = connection
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    status = int(head.split()[1])
    if lengths:
        await reader.readexactly(lengths[0])
    told = status not in (429, 503) or b"\r\nretry-after:" in head
    return status, told, bool(lengths) and b"connection: close" not in head


def compared(quiet: Found, loaded: Found) -> dict[str, Any]:
    """Both p95 of each kind, in milliseconds, and their ratio; and whatever was not answered with 2xx."""
    told: dict[str, Any] = {}
    for name, asked in loaded.items():
        bad = {str(status): amount for status, amount in asked.statuses.items() if not 200 <= status < 300}
        told[name] = {
            "quiet_p95_ms": quiet[name].p95,
            "loaded_p95_ms": asked.p95,
            "ratio": round(asked.p95 / quiet[name].p95, 2),
            "asked": len(asked.times),
            "longest_ms": round(max(asked.times) * 1000),
            **({"refused": bad} if bad else {}),
        }
    return told
