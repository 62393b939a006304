"""Hundreds of clients stop reading, streams and whole answers, or are gone from one moment to the next: what do others notice?

    python -m tests.faults.stop_reading --clients 300        (--engine sqlite or postgresql for one; needs no database)

`flask serve` as shipped. A third of the clients follow a reply and stop reading in the middle of it, a third ask for large answers and take
nothing of them, a third reset their connections in the middle of a reply. They keep their ends open and small. Every reply must be saved
whole, others be answered, and the service must let go of all of them by itself. A second round must find everything as the first left it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.faults.parts.databases import database
from tests.faults.parts.service import Service, running
from tests.faults.parts.sockets import descriptors, held, threads
from tests.faults.parts.stopping import Stopping, begin, large_answer, replies_of
from tests.faults.parts.times import Asker, Found, compared
from tests.faults.told import tell

LET_GO_SECONDS = 90.0  # thirty in which nothing is taken, and what a busy machine adds
GROWTH_MB = 160.0  # the answers that nobody takes, and a thread for each client on SQLite
LEFT_MB = 32.0  # from the first round's end to the second's
SLOWEST_MS = 1000.0  # a bound, not a measure: what it costs is to be judged by the ratios, on a quiet machine


@dataclass
class Use:
    """What the service holds."""

    megabytes: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, service: Service) -> Use:
        pids = service.workers()
        return cls(round(service.megabytes(), 1), sum(map(descriptors, pids)), sum(map(threads, pids)))


@dataclass
class Watched:
    """The most of everything while they were there."""

    megabytes: float = 0.0
    connections: int = 0
    stuck: int = 0
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, service: Service) -> None:
        while not self.leave.is_set():
            now = held(service.port)
            self.connections, self.stuck = max(self.connections, now.connections), max(self.stuck, now.stuck)
            self.megabytes = max(self.megabytes, await asyncio.to_thread(service.megabytes))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leave.wait(), 1)


async def let_go(service: Service) -> float | None:
    """Seconds until the service holds no connection any more."""
    began = time.monotonic()
    while held(service.port).connections:
        if time.monotonic() - began > LET_GO_SECONDS:
            return None
        await asyncio.sleep(0.2)
    return round(time.monotonic() - began, 1)


async def one_round(service: Service, asker: Asker, quiet: Found, large: str, number: int, given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What was seen, and what was wrong."""
    chance, before, watched = random.Random(f"{given.seed} {number}"), Use.of(service), Watched()
    watching = asyncio.create_task(watched.watch(service))
    clients = [Stopping(f"r{number}-{index}", index % 3, chance.uniform(0, 5)) for index in range(given.clients)]
    under_way = asyncio.gather(*(begin(service.port, client, large) for client in clients))
    found = await asker.ask(given.seconds)
    await under_way
    seconds = await let_go(service)
    watched.leave.set()
    await watching
    after, others = Use.of(service), compared(quiet, found)
    wrong = await asyncio.to_thread(lambda: list(replies_of(service.url, [client for client in clients if client.reply_id])))
    wrong += [f"{name}s were refused: {one['refused']}" for name, one in others.items() if "refused" in one]
    wrong += [f"{name}s took {one['loaded_p95_ms']} ms" for name, one in others.items() if one["loaded_p95_ms"] > SLOWEST_MS]
    wrong += [f"client {client.user}: {client.wrong}" for client in clients if client.wrong]
    if seconds is None:
        wrong.append(f"{held(service.port)} were still held after {LET_GO_SECONDS:.0f} s")
    if watched.stuck < len(clients) / 3:
        wrong.append(f"no more than {watched.stuck} were ever stuck, so little was shown")
    if watched.megabytes - before.megabytes > GROWTH_MB:
        wrong.append(f"memory grew from {before.megabytes} to {watched.megabytes:.0f} MB")
    for client in clients:
        client.close()
    told = {"clients": len(clients), "replies": sum(bool(client.reply_id) for client in clients), "let go after the last, s": seconds}
    seen = {"most connections": watched.connections, "most stuck": watched.stuck, "most MB": round(watched.megabytes, 1)}
    return {**told, **seen, "before": str(before), "after": str(after), "others": others}, wrong


async def rounds(service: Service, given: argparse.Namespace) -> list[str]:
    asker = Asker(service.port)
    large = await asyncio.to_thread(large_answer, service.url)
    await asker.ask(2)
    quiet = await asker.ask(given.seconds / 3)
    wrong: list[str] = []
    left: list[Use] = []
    for number in range(2):
        told, found = await one_round(service, asker, quiet, large, number, given)
        tell(round=number, **told, wrong=found[:5])
        wrong += found
        left.append(Use.of(service))
    first, second = left
    if second.descriptors > first.descriptors + 4 or second.threads > first.threads + given.clients // 10 or second.megabytes > first.megabytes + LEFT_MB:
        wrong.append(f"the second round left more than the first: {first}, {second}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long others are measured meanwhile")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    good = True
    for engine in (given.engine,) if given.engine else ("sqlite", "postgresql"):
        with database(engine) as url, running(url, CHAT_ECHO_DELAY_MS="100") as service:
            wrong = asyncio.run(rounds(service, given))
            verified = service.verified()
            tell(engine=engine, seed=given.seed, wrong=len(wrong), verified=verified)
            good = good and verified and not wrong
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
