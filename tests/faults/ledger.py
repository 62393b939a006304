"""A ledger of everything that was written and seen while something is broken on purpose, and the verdict on it.

    with ledger_run(service_url, database_url, seed=7) as run:
        run.until(1000)            # writers and readers are at work; break things here
        kill_something()
        run.until(2000)
    assert not run.verdict.breaches, run.verdict.told()

Writers and readers of several users work in threads of this process until the block ends. The service and the database must be in
order again by then: what nobody knows the outcome of is asked again with its Idempotency-Key, and the ledger is held against the
rows (read by the driver), against HTTP and against `flask verify`. What is promised, and called a breach where it does not hold:

- acknowledged: exactly one equal row, under the id that was told; refused: none; unknown: none or one, and after the retry exactly one
  (of those without a key: none or one). Nothing is there that is in no ledger.
- an answer is 2xx, what was asked for on purpose (400, 404), 503 with Retry-After, or none because the connection was lost; it never
  takes half a minute. `run.history.answers` has each with its time, for bounds that a fault sets itself.
- at each position of a session all readers saw the same message, by every way of reading, and it is there at the end: no gap, no other
  order, no other content. What was acknowledged before a read began is in it; counter and preview are those of the same moment.
- nobody saw a row of somebody else, and what was acknowledged before another was begun stands before it.
- message_count, last_message, last_message_at and title are what the rows say.

All chance comes from the seed. The history (JSON lines, each on disk before the next thing happens) is deleted after a good run and
kept, its folder named, after a bad one.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.streams import ROOT, SECRET
from tests.faults import judge, rows
from tests.faults.history import OK, UNKNOWN, Connect, History, plain
from tests.faults.readers import Reader
from tests.faults.writers import Desk, Writer

LONGEST_START = 60.0


@dataclass
class Verdict:
    """What came of a run."""

    seed: int
    acknowledged: int  # messages
    refused: int
    retried: int  # those whose outcome nobody knew, asked again at the end
    reads: int
    positions: int  # distinct ones that readers saw
    answers: dict[int, int]  # how many of each status; 0: the connection was lost
    longest: float  # seconds that an answer took
    breaches: list[str] = field(default_factory=list)
    history: str | None = None  # the folder, after a bad run

    def told(self) -> str:
        shown = "\n".join(self.breaches[:20])
        return f"seed {self.seed}, {len(self.breaches)} breaches, history in {self.history}:\n{shown}"


class Run:
    """A run under way."""

    def __init__(self, history: History, writers: list[Writer], readers: list[Reader]) -> None:
        self.history, self.writers, self.readers = history, writers, readers
        self.actors: list[Writer | Reader] = [*writers, *readers]
        self.verdict: Verdict = Verdict(history.seed, 0, 0, 0, 0, 0, {}, 0.0, ["the run did not come to its end"])

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged so far."""
        with self.history.lock:
            return sum(self.history.acknowledged.values())

    def until(self, acknowledged: int, seconds: float = 120.0) -> None:
        """Waits until so many messages have been acknowledged; that it takes too long is a breach."""
        end = time.monotonic() + seconds
        while self.acknowledged < acknowledged:
            if time.monotonic() > end or any(one.failed for one in self.actors):
                self.history.breach(f"{self.acknowledged} messages and not {acknowledged} were acknowledged within {seconds:.0f} s")
                return
            time.sleep(0.02)


@contextlib.contextmanager
def ledger_run(
    service_url: str,
    database_url: str,
    *,
    seed: int,
    writers: int = 6,
    readers: int = 2,
    users: int = 2,
    pause: float = 0.0,
    verify: bool = True,
    shared: bool = False,
    connect: Connect = plain,
) -> Iterator[Run]:
    """Writers and readers at work while the block runs; `run.verdict` afterwards.

    The service must have RATELIMIT_ENABLED=false and the JWT secret of bench.streams (`served` gives it both, given the first). The
    database may hold nothing but what this run writes. `pause` is how long a writer rests between two messages on average.
    `connect` is how everybody reaches the service. With `shared` the database holds rows of other users too, which are left alone.
    """
    history = History(Path(tempfile.mkdtemp(prefix="chatsvc-ledger-")), seed, connect)
    desks = [Desk(f"user-{number}") for number in range(users)]

    def others(desk: Desk) -> list[Desk]:
        return [other for other in desks if other is not desk]

    run = Run(
        history,
        [Writer(number, service_url, desks[number % users], others(desks[number % users]), history, pause) for number in range(writers)],
        [Reader(number, service_url, desks[number % users], others(desks[number % users]), history, max(pause, 0.03)) for number in range(readers)],
    )
    for one in run.actors:
        one.start()
    try:
        yield run
    finally:
        _stop(run)
        run.verdict.history = str(history.folder)
    run.verdict = _judge(run, service_url, database_url, verify=verify, shared=shared)
    if not run.verdict.breaches:
        shutil.rmtree(history.folder)


def _stop(run: Run) -> None:
    for one in run.actors:
        one.leave.set()
    for one in run.actors:
        one.join(60)
        if one.is_alive() or one.failed:
            run.history.breach(f"{one.name} {f'failed: {one.failed!r}' if one.failed else 'hangs'}")


def _judge(run: Run, service_url: str, database_url: str, *, verify: bool, shared: bool) -> Verdict:
    history = run.history
    _until_ready(history, service_url)
    before = history.now()
    in_doubt = [entry for entry in history.entries if entry.outcome == UNKNOWN]
    history.breaches += judge.against_rows(history, rows.read(database_url, shared=shared), settled=False)
    _settle(run)
    found = rows.read(database_url, shared=shared)
    history.breaches += judge.against_rows(history, found, settled=True)
    for check in (judge.counters(found), judge.order(history, found), judge.seen(history, found), judge.over_http(service_url, history, found)):
        history.breaches += check
    if verify:
        history.breaches += flask_verify(database_url)
    answers = [answer for answer in history.answers if answer.at < before]
    return Verdict(
        seed=history.seed,
        acknowledged=sum(entry.kind == "message" and entry.allowed and entry.outcome == OK for entry in history.entries),
        refused=sum(not entry.allowed for entry in history.entries),
        retried=len(in_doubt),
        reads=history.reads,
        positions=sum(len(one.at) for one in history.seen.values()),
        answers=dict(sorted(Counter(answer.status for answer in answers).items())),
        longest=round(max((answer.seconds for answer in answers), default=0.0), 2),
        breaches=list(dict.fromkeys(history.breaches)),
        history=str(history.folder),
    )


def _settle(run: Run) -> None:
    """Everybody asks again what they do not know."""
    of_user: dict[str, Writer] = {}
    for writer in run.writers:
        of_user.setdefault(writer.desk.user, writer)
    for entry in run.history.entries:
        if entry.outcome == UNKNOWN and entry.key:
            of_user[entry.user].settle(entry)
    for writer in of_user.values():
        writer.client.close()
    for one in run.actors:
        one.journal.close()


def flask_verify(database_url: str, root: Path = ROOT) -> list[str]:
    """What `flask verify` says is wrong."""
    environ = {**os.environ, "DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "error"}
    done = subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=root, env=environ, check=False, capture_output=True, text=True)
    return [] if done.returncode == 0 else [f"flask verify: {line}" for line in (done.stdout + done.stderr).splitlines()[-20:]]


def _until_ready(history: History, service_url: str) -> None:
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(history.connect(service_url)) as connection:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the service has not become ready again")
