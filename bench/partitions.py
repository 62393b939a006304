"""`chat_messages` in partitions beside the plain table as it grows: requests, room, upkeep, an erasure, and what moving the rows takes.

    python -m bench.partitions [--messages 50000000] [--times 200] [--write]

The plain database is filled by SQL, past the triggers; at each step a copy of it is given to `deploy/postgresql/partitions.sql`, and two
services as shipped are asked in turns. At the last step one user's messages (the fiftieth part, 100,000 at most) are erased on both while
another one appends. Exits with 1 where rows and what is kept of them differ, a reply does not come to its end, or erased text is in a dump.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg2

from bench import report, servers, streams
from bench.compare import database_facts
from bench.databases import ask, made, migrate, say, server, tidy
from bench.erasing import Erased, erase, in_dump
from bench.fill import KEPT, psql
from bench.growth import NO_LIMIT, PAGE, SESSIONS, Wire, in_turns, wire
from bench.loads import CONTENT
from bench.people import session_id
from bench.report import number
from bench.streams import ROOT, SECRET
from bench.tools import tool

STEPS = (0.1, 0.2, 0.5, 1)
EACH = 20  # messages of a session; ten of these belong to each user
HEAVY, HEAVY_SESSIONS = "heavy", 50  # whose messages are erased
MARK = "Known by this mark"
PARTITIONS = ROOT / "deploy/postgresql/partitions.sql"
PAGE_OF_RESULTS = ROOT / "docs/scaling.md"
STREAMS = 20
ROWS = """INSERT INTO chat_messages (session_id, user_id, role, content, created_at)
    SELECT md5('{kind}' || n)::uuid, {user}, CASE k % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, '{text} ' || k || ' of ' || n || repeat(' word', 26),
        now() - interval '300 days' + (k * 1000000 + n) * interval '1 ms'
    FROM (SELECT k, n FROM generate_series(1, {each}) k, generate_series({first}, {last}) n ORDER BY k, n) one_after_another"""
ITS_SESSIONS = """INSERT INTO chat_sessions (id, user_id, title, title_from, status, created_at, updated_at)
    SELECT md5('{kind}' || n)::uuid, {user}, 'Session ' || n, 'person', 'ACTIVE', now() - interval '300 days', now() - interval '270 days'
    FROM generate_series({first}, {last}) n"""
DIFFERENT = """SELECT count(*) FROM chat_sessions s LEFT JOIN
    (SELECT session_id, count(*) AS amount, max(id) AS newest FROM chat_messages WHERE deleted_at IS NULL GROUP BY 1) m ON m.session_id = s.id
    WHERE s.message_count <> coalesce(m.amount, 0) OR s.newest_message_id IS DISTINCT FROM m.newest"""
SIZES = r"SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'chat\_messages%'"
Pair = tuple[float, float]  # of the plain table, of the one in partitions


@dataclass(frozen=True, slots=True)
class Size:
    """What was found at one size."""

    messages: int
    move_seconds: float
    asked: dict[str, Pair]
    rows_mb: Pair
    indexes_mb: Pair
    locks: Pair
    vacuum_seconds: tuple[float, float, float]  # the plain table, one of the partitions, all of them one after another


def fill(url: str, sessions: range, heavy: int) -> None:
    """These sessions; and those of the one with so many messages, unless it is 0."""
    kinds = [{"kind": "s", "user": "'u' || (n - 1) / 10 + 1", "text": "Message", "each": EACH, "first": sessions[0], "last": sessions[-1]}]
    if heavy:
        kinds.append({"kind": "h", "user": f"'{HEAVY}'", "text": MARK, "each": heavy // HEAVY_SESSIONS, "first": 1, "last": HEAVY_SESSIONS})
    statements = [statement.format(**kind) for kind in kinds for statement in (ROWS, ITS_SESSIONS)]
    if psql(url, "SET session_replication_role = replica", *statements, "ANALYZE", f"{KEPT} AND s.message_count = 0").wait():
        raise SystemExit("the rows could not be made")
    tidy(url)


def move(url: str) -> float:
    """Seconds until the messages are in partitions, as an operator has it done."""
    began = time.monotonic()
    subprocess.run([tool("psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", PARTITIONS, url], check=True)
    return time.monotonic() - began


def owner(session: int) -> str:
    return f"u{(session - 1) // 10 + 1}"


def append(to: Wire, session: int) -> bytes:
    return to.request(owner(session), f"{SESSIONS}/{session_id(session)}/messages", {"message_type": "user", "content": CONTENT})


def last_fifty(to: Wire, session: int) -> bytes:
    long = uuid.UUID(hashlib.md5(f"h{1 + session % HEAVY_SESSIONS}".encode(), usedforsecurity=False).hexdigest())
    return to.request(HEAVY, f"{SESSIONS}/{long}?message_limit=50")


def listed(to: Wire, session: int) -> bytes:
    return to.request(owner(session), PAGE)


def requests(plain: Wire, spread: Wire, sessions: int, times: int) -> Iterator[tuple[str, Pair]]:
    """Medians; each is asked of sessions here and there, the same ones on both."""

    def asked(to: Wire, request: Callable[[Wire, int], bytes]) -> Callable[[], float]:
        draw = random.Random(1)
        return lambda: to.ask(request(to, draw.randint(1, sessions)))[0]

    for what, request in (("append", append), ("last 50 of a long session", last_fifty), ("list", listed)):
        yield what, in_turns(asked(plain, request), asked(spread, request), times)


def locks(url: str) -> int:
    """How many a statement holds that does not say whose message it means."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM chat_messages WHERE id = 0")
        cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()")
        (held,) = cursor.fetchone() or (0,)
        return int(held)


