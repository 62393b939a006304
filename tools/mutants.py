"""Does a wrong line in what guards people's chats make a test fail? Spoils one line at a time and runs the tests that walk over it.

    python -m tools.mutants --share 0.25 --seed 7            (a quarter of all mutants)
    python -m tools.mutants --only core/cap --share 1
    python -m tools.mutants --again                          (those of the last run that were not killed, after tests were added)

A mutant is killed when a test fails twice with it and passes without it. One that no test fails for has survived, and is shown.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import importlib
import itertools
import json
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from typing import Any

from tools import judges, warm
from tools.mutations import SUBJECTS, Mutant, mutants_of
from tools.warm import COLD, ENGINES, Job, Result
from tools.wrong import ROOT

EQUIVALENT = ROOT / "tools" / "equivalent.toml"
JUDGED, WALKS = ROOT / ".mutants" / "judged.json", ROOT / ".mutants" / "walks.json"
GOAL = 0.85
# How long a copy may take: so many times what its tests took when lines were counted, and some more for a busy machine.
TIMES_AS_LONG, MORE_SECONDS, COLD_SECONDS = 6, 20, 90
WALK_AT_ONCE, WALK_SECONDS = 15, 300


@dataclass
class Judged:
    """A mutant and what became of it."""

    subject: str
    mutant: Mutant
    fate: str  # killed, hung (which no test would miss either), survived, not run, equivalent
    tests: int
    by: str = ""


@dataclass
class Bench:
    """Processes that judge: one of each kind."""

    ends: dict[str, Connection]
    early: set[tuple[str, str]] = field(default_factory=set)
    tests: dict[str, list[str]] = field(default_factory=dict)

    def ask(self, kind: str, job: Job) -> Result:
        self.ends[kind].send(job)
        found: Result = self.ends[kind].recv()
        return found


class Judge:
    """Knows which tests pass as things are, and which have killed."""

    def __init__(self, walks: judges.Walks, paths: set[str], there: set[str]) -> None:
        self.there = there
        self.walks, self.order = walks, judges.Order(walks)
        self.trees = {path: ast.parse((ROOT / path).read_text()) for path in paths}
        self.good, self.bad = set[str](), set(walks.failed)

    def of(self, mutant: Mutant, bench: Bench) -> tuple[str, int, str]:
        """What becomes of it, how many tests were asked, and which has noticed."""
        tests = judges.judges_of(mutant, self.trees[mutant.path], self.walks.lines[mutant.path]) & self.there - self.bad
        asked = 0
        cold = not mutant.function or (mutant.path, mutant.function) in bench.early
        for engine, batch in self.order.batches(mutant, tests):
            waiting = batch
            while waiting:
                result = Result(warm.CANNOT) if cold else bench.ask(engine, self.job(mutant, waiting, COLD if cold else engine))
                cold = cold or result.fate == warm.CANNOT
                if cold and result.fate == warm.CANNOT:
                    result = bench.ask(COLD, self.job(mutant, waiting, COLD))
                test = result.test or waiting[0]
                done = len(waiting) if result.fate == warm.PASSED else waiting.index(test) + 1 if test in waiting else 1
                asked += done
                if result.fate != warm.PASSED and self.sure(mutant, result.fate, test, bench, COLD if cold else engine):
                    self.order.killed(mutant, test)
                    return ("killed" if result.fate == warm.FAILED else "hung"), asked, test
                waiting = waiting[done:]
        return ("survived" if asked else "not run"), asked, ""

    def sure(self, mutant: Mutant, fate: str, test: str, bench: Bench, kind: str) -> bool:
        """Whether this test does the same again with the wrong line; and passes without it, which one that was walked with has shown already."""
        if kind == COLD and test not in self.good:
            if bench.ask(kind, self.job(None, [test], kind)).fate != warm.PASSED:
                self.bad.add(test)
                print(f"not asked any more, since it fails as things are: {test}", flush=True)  # noqa: T201
                return False
            self.good.add(test)
        return bench.ask(kind, self.job(mutant, [test], kind)).fate == fate

    def job(self, mutant: Mutant | None, tests: list[str], kind: str) -> Job:
        seconds = MORE_SECONDS + TIMES_AS_LONG * self.walks.took(tests) + (COLD_SECONDS if kind == COLD else 0)
        return Job(mutant.path if mutant else "", mutant.text if mutant else "", tests, seconds)


@functools.cache
def all_mutants() -> list[tuple[str, Mutant]]:
    return [(subject, one) for subject, modules in SUBJECTS.items() for module in modules for one in mutants_of(ROOT / f"chatsvc/{module}.py", ROOT)]


def equivalents() -> dict[str, str]:
    """Mutants that mean the same as the line they were made of, each with the reason."""
    return {name: one["reason"] for one in tomllib.loads(EQUIVALENT.read_text())["equivalent"] for name in one["mutants"]}


def chosen(share: float, only: str, seed: int) -> list[tuple[str, Mutant]]:
    """By chance, in an order of chance: where a run is stopped, what was judged is a sample too."""
    some = [pair for pair in all_mutants() if only in pair[1].path]
    # A draw that can be repeated.
    return random.Random(seed).sample(some, max(1, round(len(some) * share)))  # noqa: S311  # nosec B311


def benches(amount: int) -> list[Bench]:
    """Begins the processes that judge: each with its end of a pipe, and nobody else's, so that it ends when we do."""
    for name in warm.LOADED:
        importlib.import_module(name)
    pipes = {kind: [multiprocessing.Pipe() for _ in range(amount)] for kind in (*ENGINES, COLD)}
    every = [end for some in pipes.values() for pair in some for end in pair]
    warm_ends = {kind: [theirs for _, theirs in pipes[kind]] for kind in ENGINES}
    _begin(every, [end for some in warm_ends.values() for end in some], lambda: warm.load(sorted(files()), warm_ends))
    for _, end in pipes[COLD]:
        _begin(every, [end], lambda end=end: warm.serve_cold(end))  # type: ignore[misc]
    for some in pipes.values():
        for _, end in some:
            end.close()
    found = [Bench({kind: some[number][0] for kind, some in pipes.items()}) for number in range(amount)]
    for one in found:
        for kind, end in one.ends.items():
            early, one.tests[kind] = end.recv()
            one.early |= early
    return found


