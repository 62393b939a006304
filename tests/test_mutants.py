"""The wrong lines that `make mutants` makes: each of the kinds that it names, each a module still, and none of words for people."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from tools import covered
from tools.judges import MOST_SECONDS, Order, Walks, judges_of, lines_of
from tools.mutants import Judged, all_mutants, equivalents, interval, report
from tools.mutations import Mutant, mutants_of
from tools.warm import Result, Say, in_a_copy
from tools.wrong import ROOT, swapped

SOURCE = '''\
"""A module."""
BATCH = 5
@prepared
def _listed():
    return select(Row.id).where(Row.user_id == bindparam("user_id"), Row.gone.is_(None)).order_by(Row.id).limit(BATCH)
def page(user_id):
    """Rows."""
    log.info("asked")
    if not user_id:
        raise NotFound("No such user")
    return read(_listed(), {"user_id": user_id})
def other(a, b):
    note(a)
    return a and b
'''


@pytest.fixture
def found(tmp_path: Path) -> list[Mutant]:
    path = tmp_path / "rows.py"
    path.write_text(SOURCE)
    return mutants_of(path, tmp_path)


def now(found: list[Mutant], kind: str) -> set[str]:
    return {one.now for one in found if one.kind == kind}


def test_every_kind_of_wrong_line_is_made(found: list[Mutant]) -> None:
    head = "(select(Row.id)"
    assert now(found, "condition dropped") == {
        f"{head}.where(Row.gone.is_(None)))",
        f"{head}.where(Row.user_id == bindparam('user_id')))",
        "(a)",
        "(b)",
    }
    assert {"(Row.user_id != bindparam('user_id'))", "(Row.gone.is_not(None))"} == now(found, "comparison")
    assert now(found, "statement removed") == {"pass"}
    assert {one.function for one in found if one.kind == "statement removed"} == {"page", "other"}
    assert now(found, "and, or") == {"(a or b)"}
    assert now(found, "not dropped") == {"(user_id)"}
    assert "(6)" in now(found, "constant")
    assert len(now(found, "clause dropped")) == 2
    assert not any("asked" in one.was or "No such" in one.was for one in found if one.kind == "constant")


def test_each_is_a_module_that_differs_in_one_place(found: list[Mutant]) -> None:
    assert len({one.text for one in found}) == len({one.name for one in found}) == len(found) > 15
    for one in found:
        compile(one.text, "mutant", "exec")
        assert one.text != SOURCE
        assert sum(line[:1] == "@" for line in one.diff(SOURCE).splitlines()) == 1


def test_a_line_is_judged_by_the_tests_that_walk_over_it(found: list[Mutant]) -> None:
    tree = ast.parse(SOURCE)
    contexts = {5: {"tests/a.py::once"}, 11: {"tests/b.py::asks"}, 13: {"tests/c.py::notes"}, 14: {"tests/c.py::else"}, 1: set[str]()}
    last = next(one for one in found if one.kind == "and, or")
    assert judges_of(last, tree, contexts) == {"tests/c.py::else"}
    prepared = next(one for one in found if one.function == "_listed")
    assert judges_of(prepared, tree, contexts) == {"tests/a.py::once"}


def test_a_name_of_the_module_is_judged_by_those_who_use_it(found: list[Mutant]) -> None:
    batch = next(one for one in found if not one.function)
    assert lines_of(batch, ast.parse(SOURCE)) == {5}


TOOK = {"other.py::slow[sqlite]": MOST_SECONDS, "other.py::quick[sqlite]": 0.2, "rows.py::rows[sqlite]": 0.3, "rows.py::rows[postgresql]": 0.4}


def test_who_has_killed_a_neighbour_goes_first_then_one_of_each_file_and_the_quick_ones(found: list[Mutant], tmp_path: Path) -> None:
    walks = Walks(tmp_path / "walks.json")
    walks.add({"seconds": TOOK, "failed": [], "lines": {}})
    order, tests = Order(walks), set(TOOK)
    assert order.of(found[0], tests) == ["rows.py::rows[sqlite]", "other.py::quick[sqlite]", "rows.py::rows[postgresql]", "other.py::slow[sqlite]"]
    order.killed(found[0], "other.py::slow[sqlite]")
    assert order.of(found[0], tests)[0] == "other.py::slow[sqlite]"
    assert [engine for engine, _ in order.batches(found[0], tests)] == ["sqlite", "postgresql"]
    assert order.within_bounds(order.of(found[0], tests)) == ["other.py::slow[sqlite]"]


def test_what_was_walked_over_is_kept_until_a_file_changes(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for file in ("x.py", "tests/a.py", "tests/b.py"):
        (tmp_path / file).write_text("1")
    path, a, b = tmp_path / "kept" / "walks.json", "tests/a.py::one", "tests/b.py::one"
    walks = Walks(path, tmp_path)
    walks.add({"seconds": {a: 1, b: 2}, "failed": [b], "lines": {"x.py": {"3": [a, b, ""], "4": [b]}}})
    walks.keep()
    again = Walks(path, tmp_path)
    assert (again.seconds, again.failed, again.took([a, "c"])) == ({a: 1, b: 2}, {b}, 1.5)
    assert again.lines == {"x.py": {3: {a, b}, 4: {b}}}
    (tmp_path / "tests/b.py").write_text("2")
    again = Walks(path, tmp_path)
    assert (again.seconds, again.failed, again.lines) == ({a: 1}, set(), {"x.py": {3: {a}, 4: set()}})
    (tmp_path / "x.py").write_text("2")
    assert Walks(path, tmp_path).seconds == {}


def test_the_wrong_line_is_the_one_that_runs(tmp_path: Path) -> None:
    """By exchange of a function's code where that is enough, and not where it is not."""
    path = "chatsvc/core/stopping.py"
    module, text = compiled(path), (ROOT / path).read_text()
    functions = [one for one in vars(module).values() if isinstance(one, FunctionType) and one.__module__ == "spoilt"]
    wrong = next(one for one in mutants_of(ROOT / path, ROOT) if one.function == "stop_replies")
    before = functions[0].__code__
    assert swapped(path, text, functions)
    assert functions[0].__code__ is before
    assert swapped(path, wrong.text, functions)
    assert functions[0].__code__ is not before
    assert not swapped(path, text + "def another(): pass", functions)
    assert not swapped(path, wrong.text, [])