def vacuum(url: str, *tables: str) -> list[float]:
    """Seconds of each, once every fiftieth row has changed."""
    if psql(url, "SET session_replication_role = replica", "UPDATE chat_messages SET edited_at = created_at WHERE id % 50 = 0", "CHECKPOINT").wait():
        raise SystemExit("the rows could not be changed")
    took = []
    for table in tables:
        began = time.monotonic()
        ask(url, f"VACUUM (INDEX_CLEANUP ON, PARALLEL 0) {table}")
        took.append(time.monotonic() - began)
    return took


def verified(url: str) -> bool:
    environ = {**os.environ, "DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "warning"}
    return subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, stdout=sys.stderr, check=False).returncode == 0


def as_kept(*urls: str) -> list[str]:
    """Whether the counters of all sessions are those of their rows: what `flask verify` looks at first, in one statement."""
    return [f"{different} sessions differ from their rows" for url in urls if (different := ask(url, DIFFERENT)[0][0])]


def at_size(messages: int, sessions: int, databases: tuple[str, str], move_seconds: float, times: int) -> Size:
    plain, spread = databases
    with wire(plain) as to, wire(spread) as to_other:
        asked = dict(requests(to, to_other, sessions, times))
    room = (ask(plain, SIZES)[0], ask(spread, SIZES)[0])
    rows, indexes = ((float(room[0][which]) / 1e6, float(room[1][which]) / 1e6) for which in (0, 1))
    (whole,) = vacuum(plain, "chat_messages")
    parts = vacuum(spread, *(f"chat_messages_{remainder}" for remainder in range(16)))
    found = Size(messages, move_seconds, asked, rows, indexes, (locks(plain), locks(spread)), (whole, statistics.median(parts), sum(parts)))
    say(f"  {found}")
    return found


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the one with many messages, on one table."""

    table: str
    erased: Erased
    marks: int


def erasures(databases: tuple[str, str], sessions: int) -> Iterator[Ended]:
    for table, url in zip(("plain", "in partitions"), databases, strict=True):
        with servers.product(url, **NO_LIMIT) as running:
            erased = erase(running.port, HEAVY, lambda to: append(to, sessions))
        found = Ended(table, erased, in_dump(url, MARK.encode()))
        say(f"  {table}: erased in {erased.seconds:.1f} s: {erased.receipt}; {found.marks} marks are left")
        yield found


def replies(url: str) -> int:
    """How many of so many replies at once, streamed from the table in partitions, came to their end."""
    with servers.product(url, **NO_LIMIT) as running:
        complete = asyncio.run(streams.run(running.pid, running.port, STREAMS, 30, 1.0))["complete"]
    assert isinstance(complete, int)
    return complete


def grown(found: list[Size]) -> str:
    """A row for each figure, a column for each size: how it grows is read from left to right."""

    def pair(of: Pair) -> str:
        return f"{number(of[0])} / {number(of[1])}"

    rows = [(f"{what}, ms", *(pair(size.asked[what]) for size in found)) for what in found[0].asked]
    rows += [
        ("rows, MB", *(pair(size.rows_mb) for size in found)),
        ("indexes, MB", *(pair(size.indexes_mb) for size in found)),
        ("locks of a statement that names no owner", *(pair(size.locks) for size in found)),
        ("`VACUUM` of the whole / of one partition, s", *(pair((size.vacuum_seconds[0], size.vacuum_seconds[1])) for size in found)),
        ("… of all sixteen, s", *(number(size.vacuum_seconds[2]) for size in found)),
        ("`partitions.sql`, s", *(number(size.move_seconds) for size in found)),
    ]
    return report.table(("messages: plain / in partitions", *(f"{size.messages:,}" for size in found)), rows)


def told(ended: list[Ended]) -> str:
    def appends(took: list[float]) -> str:
        return f"{number(statistics.median(took))}, {number(max(took))}"

    rows = [
        (
            one.table,
            f"{one.erased.receipt['counts']['messages']:,}",
            number(one.erased.seconds),
            appends(one.erased.before),
            appends(one.erased.meanwhile),
            one.marks,
        )
        for one in ended
    ]
    heads = (
        "erased through the service",
        "messages",
        "s",
        "another one's appends before: median, slowest, ms",
        "meanwhile",
        "marked texts in a dump afterwards",
    )
    return report.table(heads, rows)


def grow(url: str, plain: str, given: argparse.Namespace, heavy: int) -> Iterator[tuple[Size, list[str], list[str]]]:
    """At each step what was found, what is wrong, and at the last one what is told beside the figures."""
    done = 0
    for step in STEPS:
        messages = int(given.messages * step)
        sessions = (messages - heavy) // EACH
        say(f"filling up to {messages:,} messages …")
        fill(plain, range(done + 1, sessions + 1), 0 if done else heavy)
        with made(url, "spread", like=plain) as spread:
            move_seconds = move(spread)
            tidy(spread)
            found = at_size(messages, sessions, (plain, spread), move_seconds, given.times)
            wrong = as_kept(plain, spread)
            if not done:  # it takes minutes where there are millions
                wrong += [f"flask verify: {name}" for name, each in (("plain", plain), ("in partitions", spread)) if not verified(each)]
            texts, more = at_the_end((plain, spread), sessions, heavy) if step == STEPS[-1] else ([], [])
            yield found, wrong + more, texts
        done = sessions


def at_the_end(databases: tuple[str, str], sessions: int, heavy: int) -> tuple[list[str], list[str]]:
    """Replies and erasures: what is told of them, and what is wrong."""
    marks = in_dump(databases[0], MARK.encode())
    complete = replies(databases[1])
    ended = [*erasures(databases, sessions)]
    wrong = as_kept(*databases)
    wrong += [f"{STREAMS - complete} replies did not come to their end"] if complete < STREAMS else []
    wrong += [f"{each.marks} marks are left: {each.table}" for each in ended if each.marks]
    wrong += [] if marks >= heavy else [f"a dump before held {marks} marks: looking for them shows nothing"]
    said = (
        f"Of {STREAMS} replies streamed at once from the table in partitions {complete} were complete. A dump before the erasures held {marks:,} marked texts."
    )
    return [told(ended), said], wrong


def measure(given: argparse.Namespace) -> tuple[list[str], list[str], str]:
    """What is wrong, what is told, and of which PostgreSQL."""
    heavy = min(100_000, given.messages // 50) // HEAVY_SESSIONS * HEAVY_SESSIONS
    with server() as url, made(url, "plain") as plain:
        migrate(plain)
        steps = [*grow(url, plain, given, heavy)]
        wrong = [line for _, lines, _ in steps for line in lines]
        return wrong, [grown([found for found, _, _ in steps]), *steps[-1][2]], database_facts(plain)["PostgreSQL"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5_000_000, help="of the last of four steps; 20,000 or more")
    parser.add_argument("--times", type=int, default=200, help="how often each request is asked of each table")
    parser.add_argument("--write", action="store_true", help="write the results into docs/scaling.md")
    given = parser.parse_args()
    if given.messages < 20_000:
        parser.error("--messages must be 20,000 or more")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers are stopped and databases dropped
    wrong, texts, postgresql = measure(given)
    measured = f"one connection, each request {given.times} times in turns; median"
    text = "\n\n".join([report.head("partitions", report.machine() | {"PostgreSQL": postgresql, "measured": measured}), *texts])
    print(text)
    if given.write:
        report.write_section("partitions", text, PAGE_OF_RESULTS)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