def files() -> list[str]:
    """Those whose tests are asked."""
    some = [path for asked in judges.ASKED for path in ([ROOT / asked] if asked.endswith(".py") else (ROOT / asked).rglob("test_*.py"))]
    return [str(path.relative_to(ROOT)) for path in some if not any(word in path.name for word in judges.NOT_ASKED)]


def _begin(every: list[Connection], kept: list[Connection], work: Callable[[], None]) -> None:
    if os.fork() == 0:
        try:
            os.setsid()
            for end in every:
                if end not in kept:
                    end.close()
            work()
        except BaseException:  # whatever it is: nobody above this would say it
            traceback.print_exc()
        finally:
            os._exit(0)


def walk(found: list[Bench], walks: judges.Walks) -> None:
    """Lets the tests of which it is not known yet say what they walk over, some at a time."""
    waiting: dict[str, list[list[str]]] = {}
    for kind in ENGINES:
        new = [test for test in found[0].tests[kind] if test not in walks.seconds]
        waiting[kind] = [new[at : at + WALK_AT_ONCE] for at in range(0, len(new), WALK_AT_ONCE)]

    def work(bench: Bench, kind: str, into: Path) -> None:
        with contextlib.suppress(IndexError):
            while some := waiting[kind].pop():
                result = bench.ask(kind, Job("", "", some, WALK_SECONDS, walk=str(into)))
                if result.fate == warm.PASSED:
                    walks.add(json.loads(into.read_text()))
                    walks.keep()
                else:  # a test that does not end, or ends the process, is asked nothing
                    walks.add({"seconds": {result.test: 0.0}, "failed": [result.test], "lines": {}})
                    rest = [test for test in some if test != result.test]
                    waiting[kind] += [rest] if rest else []  # an empty one would end the walk

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(found) * len(ENGINES)) as pool:
        pairs = enumerate(itertools.product(found, ENGINES))
        for done in [pool.submit(work, bench, kind, Path(folder) / str(number)) for number, (bench, kind) in pairs]:
            done.result()
    walks.keep()
    print(f"{len(walks.seconds)} tests; not asked, since they fail as things are: {sorted(walks.failed)}", flush=True)  # noqa: T201


