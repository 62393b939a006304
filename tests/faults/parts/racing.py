"""Many requests that begin at the same moment, each on a connection of its own that is kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from bench.streams import token

LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be asked."""

    method: str
    path: str
    body: Any = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def replayed(self) -> bool:
        return "idempotent-replayed" in self.headers


@dataclass
class Line:
    """One connection."""

    port: int
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    async def send(self, bearer: str, ask: Ask) -> None:
        head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
        head += f"Idempotency-Key: {ask.key}\r\n" if ask.key else ""
        body = b"" if ask.body is None else json.dumps(ask.body).encode()
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        _, writer = await self.open()
        writer.write(f"{head}\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        reader, _ = await self.open()
        lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONGEST_WAIT)).decode("latin-1").split("\r\n")
        return int(lines[0].split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}

    async def said(self) -> Said:
        status, headers = await self.head()
        reader, _ = await self.open()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Said(status, json.loads(body) if body else None, headers)

    async def event(self, name: str) -> Any:
        """What the next event of this name says, of a stream; chunks of the transfer are lines like others."""
        reader, _ = await self.open()
        found = False
        while line := await asyncio.wait_for(reader.readline(), LONGEST_WAIT):
            if line.startswith(b"event: "):
                found = line[7:].decode().strip() in (name, "error")
            elif found and line.startswith(b"data: "):
                return json.loads(line[6:])
        raise EOFError(f"the stream ended without {name}")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Racer:
    """One user with as many connections as are needed at once."""

    def __init__(self, port: int, amount: int) -> None:
        self.lines = [Line(port) for _ in range(amount)]
        self.bearer = ""

    def become(self, user: str) -> None:
        self.bearer = token(user)

    async def at_once(self, *asks: Ask) -> list[Said]:
        """All are open and on their way before any answer is looked at."""
        lines = self.lines[: len(asks)]
        await asyncio.gather(*(line.open() for line in lines))
        for line, ask in zip(lines, asks, strict=True):
            await line.send(self.bearer, ask)
        return list(await asyncio.gather(*(line.said() for line in lines)))

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Said:
        return (await self.at_once(Ask(method, path, body, key)))[0]

    def close(self) -> None:
        for line in self.lines:
            line.close()
