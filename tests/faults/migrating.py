"""Migrations up and down under load, each second one killed in the middle: nothing lost, writes not held up for long, reads as quick as ever.

    python -m tests.faults.migrating --messages 200000 --rounds 6        (--engine sqlite; a million messages take some minutes to make)

A database with so many messages of others is served by `flask serve`, and the ledger writes and reads. A later release's revisions, made
up here, adds columns to both large tables and, in the next one, an index over each, and takes them away again, over and over, by `flask db` processes; half
of them are killed (-9) at some statement. After each the schema must be that of one revision or the other, whole.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from config import ROOT
from tests.faults.ledger import Run, ledger_run
from tests.faults.parts.databases import database
from tests.faults.parts.service import Service, running
from tests.faults.parts.times import Asker, Found, compared
from tests.faults.told import tell
from tests.migrations import big, processes
from tests.migrations.catalog import catalog, revision
from tests.migrations.conftest import Database
from tests.migrations.later import LAST, NEWEST, write_revisions
from tests.migrations.raw import Raw

BLOCKED_SECONDS = 2.0
QUIET_SECONDS = 10.0
STATEMENTS = 16  # of the made-up revisions, their commits and what goes before them, about


@dataclass
class Later:
    """The migrations of the later release, in a folder of their own."""

    url: str
    folder: Path

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "migrations", self.folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        write_revisions(self.folder / "migrations")

    def migrate(self, way: str, *, dies_at: int | None = None) -> int:
        to = LAST if way == "upgrade" else NEWEST
        with processes.start(self.folder, self.url, "db", way, "-d", str(self.folder / "migrations"), to, dies_at=dies_at) as process:
            code = process.wait(300)
            if code not in (0, -signal.SIGKILL):
                raise SystemExit(f"flask db {way} ended with {code}: {process.output()[-2000:]}")
            return code


def go_round(run: Run, later: Later, rounds: int, seed: int, schemas: dict[str, list[str]]) -> int:
    """Up and down, so many times; how many were killed."""
    chance, killed = random.Random(seed), 0
    with Raw(later.url) as raw:
        for number in range(rounds):
            for way, to in (("upgrade", LAST), ("downgrade", NEWEST)):
                if chance.random() < 0.5:
                    began = run.history.now()
                    code = later.migrate(way, dies_at=chance.randrange(4, STATEMENTS))
                    killed += code != 0
                    _whole(run, raw, schemas, f"round {number}, {way} killed", began)
                began = run.history.now()
                later.migrate(way)
                if revision(raw) != to:
                    run.history.breach(f"round {number}: {way} left revision {revision(raw)}")
                _whole(run, raw, schemas, f"round {number}, {way}", began)
    return killed


def _whole(run: Run, raw: Raw, schemas: dict[str, list[str]], what: str, began: float) -> None:
    """The schema is that of the revision it says, and nobody waited for long."""
    now, here = catalog(raw), str(revision(raw))
    if schemas.setdefault(here, now) != now:
        run.history.breach(f"{what}: the schema is a mix at revision {here}")
    longest = max((one.seconds for one in list(run.history.answers) if one.at + one.seconds >= began), default=0.0)
    if longest > BLOCKED_SECONDS:
        run.history.breach(f"{what}: somebody waited {longest:.1f} s")
    tell(did=what, revision=here, longest_wait=round(longest, 2), messages=run.acknowledged)


def measured(service: Service, run: Run, later: Later, rounds: int, seed: int) -> tuple[Found, Found, int]:
    """Times of reads before and during the migrations, and how many of those were killed."""
    asker = Asker(service.port)
    quiet = asyncio.run(asker.ask(QUIET_SECONDS))
    with Raw(later.url) as raw:
        schemas = {NEWEST: catalog(raw)}
    killed: list[int] = []
    worker = threading.Thread(target=lambda: killed.append(go_round(run, later, rounds, seed, schemas)))
    worker.start()
    found: Found = {}
    while worker.is_alive():
        for name, asked in asyncio.run(asker.ask(2)).items():
            known = found.setdefault(name, asked)
            if known is not asked:
                known.times += asked.times
                known.statuses += asked.statuses
    worker.join()
    if not killed:
        raise SystemExit("the migrations failed")
    return quiet, found, killed[0]


@contextmanager
def filled(engine: str, messages: int) -> Iterator[str]:
    with ExitStack() as stack:
        if engine == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{folder}/big.db"
        else:
            url = stack.enter_context(database())
        began = time.monotonic()
        big.MESSAGES = messages
        made = Database(url)
        big.fill(made)
        made.close()
        tell(messages_there=messages, made_in_seconds=round(time.monotonic() - began))
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--engine", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    tell(seed=given.seed, engine=given.engine)
    with ExitStack() as stack:
        url = stack.enter_context(filled(given.engine, given.messages))
        service = stack.enter_context(running(url, RATELIMIT_ENABLED="false"))
        later = Later(url, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        with ledger_run(service.url, url, seed=given.seed, writers=4, readers=1, pause=0.05, shared=True) as run:
            run.until(100)
            quiet, found, killed = measured(service, run, later, given.rounds, given.seed)
            unanswered = sum(one.status == 0 or one.status >= 500 for one in list(run.history.answers))
            if unanswered:
                tell(service_said=service.log.read_text()[-4000:])
    verdict = run.verdict
    tell(reads=compared(quiet, found))
    tell(killed=killed, messages=verdict.acknowledged, unanswered=unanswered, longest=verdict.longest, breaches=len(verdict.breaches))
    if verdict.breaches:
        tell(breaches=verdict.told())
    sys.exit(1 if verdict.breaches or unanswered else 0)


if __name__ == "__main__":
    main()
