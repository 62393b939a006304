"""Every model hangs and a hundred sends are open: what do reads and appends cost meanwhile, and does anybody hold a connection?

python -m bench.hung --sends 100            (starts chatsvc as shipped, on DATABASE_URL or a new SQLite file)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2

from bench.streams import answer_times, free_port, percentile, request, served, token

SESSIONS = "/api/v1/chat-sessions"
BUSY = "SELECT count(*) FILTER (WHERE state <> 'idle'), count(*) FILTER (WHERE state LIKE 'idle in%') FROM pg_stat_activity WHERE application_name = 'chatsvc'"


@dataclass
class Model:
    """Takes every connection and never says a word."""

    asked: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self.writers.append(writer)


def asks(port: int) -> dict[str, Callable[[], bytes]]:
    """What is measured, each as a user of its own so that no rate limit is met."""
    made = {}
    for user in ("reader", "appender"):
        body = json.dumps({"title": "Measured", "agent_type": None}).encode()
        headers = {"Authorization": f"Bearer {token(user)}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{SESSIONS}", body, headers)) as response:
            made[user] = json.load(response)["id"]
    message = json.dumps({"content": "Hello", "message_type": "user"}).encode()
    return {
        "list": lambda: request(port, "lister", "GET", SESSIONS),
        "read": lambda: request(port, "reader", "GET", f"{SESSIONS}/{made['reader']}"),
        "append": lambda: request(port, "appender", "POST", f"{SESSIONS}/{made['appender']}/messages", message),
    }


async def measured(port: int, seconds: float, asked: dict[str, Callable[[], bytes]]) -> dict[str, float]:
    """The p95 of each, in milliseconds."""
    found = await asyncio.gather(*(answer_times(port, seconds, one) for one in asked.values()))
    return {name: percentile([took for _, took in times], 0.95) * 1000 for name, times in zip(asked, found, strict=True)}


async def send(port: int, number: int) -> None:
    """One send whose answer never comes; every second one is a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/api/v1/chat/stream" if number % 2 else "/api/v1/chat"
    writer.write(request(port, f"u{number}", "POST", path, json.dumps({"message": "Hello"}).encode()))
    try:
        while await reader.read(65536):
            pass
    finally:
        writer.close()


async def connections(seconds: float) -> dict[str, float] | None:
    """How many of the service's connections do something, and how many are held in a transaction; on PostgreSQL, asked fifty times a second."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        return None
    seen: list[tuple[int, int]] = []
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        ends_at = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends_at:
            cursor.execute(BUSY)
            seen.append(cursor.fetchone() or (0, 0))
            await asyncio.sleep(0.02)
    return {
        "busy_mean": round(sum(busy for busy, _ in seen) / len(seen), 2),
        "busy_most": max(busy for busy, _ in seen),
        "in_transaction_most": max(held for _, held in seen),
    }


async def run(port: int, model: Model, sends: int, seconds: float) -> dict[str, object]:
    asked = asks(port)
    await measured(port, 2, asked)
    quiet = await measured(port, seconds, asked)
    waiting = [asyncio.create_task(send(port, number)) for number in range(sends)]
    while model.asked < sends:
        await asyncio.sleep(0.05)
        for task in waiting:
            if task.done():
                task.result()
                raise SystemExit("a send was answered, though no model answers")
    idle = await connections(2)
    hung = await measured(port, seconds, asked)
    still = sum(not task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return {
        "sends": sends,
        "still_waiting": still,
        "connections": idle,
        **{f"{name}_ms_p95": {"quiet": round(quiet[name], 1), "hung": round(hung[name], 1), "ratio": round(hung[name] / quiet[name], 2)} for name in asked},
    }


async def with_model(port: int, sends: int, seconds: float) -> dict[str, object]:
    model = Model()
    server = await asyncio.start_server(model.take, "127.0.0.1", 0, backlog=1000)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    settings = {"CHAT_RESPONDER": "openai", "OPENAI_BASE_URL": address, "OPENAI_MODEL": "silent", "CHAT_FIRST_BYTE_TIMEOUT": "600", "CHAT_REPLY_TIMEOUT": "600"}
    with served(port, **settings):
        found = await run(port, model, sends, seconds)
    server.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each of the two is measured")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(with_model(free_port(), given.sends, given.seconds)), indent=1))


if __name__ == "__main__":
    main()
