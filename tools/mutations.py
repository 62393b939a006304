"""Wrong lines made of right ones: each way to spoil a statement by a little, one at a time."""

from __future__ import annotations

import ast
import copy
import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# What guards people's chats.
SUBJECTS = {
    "ownership": ("core/sessions", "core/messages"),
    "lifecycle": ("core/endings", "core/exchanges", "core/cancelling", "core/stopping", "core/turns", "core/replies"),
    "idempotency": ("core/idempotency", "api/common/once"),
    "auth": ("api/common/caller", "api/common/keys", "core/tokens", "core/users"),
    "cleanup": ("core/cleanup", "core/cap"),
}

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv}
RENAMED = {"is_": "is_not", "is_not": "is_", "in_": "not_in", "not_in": "in_"}
# What a statement can do without and still be one: the rows that it finds, locks or shows are others then.
LEFT_OUT = ("desc", "with_for_update", "order_by", "limit", "offset", "distinct")
# Their arguments are conditions, any of which may be forgotten; or values, likewise.
CONDITIONS, VALUES = ("where", "and_", "or_", "filter"), ("values", "dict")
NOT_CODE = ("log", "logging")
# Names that nobody asks for, and an option of the toolkit's sessions, of which there are none here.
NAMES, OF_SESSIONS = ("ContextVar", "getLogger", "TypeVar", "ParamSpec"), "synchronize_session"

# What was done, to what, and what stands in its place.
Change = tuple[str, ast.stmt | ast.expr, ast.stmt | ast.expr]


@dataclass(frozen=True)
class Mutant:
    """One wrong line: where it stands, what it was made of and what it says now."""

    path: str
    function: str
    line: int
    last_line: int
    kind: str
    text: str
    was: str
    now: str
    number: int = 1

    @property
    def name(self) -> str:
        """Its own, for as long as its function stays as it is."""
        again = f" #{self.number}" if self.number > 1 else ""
        return f"{self.path}:{self.function}: {' '.join(self.was.split())} -> {' '.join(self.now.split())}{again}"

    def diff(self, before: str) -> str:
        return "\n".join(difflib.unified_diff(before.splitlines(), self.text.splitlines(), self.path, self.path, n=1, lineterm=""))


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """All of a module's, in the order of its lines."""
    before = path.read_text()
    found: list[Mutant] = []
    for top in ast.parse(before).body:
        for function, statement in _statements(top):
            for kind, node, changed in [*_removed(statement), *_spoilt(statement)]:
                was = ast.get_source_segment(before, node) or ""
                now = ast.unparse(changed) if isinstance(changed, ast.stmt) else f"({ast.unparse(changed)})"
                text = _replaced(before, node, now)
                last = statement.end_lineno or statement.lineno
                if _is_code(text, before, top):
                    found.append(Mutant(str(path.relative_to(root)), function, statement.lineno, last, kind, text, was, now))
    amounts: Counter[str] = Counter()
    return [_numbered(one, amounts) for one in {one.text: one for one in found}.values()]


def _numbered(one: Mutant, amounts: Counter[str]) -> Mutant:
    amounts[one.name] += 1
    return replace(one, number=amounts[one.name])


