"""kill -9 of everything that writes to an SQLite file, in the middle of writing, 500 times; and what a cut of the power would leave.

    python -m tests.faults.sqlite_kills --kills 500        (needs no database)

After each kill the file is asked whether it is whole. One kill in twenty takes the master and the cleanup as well; then, while nobody
has the file open, it and its log are copied, the log is cut at random places, and each such copy must be whole and hold a beginning of
the history: all messages up to one, and no other, with the counters that go with them. A cut falls behind what had been carried over into the
file already, since that happens only once the log is safe on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.databases import say
from tests.faults import judge, rows
from tests.faults.ledger import Run, ledger_run
from tests.faults.service import Service, serving
from tests.faults.verdicts import tell_verdict

WHOLE = 20  # one kill in so many is of everything
CUTS = 6  # of each log that is copied
CARRIED_OVER_AT = 128  # where the index of the log keeps how many of its pages may be in the file by now
HEAD, FRAME_HEAD = 32, 24


@dataclass
class Found:
    """What was looked at."""

    workers: int = 0
    everything: int = 0
    checks: int = 0
    copies: int = 0
    left_of: list[tuple[int, int]] = field(default_factory=list)  # messages in a copy, and in the whole


def integrity(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")] + [str(row) for row in connection.execute("PRAGMA foreign_key_check")]
    return [] if found == ["ok"] else [f"NOT WHOLE: {line}" for line in found]


def cut_copies(file: Path, folder: Path, chance: random.Random, found: Found) -> list[str]:
    """Nobody has the file open. What is wrong with copies whose log ends anywhere."""
    log, index = Path(f"{file}-wal"), Path(f"{file}-shm")
    if not log.exists() or log.stat().st_size <= HEAD:
        return []
    carried = struct.unpack_from("=I", index.read_bytes(), CARRIED_OVER_AT)[0]
    page = struct.unpack(">I", log.read_bytes()[8:12])[0]
    shortest, length = HEAD + carried * (FRAME_HEAD + page), log.stat().st_size
    whole = _copy(file, folder / "whole.db", length)
    wrong = integrity(whole)
    everything = _messages(whole)
    for number in range(CUTS):
        copy = _copy(file, folder / f"cut{number}.db", chance.randint(min(shortest, length), length))
        wrong += integrity(copy)
        there = _messages(copy)
        if there != everything[: len(there)]:
            wrong.append(f"NOT A BEGINNING: a copy holds {len(there)} messages that are not the first of {len(everything)}")
        wrong += judge.counters(rows.read(f"sqlite:///{copy}"))
        found.copies += 1
        found.left_of.append((len(there), len(everything)))
    return wrong


def _copy(file: Path, to: Path, log_bytes: int) -> Path:
    for old in (to, Path(f"{to}-wal"), Path(f"{to}-shm")):
        old.unlink(missing_ok=True)
    shutil.copyfile(file, to)
    Path(f"{to}-wal").write_bytes(Path(f"{file}-wal").read_bytes()[:log_bytes])
    return to


def _messages(file: Path) -> list[tuple[int, str]]:
    """In the order in which they were committed: SQLite has one writer at a time, which draws the next id."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT id, content FROM chat_messages ORDER BY id").fetchall()


def strike(service: Service, run: Run, file: Path, folder: Path, chance: random.Random, found: Found, *, whole: bool) -> None:
    """One kill, and the look at what is left."""
    if whole:
        service.kill()
        found.everything += 1
        run.history.breaches += cut_copies(file, folder, chance, found)
    else:
        until = time.monotonic() + 30
        while not service.kill_workers():
            assert time.monotonic() < until, "no worker came back"
            time.sleep(0.01)
        found.workers += 1
    found.checks += 1
    run.history.breaches += integrity(file)
    if whole:
        service.start()


def go(kills: int, seed: int, folder: Path) -> bool:
    chance, found, file, began = random.Random(seed), Found(), folder / "ledger.db", time.monotonic()
    copies = folder / "copies"
    copies.mkdir()
    with (
        serving(f"sqlite:///{file}", LOG_LEVEL="error", CHAT_THREADS="32") as service,
        ledger_run(service.url, f"sqlite:///{file}", seed=seed, writers=8, readers=2, pause=0.005) as run,
    ):
        for number in range(kills):
            run.until(run.acknowledged + chance.randint(1, 30), seconds=60)
            strike(service, run, file, copies, chance, found, whole=number % WHOLE == WHOLE - 1)
            if not number % 20:
                say(f"{number} of {kills} kills, {run.acknowledged} acknowledged, {len(run.history.breaches)} breaches")
        run.until(run.acknowledged + 100)
    return tell_verdict(
        run.verdict,
        engine="sqlite",
        seed=seed,
        kills_of_all_workers=found.workers,
        kills_of_everything=found.everything,
        integrity_checks=found.checks,
        cut_copies=found.copies,
        cut_copies_that_lack_something=sum(there < everything for there, everything in found.left_of),
        seconds=round(time.monotonic() - began),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chatsvc-ledger-") as folder:
        good = go(given.kills, given.seed, Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
