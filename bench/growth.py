"""What depth and size cost: each request where much lies beside the same one where little does, through the running service.

    python -m bench.growth [--engine postgresql] [--times 400] [--write]

One connection; both requests of a pair take turns, so that whatever drifts drifts for both. Figures are medians over the whole request.
Rate limits are counted as ever, with a limit that one user alone does not meet here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench import report, servers, sqlite_file
from bench.compare import database_facts
from bench.databases import ask, filled, say, server, tidy
from bench.gates import Gate, Line
from bench.loads import CONTENT
from bench.people import FIFTY, ITS_OWNER, LONG, MANY_SESSIONS, SHORT, session_id, token
from bench.report import number

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
SESSIONS = "/api/v1/chat-sessions"
PAGE = f"{SESSIONS}?page_size=20"
STATISTICS = f"{SESSIONS}/stats/user"
NO_LIMIT = {"RATELIMIT_DEFAULT": "100000000/minute"}
DEPTH, SIZE, STATS = Gate(1.5), Gate(1.2, 1.05), Gate(5, 1)


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection to the service, spoken with no library in between, whose time would hide differences."""

    port: int
    line: socket.socket

    def ask(self, request: bytes) -> tuple[float, bytes]:
        """Milliseconds, and the body."""
        began = time.perf_counter()
        self.line.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        while len(body) < length:
            body += self._more()
        took = (time.perf_counter() - began) * 1000
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"refused: {got.decode(errors='replace')}")
        return took, body

    def request(self, user: str, path: str, body: Any = None, method: str = "") -> bytes:
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Authorization: Bearer {token(user)}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"] if sent else []
        return "\r\n".join([*lines, "", ""]).encode() + sent

    def _more(self) -> bytes:
        got = self.line.recv(1 << 20)
        if not got:
            raise SystemExit("the service closed the connection")
        return got


@contextlib.contextmanager
def wire(database: str) -> Iterator[Wire]:
    """A connection to a service of its own on this database."""
    with servers.product(database, **NO_LIMIT) as running, connected(running.port) as to:
        yield to


@contextlib.contextmanager
def connected(port: int) -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Wire(port, line)


def pair(to: Wire, much: bytes, little: bytes, times: int) -> tuple[float, float]:
    """The median of each, asked in turns."""
    return in_turns(lambda: to.ask(much)[0], lambda: to.ask(little)[0], times)


