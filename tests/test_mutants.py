"""The wrong lines that `make mutants` makes: each of the kinds that it names, each a module still, and none of words for people."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from tools import covered
from tools.mutants import ROOT, SUBJECTS, Judged, equivalents, judges_of, lines_of, report
from tools.mutations import Mutant, mutants_of

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
    assert len({one.text for one in found}) == len(found) > 15
    for one in found:
        compile(one.text, "mutant", "exec")
        assert one.text != SOURCE
        assert sum(line[:1] == "@" for line in one.diff(SOURCE).splitlines()) == 1


def test_what_is_prepared_once_is_judged_by_those_who_use_it(found: list[Mutant]) -> None:
    tree = ast.parse(SOURCE)
    prepared = next(one for one in found if one.function == "_listed")
    batch = next(one for one in found if not one.function)
    contexts = {5: {"tests/a.py::once"}, 11: {"tests/b.py::asks", "tests/test_rows.py::asks"}, 14: {"tests/c.py::else"}, 1: set[str]()}
    assert lines_of(prepared, tree) == lines_of(batch, tree) == set(range(7, 12))
    assert judges_of(prepared, tree, contexts, random.Random(1)) == ["tests/test_rows.py::asks", "tests/b.py::asks"]
    last = next(one for one in found if one.kind == "and, or")
    assert judges_of(last, tree, contexts, random.Random(1)) == ["tests/c.py::else"]


@pytest.mark.parametrize(("fates", "good"), [(["killed"] * 17 + ["survived"] * 3, True), (["killed"] * 16 + ["survived"] * 4, False), (["not run"], False)])
def test_fewer_than_85_of_100_killed_is_too_few(fates: list[str], good: bool) -> None:
    one = mutants_of(ROOT / "chatsvc/core/stopping.py", ROOT)[0]
    assert report([Judged("lifecycle", one, fate, 1) for fate in [*fates, "equivalent"]], 100) is good


def test_what_is_said_to_be_equivalent_is_a_mutant_and_has_a_reason() -> None:
    names = {one.name for modules in SUBJECTS.values() for module in modules for one in mutants_of(ROOT / f"chatsvc/{module}.py", ROOT)}
    assert equivalents().keys() <= names
    assert all(len(reason) > 20 for reason in equivalents().values())


def test_what_must_be_walked_over_whole_is_there() -> None:
    assert all((ROOT / path).is_file() for path in covered.wanted_whole())
    assert "chatsvc/core/cleanup.py" in covered.wanted_whole()