def run(some: list[tuple[str, Mutant]], workers: int, until: float) -> list[Judged]:
    known, judged, free = equivalents(), list[Judged](), Queue[Bench]()
    found, walks = benches(workers), judges.Walks(WALKS)
    walk(found, walks)
    judge = Judge(walks, {mutant.path for _, mutant in some}, {test for tests in found[0].tests.values() for test in tests})
    for bench in found:
        free.put(bench)

    def one(subject: str, mutant: Mutant) -> None:
        if mutant.name in known:
            judged.append(Judged(subject, mutant, "equivalent", 0))
        elif time.monotonic() < until:
            bench, began = free.get(), time.monotonic()
            judged.append(Judged(subject, mutant, *judge.of(mutant, bench)))
            free.put(bench)
            last = judged[-1]
            keep(judged)
            print(f"{last.fate:9} {time.monotonic() - began:5.1f} s {mutant.name} ({last.tests} tests) {last.by}", flush=True)  # noqa: T201

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(one, *pair) for pair in some]:
            done.result()
    for bench in found:
        for end in bench.ends.values():
            end.send(None)
    return judged


def interval(part: int, whole: int) -> tuple[float, float]:
    """Between which shares the true one lies, 95 times of 100 (Wilson)."""
    z, share = 1.96, part / whole
    middle, half = share + z * z / (2 * whole), z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return round((middle - half) / (1 + z * z / whole), 3), round((middle + half) / (1 + z * z / whole), 3)


def report(judged: list[Judged], amount: int) -> bool:
    """Says what came of it; whether enough were killed."""
    figures: dict[str, Any] = {}
    for subject in (*SUBJECTS, "all"):
        fates = Counter(one.fate for one in judged if subject in ("all", one.subject))
        dead, alive = fates["killed"] + fates["hung"], fates["survived"] + fates["not run"]
        if dead + alive:
            figures[subject] = {**fates, "share_killed": round(dead / (dead + alive), 3), "interval_95": interval(dead, dead + alive)}
    for one in sorted(judged, key=lambda one: (one.mutant.path, one.mutant.line)):
        if one.fate in ("survived", "not run"):
            print(f"\n{one.fate} ({one.mutant.kind}): {one.mutant.name}\n{one.mutant.diff((ROOT / one.mutant.path).read_text())}")  # noqa: T201
    print(json.dumps({"mutants": amount, "judged": len(judged), **figures}))  # noqa: T201
    return bool(figures) and figures["all"]["share_killed"] >= GOAL


def keep(judged: list[Judged]) -> None:
    JUDGED.parent.mkdir(exist_ok=True)
    JUDGED.write_text(json.dumps({one.mutant.name: (one.fate, one.tests, one.by) for one in judged}, indent=0))


def remembered() -> dict[str, tuple[str, int, str]]:
    """What became of each mutant in the last run."""
    return {name: (fate, tests, by) for name, (fate, tests, by) in json.loads(JUDGED.read_text()).items()} if JUDGED.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.1, help="how much of all mutants, drawn by the seed")
    parser.add_argument("--only", default="", help="part of a module's path")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600, help="begin no mutant after so long")
    parser.add_argument("--again", action="store_true", help="those of the last run that were not killed; says how all of that run stand now")
    given = parser.parse_args()
    every, last = all_mutants(), remembered()
    alive = [pair for pair in every if last.get(pair[1].name, ("killed",))[0] in ("survived", "not run")]
    some = alive if given.again else chosen(given.share, given.only, given.seed)
    judged = run(some, given.workers, time.monotonic() + given.minutes * 60)
    if given.again:
        anew = {one.mutant.name for one in judged}
        judged += [Judged(subject, one, *last[one.name]) for subject, one in every if one.name in last and one.name not in anew]
    keep(judged)
    sys.exit(0 if report(judged, len(every)) else 1)


if __name__ == "__main__":
    main()