def compiled(path: str) -> ModuleType:
    module = ModuleType("spoilt")
    exec(compile((ROOT / path).read_text(), str(ROOT / path), "exec"), vars(module))
    return module


def test_what_becomes_of_a_copy_is_heard() -> None:
    def breaking(say: Say) -> None:
        say("begins", "b")
        os._exit(3)

    def slow(say: Say) -> None:
        say("begins", "c")
        time.sleep(60)

    assert in_a_copy(lambda say: say("passed", ""), 20) == Result("passed", "")
    assert in_a_copy(breaking, 20) == Result("failed", "b")
    assert in_a_copy(slow, 1) == Result("late", "c")


@pytest.mark.parametrize(
    ("fates", "good"), [(["killed"] * 16 + ["hung"] + ["survived"] * 3, True), (["killed"] * 16 + ["survived"] * 4, False), (["not run"], False)]
)
def test_fewer_than_85_of_100_killed_is_too_few(fates: list[str], good: bool) -> None:
    one = mutants_of(ROOT / "chatsvc/core/stopping.py", ROOT)[0]
    assert report([Judged("lifecycle", one, fate, 1) for fate in [*fates, "equivalent"]], 100) is good


def test_the_interval_is_as_wide_as_the_sample_is_small() -> None:
    assert interval(90, 100) == (0.826, 0.945)
    assert interval(900, 1000) == (0.88, 0.917)


def test_what_is_said_to_be_equivalent_is_a_mutant_and_has_a_reason() -> None:
    names = {one.name for _, one in all_mutants()}
    assert equivalents().keys() <= names
    assert all(len(reason) > 20 for reason in equivalents().values())


def test_what_must_be_walked_over_whole_is_there() -> None:
    assert all((ROOT / path).is_file() for path in covered.wanted_whole())
    assert "chatsvc/core/cleanup.py" in covered.wanted_whole()
