"""So many replies at once, a word each 100 ms: do all complete, how long are the gaps, and what does a list cost meanwhile? It costs
most while they begin, which is told by itself: from the first message that is sent until all have had their first word.

python bench/streams.py --streams 1000            (starts chatsvc as shipped, on DATABASE_URL or a new SQLite file)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jwt

ROOT = Path(__file__).resolve().parent.parent
SECRET = "UXqnWLg8yHoVLT-JS4Pg9VcQkK68MAppJ7biRsClR6mjxRbb"  # of nothing but such runs; strong, so that production takes it
DELTA = b"event: delta"


@dataclass
class Seen:
    """What one stream's client saw."""

    first: float = 0.0
    began_at: float = 0.0  # when the first word came
    ended_at: float = 0.0
    gaps: list[float] = field(default_factory=list)
    deltas: int = 0
    done: bool = False
    error: str = ""


def token(user: str) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + 3600}, SECRET, "HS256")


def request(port: int, user: str, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token(user)}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Follower(asyncio.Protocol):
    """One client: sends a message and reads the reply to its end. It does little for each piece: it shares the processors with the service."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.seen = Seen()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.began = self.last = time.perf_counter()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        seen = self.seen
        amount = data.count(DELTA)
        if amount:
            now = time.perf_counter()
            if seen.deltas:
                seen.gaps.append(now - self.last)
            else:
                seen.first, seen.began_at = now - self.began, now
            self.last = now
            seen.deltas += amount
        elif not seen.deltas and not data.startswith(b"HTTP/1.1 200") and b"event:" not in data:
            self.end(data[:200].decode(errors="replace"))
        if b"event: done" in data:
            seen.done = True
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self.end(repr(error) if error else "")

    def end(self, error: str = "") -> None:
        if not self.over.done():
            self.seen.error, self.seen.ended_at = error, time.perf_counter()
            self.over.set_result(None)
            if self.transport is not None:
                self.transport.close()


async def follow(port: int, number: int, words: int) -> Seen:
    """What one client saw of a reply of so many words."""
    body = json.dumps({"message": " ".join(f"word{index}" for index in range(words))}).encode()
    client = Follower(request(port, f"u{number}", "POST", "/api/v1/chat/stream", body))
    try:
        await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", port)
        await asyncio.wait_for(client.over, 60 + words * 0.1)
    except (OSError, TimeoutError) as error:
        client.end(repr(error))
    return client.seen


async def list_times(port: int, seconds: float) -> list[tuple[float, float]]:
    """When a list was asked for, and how long it took."""
    return await answer_times(port, seconds, lambda: request(port, "lister", "GET", "/api/v1/chat-sessions"))


async def answer_times(port: int, seconds: float, asked: Callable[[], bytes]) -> list[tuple[float, float]]:
    """When an answer was asked for, ten times a second, and how long it took."""
    times: list[tuple[float, float]] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        sent = asked()
        began = time.perf_counter()
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 20"), head
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(length)
        times.append((began, time.perf_counter() - began))
        await asyncio.sleep(0.1)
    writer.close()
    return times


def processor_seconds(pid: int) -> float:
    """What this process and its children have used."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid or entry.parent.name == str(pid):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


async def run(pid: int, port: int, streams: int, words: int, ramp: float) -> dict[str, object]:
    await list_times(port, 1)  # a service that has just started
    quiet = [took for _, took in await list_times(port, 4)]
    used = processor_seconds(pid)
    began = time.perf_counter()

    async def one(number: int) -> Seen:
        await asyncio.sleep(ramp * number / streams)
        return await follow(port, number, words)

    busy_task = asyncio.create_task(list_times(port, ramp + words * 0.1))
    seen = await asyncio.gather(*(one(number) for number in range(streams)))
    busy = await busy_task
    gaps = [gap for one_seen in seen for gap in one_seen.gaps]
    all_began, first_ended = max(one_seen.began_at for one_seen in seen), min(one_seen.ended_at for one_seen in seen)
    beginning = [took for at, took in busy if at < all_began]
    running = [took for at, took in busy if all_began <= at < first_ended]
    return {
        "streams": streams,
        "complete": sum(one_seen.done for one_seen in seen),
        "errors": [one_seen.error for one_seen in seen if one_seen.error][:3],
        "seconds": round(time.perf_counter() - began, 1),
        "server_us_per_delta": round((processor_seconds(pid) - used) / max(1, sum(one_seen.deltas for one_seen in seen)) * 1e6),
        "first_ms_p99": round(percentile([one_seen.first for one_seen in seen], 0.99) * 1000),
        "gap_ms_p50": round(percentile(gaps, 0.5) * 1000),
        "gap_ms_p99": round(percentile(gaps, 0.99) * 1000),
        "gap_ms_max": round(max(gaps, default=0) * 1000),
        "list_ms_quiet_p95": round(percentile(quiet, 0.95) * 1000, 1),
        "seconds_all_running": round(first_ended - all_began, 1),
        "list_ms_running_p95": round(percentile(running, 0.95) * 1000, 1),
        "list_ms_running_median": round(percentile(running, 0.5) * 1000, 1),
        "list_ratio_running_p95": round(percentile(running, 0.95) / percentile(quiet, 0.95), 1),
        "list_ms_beginning_p95": round(percentile(beginning, 0.95) * 1000, 1),
    }


@contextlib.contextmanager
def served(port: int, **settings: str) -> Iterator[int]:
    """chatsvc as shipped, on this port, with these settings changed; its process id."""
    with served_under((), port, **settings) as pid:
        yield pid


@contextlib.contextmanager
def served_under(program: tuple[str, ...], port: int, **settings: str) -> Iterator[int]:
    """The same, started by a program that becomes it."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "PORT": str(port),
            "JWT_SECRET_KEY": SECRET,
            "CHAT_ECHO_DELAY_MS": "100",
            "CHAT_INSTANCE_PATH": folder,
            "CHAT_DEMO_ACCOUNTS": "false",
            "LOG_LEVEL": "warning",
            **settings,
        }
        # What it says goes where errors go: the results alone are the output.
        process = subprocess.Popen([*program, sys.executable, "serve.py"], cwd=ROOT, env=environ, stdout=sys.stderr)
        try:
            _until_ready(port, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(40)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break  # whoever answers at this port is somebody else
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
            return
        time.sleep(0.1)
    raise SystemExit("chatsvc did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--ramp", type=float, default=3.0, help="seconds over which the streams begin")
    parser.add_argument("--port", type=int, default=8123)
    given = parser.parse_args()
    with served(given.port) as pid:
        print(json.dumps(asyncio.run(run(pid, given.port, given.streams, given.words, given.ramp)), indent=1))


if __name__ == "__main__":
    main()
