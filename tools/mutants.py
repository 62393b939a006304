"""Does a wrong line in what guards people's chats make a test fail? Spoils one line at a time and runs the tests that walk over it.

    python -m tools.mutants --share 0.1 --seed 7             (a tenth of all mutants; needs what `make coverage` has written down)
    python -m tools.mutants --only core/cap --share 1

A mutant is judged by the tests that, by the coverage data, run its lines: first some that stand nearest to its module, then, if it is
still alive, all of them that there are on both engines, up to a bound. One that no test fails for has survived, and is shown.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from coverage import CoverageData

from tools.mutations import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".coverage" / "data"
EQUIVALENT = ROOT / "tools" / "equivalent.toml"
SUBJECTS = {
    "ownership": ("core/sessions", "core/messages"),
    "lifecycle": ("core/endings", "core/exchanges", "core/cancelling", "core/stopping", "core/turns", "core/replies"),
    "idempotency": ("core/idempotency", "api/common/once"),
    "auth": ("api/common/caller", "api/common/keys", "core/tokens", "core/users"),
    "cleanup": ("core/cleanup", "core/cap"),
}
NEAR, ALL = 12, 400
FIRST_SECONDS, SECONDS = 150, 900
GOAL = 0.85
PASSED, FAILED, NOT_RUN = 10, 11, 12  # how a run of tests ends; anything else is a fault of this program
# What all tests need is loaded once, by a process that has no threads; each run is a child of it.
_fork = multiprocessing.get_context("forkserver")
LOADED = ["pytest", "flask", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "marshmallow", "psycopg2", "argon2", "jsonschema_rs"]
LOADED += ["flask_jwt_extended", "flask_migrate", "alembic.command", "httpx2", "orjson", "apispec.ext.marshmallow"]


@dataclass
class Judged:
    """A mutant and what became of it."""

    subject: str
    mutant: Mutant
    fate: str  # killed, timed out, survived, not run, equivalent
    tests: int
    reason: str = ""


def lines_of(mutant: Mutant, tree: ast.Module) -> set[int]:
    """The lines whose tests judge this mutant. What runs once for all tests (a prepared statement, a name of the module) is judged by who uses it."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    names = {mutant.function} if _runs_once(functions.get(mutant.function)) else set()
    if not mutant.function:
        statement = next(node for node in tree.body if node.lineno == mutant.line)
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if not names:
        return set(range(mutant.line, mutant.last_line + 1))
    lines: set[int] = set()
    for _ in range(2):  # a statement may be built out of another
        users = [node for node in functions.values() if any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node)) and node.name not in names]
        lines |= {line for node in users if not _runs_once(node) for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}
        names |= {node.name for node in users if _runs_once(node)}
    return lines or set(range(1, 10_000))


def _runs_once(function: ast.FunctionDef | None) -> bool:
    return function is not None and any(isinstance(one, ast.Name) and one.id == "prepared" for one in function.decorator_list)


def judges_of(mutant: Mutant, tree: ast.Module, contexts: dict[int, set[str]], chance: random.Random) -> list[str]:
    """The tests that run these lines, those of the module's own name first."""
    lines = lines_of(mutant, tree)
    order = sorted({test for line, tests in contexts.items() if line in lines for test in tests})
    chance.shuffle(order)
    stem = Path(mutant.path).stem.rstrip("s")
    return sorted(order, key=lambda test: stem not in test.partition("::")[0])


def walked(data: CoverageData, path: str) -> dict[int, set[str]]:
    """By line: the tests that run it."""
    found = data.contexts_by_lineno(str(ROOT / path))
    return {line: {context.rpartition("|")[0] for context in contexts if "::" in context} for line, contexts in found.items()}


def copied(into: Path) -> Path:
    """A tree of its own; what is not code is a link to ours."""
    leave = shutil.ignore_patterns(".git", ".venv*", "instance", ".coverage", ".hypothesis", "__pycache__", ".*_cache", "mutants")
    shutil.copytree(ROOT, into, copy_function=lambda a, b: shutil.copy2(a, b) if a.endswith(".py") else os.link(a, b), ignore=leave)
    (into / ".venv").symlink_to(ROOT / ".venv")
    return into


class Only:
    """Lets these tests run and no others of their files; takes the names of those that fail."""

    def __init__(self, tests: list[str]) -> None:
        self.wanted = set(tests)
        self.found: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.wanted]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found.append(report.nodeid)


def _run(tree: Path, tests: list[str], into: Path | None) -> None:
    """In a process of its own: the tests, until one fails; or all of them, and which failed is written down."""
    os.setsid()
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "chatsvc", "bench", "tools", "config", "config_secrets", "config_values")]:
        del sys.modules[name]
    out, only = io.StringIO(), Only(tests)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        files = sorted({test.partition("::")[0] for test in tests})
        quiet = ["-q", *(["-x"] if into is None else []), *(word for name in ("cacheprovider", "cov", "rerunfailures") for word in ("-p", f"no:{name}"))]
        code = pytest.main([*quiet, *files], plugins=[only])
    if os.environ.get("CHAT_MUTANTS_SHOW"):
        os.write(2, out.getvalue().encode())
    if into is not None:
        into.write_text(json.dumps(only.found))
    # A wrong line may keep the tests from being loaded at all; that they are not there is another matter.
    failed = code in (1, 2, 3) or (code == 4 and "loading conftest" in out.getvalue())
    os._exit(FAILED if failed else PASSED if code == 0 else NOT_RUN)