def _is_code(text: str, before: str, top: ast.stmt) -> bool:
    """Whether what this statement of the module has become is one still; the rest is as it was."""
    lines = before.splitlines(keepends=True)
    start, rest = (len("".join(some)) for some in (lines[: top.lineno - 1], lines[top.end_lineno :]))
    try:
        compile(text[start : len(text) - rest], "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _statements(top: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """The statements of all functions, each with its function's name; and those of the module that say what a name stands for."""
    if isinstance(top, ast.Assign | ast.AnnAssign):
        yield "", top
    for function in (node for node in ast.walk(top) if isinstance(node, ast.FunctionDef)):
        for inner in ast.walk(function):
            if isinstance(inner, ast.stmt) and not isinstance(inner, ast.FunctionDef) and not _is_idle(inner):
                yield function.name, inner


def _is_idle(node: ast.stmt) -> bool:
    """Words for people: a docstring, a line for the log."""
    if not isinstance(node, ast.Expr):
        return False
    called = node.value.func if isinstance(node.value, ast.Call) else None
    owner = called.value if isinstance(called, ast.Attribute) else None
    return isinstance(node.value, ast.Constant) or (isinstance(owner, ast.Name) and owner.id in NOT_CODE)


def _is_idle_part(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == OF_SESSIONS
    return isinstance(node, ast.Call) and ((isinstance(node.func, ast.Name) and node.func.id in NAMES) or _is_idle(ast.Expr(node)))


def _removed(statement: ast.stmt) -> Iterator[Change]:
    match statement:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield "statement removed", statement, ast.Pass()
        case ast.Return(value=ast.AST() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "nothing returned", statement, ast.Return(ast.Constant(None))
        case ast.If(test=test) | ast.While(test=test) if not isinstance(test, ast.UnaryOp):
            yield "condition turned round", test, ast.UnaryOp(ast.Not(), test)
        case _:
            return


def _spoilt(statement: ast.stmt) -> Iterator[Change]:
    for node in _expressions(statement):
        if isinstance(node, ast.Constant):
            yield from _constant(node)
        elif isinstance(node, ast.Call):
            yield from _call(node)
        else:
            yield from _logic(node)


def _constant(node: ast.Constant) -> Iterator[Change]:
    match node.value:
        case bool() as value:
            yield "constant", node, ast.Constant(not value)
        case int() as value:
            yield "constant", node, ast.Constant(value + 1)
        case str() as value if value and " " not in value:  # else it is words for people
            yield "constant", node, ast.Constant(value + "x")


def _logic(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[op], left=left, comparators=right) if type(op) in OPPOSITES:
            yield "comparison", node, ast.Compare(left, [OPPOSITES[type(op)]()], right)
        case ast.BoolOp(op=op, values=values):
            yield "and, or", node, ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
            for at in range(len(values)):
                kept = values[:at] + values[at + 1 :]
                yield "condition dropped", node, kept[0] if len(kept) == 1 else ast.BoolOp(op, kept)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield "not dropped", node, inner
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
            yield "operator", node, ast.BinOp(left, OPERATORS[type(operator)](), right)
        case ast.IfExp(test=test, body=body, orelse=other):
            yield "condition turned round", node, ast.IfExp(test, other, body)
        case ast.Tuple(elts=elts) if len(elts) > 1 and all(_is_condition(one) for one in elts):
            for at in range(len(elts)):
                yield "condition dropped", node, ast.Tuple(elts[:at] + elts[at + 1 :], ast.Load())


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Of this statement alone, without the statements in it; no annotations, no words in f-strings or for the log."""
    waiting = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr | ast.keyword | ast.withitem)]
    annotation = getattr(statement, "annotation", None)
    while waiting:
        node = waiting.pop()
        if node is annotation or isinstance(node, ast.JoinedStr) or _is_idle_part(node):
            continue
        if isinstance(node, ast.expr):
            yield node
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.keyword | ast.comprehension)]  # type: ignore[misc]


def _is_condition(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RENAMED)


def _call(node: ast.Call) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    if name in CONDITIONS:
        for at in range(len(node.args)):
            kept = node.args[:at] + node.args[at + 1 :]
            if kept or name == "where":
                yield "condition dropped", node, ast.Call(node.func, kept, node.keywords)
    if name in VALUES:
        for at in range(len(node.keywords)):
            yield "value dropped", node, ast.Call(node.func, node.args, node.keywords[:at] + node.keywords[at + 1 :])
    if isinstance(node.func, ast.Attribute):
        if name in RENAMED:
            renamed = copy.copy(node.func)
            renamed.attr = RENAMED[name]
            yield "comparison", node, ast.Call(renamed, node.args, node.keywords)
        if name in LEFT_OUT:
            yield "clause dropped", node, node.func.value


def _replaced(text: str, node: ast.stmt | ast.expr, now: str) -> str:
    """The text with this node's place taken by something else. Places are counted in bytes."""
    lines = text.encode().splitlines(keepends=True)
    start = len(b"".join(lines[: node.lineno - 1])) + node.col_offset
    end = len(b"".join(lines[: (node.end_lineno or 0) - 1])) + (node.end_col_offset or 0)
    raw = text.encode()
    return (raw[:start] + now.encode() + raw[end:]).decode()
