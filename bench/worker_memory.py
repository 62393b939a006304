"""How large a worker becomes, and whether it stays so; and how long `make run` takes to answer.

    python -m bench.worker_memory [--engine postgresql] [--requests 200000] [--write]

The service as shipped under a mix of appends, lists and reads. A worker has to be under 120 MiB after 10,000 requests and may have grown
by 5 % at most from the 20,000th to the last. The start is that of a clone where everything is installed and the database is there.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report, servers, sqlite_file
from bench.compare import database_facts
from bench.databases import filled, say, server, tidy
from bench.gates import Gate, Line
from bench.loads import Load, wrk
from bench.people import people, write
from bench.processes import Memory, cpu_seconds, memory
from bench.servers import Server, until_it_answers
from bench.streams import ROOT, free_port
from bench.tools import wrk_version

FIRST, STEP = 10_000, 20_000
LARGEST, GROWTH, START = Gate(120), Gate(1.05), Gate(3)
STARTS, CONNECTIONS = 3, 32


@dataclass(frozen=True, slots=True)
class Point:
    """Both workers after so many requests."""

    requests: int
    workers: list[Memory]

    @property
    def largest(self) -> float:
        return max(one.resident for one in self.workers)


@dataclass(frozen=True, slots=True)
class Start:
    """How long it took, and how much of the processor."""

    seconds: float
    processor: float


def points(running: Server, people_file: Path, requests: int) -> list[Point]:
    pids = running.workers
    found: list[Point] = []
    done, rate = 0, 1.0
    for target in (FIRST, *range(STEP, requests + 1, STEP)):
        while done < target:
            seconds = max(1, int((target - done) / rate / 2))  # wrk knows seconds alone: half of what seems left, so as not to go far beyond
            counted = wrk(running.port, running.face, Load("mix", seconds if done else 1, CONNECTIONS, people_file))
            if counted.errors:
                raise SystemExit(f"{counted.errors} answers were none or not 2xx")
            done, rate = done + counted.requests, counted.requests / (counted.us / 1e6)
        if running.workers != pids:
            raise SystemExit("a worker ended on the way")
        found.append(Point(done, [memory(pid) for pid in pids]))
        say(f"  {done:,} requests: {found[-1].largest:.1f} MiB")
    return found


def on_postgresql(given: argparse.Namespace, callers: Path) -> tuple[list[Point], dict[str, str]]:
    with server() as url, filled(url, given.users, keep=given.keep, superuser=given.superuser) as databases:
        tidy(databases.product)
        with servers.product(databases.product) as running:
            return points(running, callers, given.requests), database_facts(databases.product)


def on_sqlite(given: argparse.Namespace, callers: Path) -> list[Point]:
    with sqlite_file.filled(given.users) as url, servers.product(url) as running:
        return points(running, callers, given.requests)


def start_seconds() -> list[Start]:
    """From `make run` to its first answer; the first start makes the database and does not count."""
    with tempfile.TemporaryDirectory() as folder:
        return [_start(folder) for _ in range(STARTS + 1)][1:]


def _start(folder: str) -> Start:
    port = free_port()
    given = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    environ = {**given, "PORT": str(port), "CHAT_INSTANCE_PATH": folder, "LOG_LEVEL": "warning"}
    began = time.perf_counter()
    process = subprocess.Popen(["make", "run"], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until_it_answers(f"http://127.0.0.1:{port}/healthz", process, within=120, every=0.01)
        return Start(time.perf_counter() - began, cpu_seconds(process.pid))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(40)


def lines(engine: str, found: list[Point]) -> list[Line]:
    first, flat, last = found[0], found[1], found[-1]
    growth = max(late.resident / early.resident for early, late in zip(flat.workers, last.workers, strict=True))
    return [
        Line(f"{engine}: largest worker after {first.requests:,} requests", first.largest, LARGEST, unit=" MiB"),
        Line(f"{engine}: the same worker after {last.requests:,} requests, after {flat.requests:,} = 1", growth, GROWTH),
    ]


def start_line(starts: list[Start]) -> Line:
    took = [one.seconds for one in starts]
    around = f"{min(took):.2f}–{max(took):.2f}; processor {statistics.median(one.processor for one in starts):.2f} s"
    return Line("`make run` on a warm clone until it answers", statistics.median(took), START, around, unit=" s")


def rows(engine: str, found: list[Point]) -> list[tuple[str, ...]]:
    def both(point: Point, field: str) -> str:
        return " / ".join(f"{getattr(worker, field):.1f}" for worker in point.workers)

    return [(engine, f"{one.requests:,}", both(one, "resident"), both(one, "proportional"), both(one, "peak")) for one in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=str.lower, choices=("postgresql", "sqlite"), help="one of them alone")
    parser.add_argument("--requests", type=int, default=200_000)
    given = report.arguments(parser)
    if given.requests < 2 * STEP:
        parser.error(f"--requests must be {2 * STEP} or more")
    found: dict[str, list[Point]] = {}
    facts = {"wrk": wrk_version()}
    with tempfile.TemporaryDirectory() as folder:
        callers = write(Path(folder) / "people", people(given.users))
        if given.engine != "sqlite":
            found["PostgreSQL"], about = on_postgresql(given, callers)
            facts |= about
        if given.engine != "postgresql":
            found["SQLite"] = on_sqlite(given, callers)
    starts = start_seconds()
    verdicts = [*(line for engine, seen in found.items() for line in lines(engine, seen)), start_line(starts)]
    heads = ("engine", "requests", "resident, MiB", "proportional, MiB", "peak, MiB")
    text = f"{report.verdicts(verdicts, 'chatsvc')}\n\n{report.table(heads, [row for engine, seen in found.items() for row in rows(engine, seen)])}"
    data = {engine: [asdict(one) for one in seen] for engine, seen in found.items()} | {"starts": [asdict(one) for one in starts]}
    return report.finish(given, "memory", "bench-memory", lines=verdicts, text=text, data=data, about=facts)


if __name__ == "__main__":
    raise SystemExit(main())