def fails(tree: Path, tests: list[str], seconds: float, into: Path | None = None) -> str:
    """What becomes of a tree under these tests."""
    process = _fork.Process(target=_run, args=(tree, tests, into))
    process.start()
    process.join(seconds)
    late = process.exitcode is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)  # and whatever service it has started
    process.join()
    return "timed out" if late else {PASSED: "survived", FAILED: "killed"}.get(process.exitcode or 0, "not run")


def judge(mutant: Mutant, tree: Path, tests: list[str]) -> tuple[str, int]:
    file = tree / mutant.path
    file.write_text(mutant.text)
    try:
        for some, seconds in ((near(tests), FIRST_SECONDS), (tests[:ALL], SECONDS)):
            if some and (fate := fails(tree, some, seconds)) != "survived":
                return fate, len(some)
        return ("survived", min(ALL, len(tests))) if tests else ("not run", 0)
    finally:
        shutil.copy2(ROOT / mutant.path, file)


def equivalents() -> dict[str, str]:
    """Mutants that mean the same as the line they were made of, each with the reason."""
    return {one["mutant"]: one["reason"] for one in tomllib.loads(EQUIVALENT.read_text())["equivalent"]}


def chosen(share: float, only: str, seed: int) -> list[tuple[str, Mutant]]:
    chance = random.Random(seed)  # noqa: S311
    found = [(subject, one) for subject, modules in SUBJECTS.items() for module in modules for one in mutants_of(ROOT / f"chatsvc/{module}.py", ROOT)]
    some = [pair for pair in found if only in pair[1].path]
    return chance.sample(some, max(1, round(len(some) * share)))


def near(tests: list[str]) -> list[str]:
    return [test for test in tests if "postgresql" not in test][:NEAR] or tests[:NEAR]


def unsound(tree: Path, tests: set[str]) -> set[str]:
    """Those that fail as things are, of which no mutant may be said to have been killed."""
    into = tree / "failed.json"
    fate = fails(tree, sorted(tests), SECONDS * 3, into)
    if fate not in ("survived", "killed"):
        sys.exit(f"The tests do not run here: {fate}")
    return set(json.loads(into.read_text()))


def run(some: list[tuple[str, Mutant]], workers: int, seed: int, until: float) -> list[Judged]:
    data = CoverageData(str(DATA))
    data.read()
    trees = {path: ast.parse((ROOT / path).read_text()) for path in {mutant.path for _, mutant in some}}
    contexts = {path: walked(data, path) for path in trees}
    chance = random.Random(seed)  # noqa: S311
    plans = [(*pair, judges_of(pair[1], trees[pair[1].path], contexts[pair[1].path], chance)) for pair in some]
    known, judged = equivalents(), list[Judged]()
    free: Queue[Path] = Queue()

    def one(subject: str, mutant: Mutant, tests: list[str]) -> None:
        if mutant.name in known:
            judged.append(Judged(subject, mutant, "equivalent", 0, known[mutant.name]))
            return
        tree = free.get()
        try:
            fate, amount = judge(mutant, tree, [test for test in tests if test not in bad]) if time.monotonic() < until else ("", 0)
        finally:
            free.put(tree)
        if fate:
            judged.append(Judged(subject, mutant, fate, amount))
            print(f"{fate:10} {mutant.kind:22} {mutant.path}:{mutant.line} ({amount} tests)", flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder:  # hard links do not cross disks
        for number in range(workers):
            free.put(copied(Path(folder) / str(number)))
        bad = unsound(free.queue[0], {test for _, _, tests in plans for test in near(tests)})
        print(f"not asked, since they fail as things are: {sorted(bad)}", flush=True)  # noqa: T201
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda plan: one(*plan), plans))
    return judged


def report(judged: list[Judged], amount: int) -> bool:
    """Says what came of it; whether enough were killed."""
    figures: dict[str, Any] = {}
    for subject in (*SUBJECTS, "all"):
        fates = Counter(one.fate for one in judged if subject in ("all", one.subject))
        killed, alive = fates["killed"], fates["survived"] + fates["not run"] + fates["timed out"]  # on a busy machine a run may take long for no reason
        if killed + alive:
            figures[subject] = {**fates, "share_killed": round(killed / (killed + alive), 3)}
    for one in judged:
        if one.fate in ("survived", "not run", "timed out"):
            print(f"\n{one.fate} ({one.mutant.kind}): {one.mutant.name}\n{one.mutant.diff((ROOT / one.mutant.path).read_text())}")  # noqa: T201
    print(json.dumps({"mutants": amount, "judged": len(judged), **figures}, indent=1))  # noqa: T201
    return bool(figures) and figures["all"]["share_killed"] >= GOAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="how much of all mutants, drawn by the seed")
    parser.add_argument("--only", default="", help="part of a module's path")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600, help="begin no mutant after so long")
    given = parser.parse_args()
    if not DATA.exists():
        sys.exit("Which test runs which line is not known yet: make coverage")
    amount = sum(len(mutants_of(ROOT / f"chatsvc/{module}.py", ROOT)) for modules in SUBJECTS.values() for module in modules)
    _fork.set_forkserver_preload(LOADED)
    judged = run(chosen(given.share, given.only, given.seed), given.workers, given.seed, time.monotonic() + given.minutes * 60)
    sys.exit(0 if report(judged, amount) else 1)


if __name__ == "__main__":
    main()
