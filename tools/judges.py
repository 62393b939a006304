"""Which tests judge a wrong line, and in which order: those that walk over it, the likeliest to notice first."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.mutations import Mutant
from tools.warm import ENGINES, is_of
from tools.wrong import ROOT

# What runs a service of its own (whose lines are not spoilt), asks for every route in turn, or says nothing of these modules.
ASKED = ("tests/core", "tests/api", "tests/commands/test_cleanup.py", "tests/commands/test_users.py")
NOT_ASKED: tuple[str, ...] = (
    "test_cost",
    "test_openapi",
    "test_hostile_input",
    "test_query_plans",
    "test_headers",
    "test_growth",
    "test_real_server",
    "_served",
    "test_hung",
)
NOT_ASKED += (
    "test_circuit",
    "test_personas",
    "test_fields",
    "test_address",
    "test_paging",
    "test_passwords",
    "test_patience",
    "test_stat",
    "test_exchange_stats",
)
NOT_ASKED += ("test_title_search", "test_errors", "test_limits", "test_troubleshooting", "test_chat_fanout", "test_reading", "test_ids", "test_session_list")
NOT_ASKED += ("test_chat_upstreams", "test_operations", "test_webhook_faults", "test_spec_", "test_cleanup_race", "test_throttle", "test_authorization")
NOT_ASKED += ("test_aside", "test_verify", "test_register", "test_refusals", "test_door", "test_chat_titles")
FIRST, MOST, MOST_SECONDS = 30, 300, 180.0
UNKNOWN_SECONDS = 0.5


def lines_of(mutant: Mutant, tree: ast.Module) -> set[int]:
    """The lines whose tests judge this mutant. A name of the module is judged by those who use it."""
    if mutant.function:
        return set(range(mutant.line, mutant.last_line + 1))
    statement = next(node for node in tree.body if node.lineno == mutant.line)
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    users = [node for node in functions if any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node))]
    return {line for node in users for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)} or set(range(1, 10_000))


def judges_of(mutant: Mutant, tree: ast.Module, contexts: dict[int, set[str]]) -> set[str]:
    """The tests that run these lines; where none does, as a line that only says what follows has none, those of its function."""
    wanted = lines_of(mutant, tree)
    found = {test for line, tests in contexts.items() if line in wanted for test in tests}
    if found or not mutant.function:
        return found
    around = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == mutant.function)
    return {test for line, tests in contexts.items() if around.lineno < line <= (around.end_lineno or 0) for test in tests}


class Walks:
    """What each test walked over, how long it took, and which failed; kept from run to run, for as long as what is spoilt and the file of the test
    are what they were."""

    def __init__(self, path: Path, root: Path = ROOT) -> None:
        self.path, self.root = path, root
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        digests: dict[str, str] = found.get("digests", {})
        changed = {file for file, digest in digests.items() if digest != self._digest(file)}
        if any(not file.startswith("tests/") for file in changed):
            found = {}  # its lines stand elsewhere now
        self.seconds: dict[str, float] = found.get("seconds", {})
        self.failed: set[str] = set(found.get("failed", ()))
        self.lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        names = list(self.seconds)
        for file, lines in found.get("lines", {}).items():
            for line, tests in lines.items():
                self.lines[file][int(line)] = {names[number] for number in tests}
        self._lock = threading.Lock()
        self._forget({test for test in self.seconds if test.partition("::")[0] in changed})

    def _forget(self, tests: set[str]) -> None:
        self.failed -= tests
        self.seconds = {test: seconds for test, seconds in self.seconds.items() if test not in tests}
        for some in (some for lines in self.lines.values() for some in lines.values()):
            some.difference_update(tests)

    def _digest(self, file: str) -> str:
        path = self.root / file
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    def add(self, found: dict[str, Any]) -> None:
        with self._lock:
            self.seconds |= found["seconds"]
            self.failed |= set(found["failed"])
            for file, lines in found["lines"].items():
                for line, tests in lines.items():
                    self.lines[file][int(line)] |= {test for test in tests if test in self.seconds}

    def keep(self) -> None:
        with self._lock:
            numbers = {test: number for number, test in enumerate(self.seconds)}
            lines = {file: {line: sorted(numbers[test] for test in tests) for line, tests in some.items()} for file, some in self.lines.items()}
            self.path.parent.mkdir(exist_ok=True)
            digests = {file: self._digest(file) for file in {*self.lines, *(test.partition("::")[0] for test in self.seconds)}}
            self.path.write_text(json.dumps({"seconds": self.seconds, "failed": sorted(self.failed), "lines": lines, "digests": digests}))

    def took(self, tests: Iterable[str]) -> float:
        return sum(self.seconds.get(test, UNKNOWN_SECONDS) for test in tests)


class Order:
    """Who goes first: what has killed a neighbour; then one of each file in turn, those of the module's own name before the others, the quick ones first."""

    def __init__(self, walks: Walks) -> None:
        self.walks = walks
        self.killers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def killed(self, mutant: Mutant, test: str) -> None:
        self.killers[mutant.path, mutant.function][test] += 1

    def of(self, mutant: Mutant, tests: set[str]) -> list[str]:
        stem = Path(mutant.path).stem.rstrip("s")
        known = [test for test, _ in self.killers[mutant.path, mutant.function].most_common(5) if test in tests]
        files: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests - set(known), key=lambda test: (self.walks.took([test]), test)):
            files[test.partition("::")[0]].append(test)
        some = sorted(files, key=lambda file: (stem not in file, self.walks.took(files[file][:1])))
        return known + [test for turn in itertools.zip_longest(*(files[file] for file in some)) for test in turn if test is not None]

    def batches(self, mutant: Mutant, tests: set[str]) -> list[tuple[str, list[str]]]:
        """A few on each engine, then the rest, up to a bound."""
        found, rest = [], []
        for engine in ENGINES:
            mine = self.within_bounds([test for test in self.of(mutant, tests) if is_of(engine, test)])
            found.append((engine, mine[:FIRST]))
            rest.append((engine, mine[FIRST:]))
        return [batch for batch in [*found, *rest] if batch[1]]

    def within_bounds(self, tests: Sequence[str]) -> list[str]:
        spent = itertools.accumulate(self.walks.took([test]) for test in tests)
        return [test for test, seconds in zip(tests[:MOST], spent, strict=False) if seconds <= MOST_SECONDS] or list(tests[:1])
