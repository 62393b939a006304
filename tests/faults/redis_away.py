"""Redis is killed, stopped, emptied and slow under load: the service stays up, nobody waits for it, limits fall back, streams go on.

    python -m tests.faults.redis_away --seconds 8        (DATABASE_URL, an empty database, or one made on the server of the tests; needs redis-server)

`flask serve` with two workers counts in a Redis of this run's own, behind a proxy that can be late. In each phase a list, a read and an
append are measured, and twenty replies are written and followed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from redis import Redis

from bench.streams import follow, request
from bench.tools import tool
from tests.api.common.redis_server import OwnServer
from tests.faults.parts.databases import database
from tests.faults.parts.proxy import Proxy
from tests.faults.parts.service import Service, running
from tests.faults.parts.times import Asker, Found, compared

ADDED_MS = 100.0
LIMIT = 600  # RATELIMIT_DEFAULT as shipped, a minute
STREAMS = 20
Phase = Callable[[], Awaitable[None]]


async def loaded(service: Service, asker: Asker, seconds: float, number: int) -> tuple[Found, list[str]]:
    """The measured times of one phase, and what went wrong with its streams, which last as long as the phase."""
    words = int((seconds - 1) * 10)
    streams = [asyncio.create_task(follow(service.port, 1000 * number + index, words)) for index in range(STREAMS)]
    found = await asker.ask(seconds)
    seen = await asyncio.gather(*streams)
    return found, [one.error or f"ended after {one.deltas} pieces" for one in seen if not one.done]


async def admitted(port: int, user: str, amount: int) -> int:
    """Of so many requests of one user, over eight connections at once, how many were let in."""
    let_in = 0

    async def some() -> None:
        nonlocal let_in
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(amount // 8):
            writer.write(request(port, user, "GET", "/api/v1/chat-sessions"))
            head = await reader.readuntil(b"\r\n\r\n")
            let_in += b" 200 " in head.split(b"\r\n")[0]
            await reader.readexactly(next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")))
        writer.close()

    await asyncio.gather(*(some() for _ in range(8)))
    return let_in


@asynccontextmanager
async def emptied(redis: OwnServer) -> AsyncIterator[None]:
    """Everything in it is thrown away, ten times a second."""

    async def again() -> None:
        with Redis.from_url(redis.url) as client:
            while True:
                client.flushall()
                await asyncio.sleep(0.1)

    task = asyncio.create_task(again())
    yield
    task.cancel()


def phases(redis: OwnServer, proxy: Proxy) -> dict[str, Callable[[AsyncExitStack], Awaitable[None]]]:
    """What is done to Redis, and what is to be done when the phase is over."""

    async def killed(after: AsyncExitStack) -> None:
        redis.stop()
        after.callback(redis.start)

    async def stopped(after: AsyncExitStack) -> None:
        redis.hang()
        after.callback(redis.go_on)

    async def flushed(after: AsyncExitStack) -> None:
        await after.enter_async_context(emptied(redis))

    def late(seconds: float) -> Callable[[AsyncExitStack], Awaitable[None]]:
        async def slow(after: AsyncExitStack) -> None:
            proxy.delay = seconds
            after.callback(setattr, proxy, "delay", 0.0)

        return slow

    return {"killed": killed, "stopped": stopped, "flushed": flushed, "two seconds late": late(2.0), "40 ms late each way": late(0.04)}


async def run(url: str, seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {"wrong": []}
    redis = OwnServer(tool("redis-server"))
    proxy = Proxy(redis.port)
    await proxy.start()
    try:
        with running(url, REDIS_URL=f"redis://127.0.0.1:{proxy.port}/1", CHAT_ECHO_DELAY_MS="100", WEB_CONCURRENCY="2") as service:
            asker = Asker(service.port)
            await asker.ask(2)
            quiet, wrong = await loaded(service, asker, seconds, 0)
            told["let_in_by_both_workers_together"] = await admitted(service.port, "flood-0", 2 * LIMIT + 400)
            told["wrong"] += [f"quiet: {one}" for one in wrong]
            for number, (name, break_it) in enumerate(phases(redis, proxy).items(), 1):
                async with AsyncExitStack() as after:
                    await break_it(after)
                    found, wrong = await loaded(service, asker, seconds, number)
                    if name in ("killed", "stopped"):
                        told[f"let_in_while_{name}"] = await admitted(service.port, f"flood-{number}", 2 * LIMIT + 400)
                        if not LIMIT <= told[f"let_in_while_{name}"] <= 2 * LIMIT:
                            wrong.append(f"{told[f'let_in_while_{name}']} requests of one user were let in")
                told[name] = compared(quiet, found)
                told["wrong"] += [f"{name}: {one}" for one in [*wrong, *judged(told[name], found)]]
                await asyncio.sleep(6)  # until it is asked again
            told["let_in_afterwards"] = await admitted(service.port, "flood-9", 2 * LIMIT + 400)
            if not told["let_in_by_both_workers_together"] == told["let_in_afterwards"] == LIMIT:
                told["wrong"].append("with Redis there, two workers do not count together")
            told["verified"] = await asyncio.to_thread(service.verified)
    finally:
        redis.go_on()
        redis.stop()
        await proxy.stop()
    return told


def judged(measured: dict[str, Any], found: Found) -> list[str]:
    """Every answer a good one, and none that waited for Redis."""
    wrong = [f"{name}: {one['refused']}" for name, one in measured.items() if "refused" in one]
    late = {name: one["loaded_p95_ms"] - one["quiet_p95_ms"] for name, one in measured.items()}
    return wrong + [f"{name}: {added:.0f} ms more at the 95th percentile" for name, added in late.items() if added >= ADDED_MS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each phase is measured")
    given = parser.parse_args()
    with database() as url:
        told = asyncio.run(run(url, given.seconds))
    print(json.dumps(told, indent=1))  # noqa: T201
    sys.exit(0 if told["verified"] and not told["wrong"] else 1)


if __name__ == "__main__":
    main()