def in_turns(one: Callable[[], float], other: Callable[[], float], times: int) -> tuple[float, float]:
    """The median of what each says that it took; which comes first changes."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(times + 20):
        for index in (0, 1) if turn % 2 else (1, 0):
            milliseconds = (one, other)[index]()
            if turn >= 20:  # the first ones meet a service that has just begun
                took[index].append(milliseconds)
    return statistics.median(took[0]), statistics.median(took[1])


def cursor_of(to: Wire, page: int) -> str:
    """The cursor of this page of the many sessions, had by going there."""
    query = f"{PAGE}&page=1"
    for _ in range(page - 1):
        cursor = json.loads(to.ask(to.request(MANY_SESSIONS, query))[1])["next_cursor"]
        query = f"{PAGE}&cursor={cursor}"
    return query


def measure(to: Wire, times: int) -> Iterator[tuple[str, Gate | None, float, float]]:
    """Reads first: what is appended later would make the last fifty of the long session others than they were."""

    def read(number_of: int) -> bytes:
        return to.request(ITS_OWNER, f"{SESSIONS}/{session_id(number_of)}?message_limit=50")

    def append(number_of: int) -> bytes:
        return to.request(ITS_OWNER, f"{SESSIONS}/{session_id(number_of)}/messages", {"message_type": "user", "content": CONTENT})

    first = to.request(MANY_SESSIONS, f"{PAGE}&page=1")
    deep, numbered = to.request(MANY_SESSIONS, cursor_of(to, 250)), to.request(MANY_SESSIONS, f"{PAGE}&page=250")
    assert json.loads(to.ask(deep)[1])["sessions"] == json.loads(to.ask(numbered)[1])["sessions"], "page 250 is the same, however it is asked for"
    yield "page 250 of 5,000 sessions by cursor, page 1", DEPTH, *pair(to, deep, first, times)
    yield "page 250 by its number, page 1", None, *pair(to, numbered, first, times)
    yield "last 50 of 20,000 messages, 50 of 50", SIZE, *pair(to, read(LONG), read(FIFTY), times)
    yield "append to 20,000 messages, to a few", SIZE, *pair(to, append(LONG), append(SHORT), times)


def statistics_time(to: Wire, times: int) -> float:
    request = to.request(MANY_SESSIONS, STATISTICS)
    return statistics.median(to.ask(request)[0] for _ in range(times))


def statistics_in_postgresql(url: str, database: str, times: int) -> float:
    """Milliseconds of the database's own time per request: what PostgreSQL says that it was active in this database, every statement of
    the request and all that the start of the service asks included. It is told when a connection ends."""
    name = database.rpartition("/")[2].partition("?")[0]
    before = _active(url, name)
    with wire(database) as to:
        statistics_time(to, times)
    return (_active(url, name) - before) / times


def _active(url: str, name: str) -> float:
    for _ in range(100):
        if not ask(url, "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'", name):
            break
        time.sleep(0.1)
    else:
        raise SystemExit("connections to the database are still open")
    return float(ask(url, "SELECT active_time FROM pg_stat_database WHERE datname = %s", name)[0][0])


@dataclass(frozen=True, slots=True)
class Found:
    engine: str
    what: str
    much: float
    little: float | None
    gate: Gate | None

    @property
    def line(self) -> Line | None:
        if self.gate is None:
            return None
        if self.little is None:
            return Line(f"{self.engine}: {self.what}", self.much, self.gate, unit=" ms")
        return Line(f"{self.engine}: {self.what} = 1", self.much / self.little, self.gate, f"{number(self.much)} ms / {number(self.little)} ms")


def on_engine(engine: str, database: str, times: int) -> Iterator[Found]:
    with wire(database) as to:
        for what, gate, much, little in measure(to, times):
            say(f"  {engine}: {what}: {much:.2f} / {little:.2f} ms")
            yield Found(engine, what, much, little, gate)
        whole = statistics_time(to, times)
        # An SQLite file has no server that would tell its own time: there the whole request has to do it in five milliseconds.
        yield Found(engine, "statistics of 5,000 sessions, whole request", whole, None, STATS if engine == SQLITE else None)


def on_postgresql(given: argparse.Namespace) -> tuple[list[Found], dict[str, str]]:
    with server() as url, filled(url, given.users, keep=given.keep, superuser=given.superuser) as databases:
        tidy(databases.product)
        found = [*on_engine(POSTGRESQL, databases.product, given.times)]
        active = statistics_in_postgresql(url, databases.product, given.times * 3)
        found.append(Found(POSTGRESQL, "statistics of 5,000 sessions, in the database", active, None, STATS))
        return found, database_facts(databases.product)


def on_sqlite(given: argparse.Namespace) -> list[Found]:
    with sqlite_file.filled(min(given.users, 1000)) as url:
        return [*on_engine(SQLITE, url, given.times)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=str.lower, choices=("postgresql", "sqlite"), help="one of them alone")
    parser.add_argument("--times", type=int, default=400, help="how often each request is asked")
    given = report.arguments(parser)
    found: list[Found] = []
    facts: dict[str, str] = {"measured": f"one connection, each request {given.times} times"}
    if given.engine != "sqlite":
        found, about = on_postgresql(given)
        facts |= about
    if given.engine != "postgresql":
        found += on_sqlite(given)
    lines = [line for one in found if (line := one.line)]
    rows = [(one.engine, one.what, number(one.much), number(one.little), number(one.much / one.little) if one.little else "") for one in found]
    text = f"{report.verdicts(lines, 'chatsvc')}\n\n{report.table(('engine', 'much, little', 'much, ms', 'little, ms', 'ratio'), rows)}"
    data = [{"engine": one.engine, "what": one.what, "much_ms": one.much, "little_ms": one.little} for one in found]
    return report.finish(given, "growth", "bench-growth", lines=lines, text=text, data=data, about=facts)


if __name__ == "__main__":
    raise SystemExit(main())
