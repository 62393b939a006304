"""Statements that are built once, and carried out with nothing between them and the driver.

Building a statement anew for each request costs several times what sending it does; so does the toolkit's way through a built one, and
on PostgreSQL planning it. What is on the path of every list, read and append is therefore prepared: built, spelt and planned once.
`database.read`, `write` and `within` carry it out; rows are tuples with the names and values that the toolkit would give (a test holds
both against each other, statement by statement, on both engines).
"""

from __future__ import annotations

import functools
import hashlib
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from sqlalchemy import BindParameter, Dialect, literal_column
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

from chatsvc.core.rows import AnyRow
from chatsvc.extensions import db

P = ParamSpec("P")
Processor = Callable[[Any], Any]


class Prepared:
    """A statement, its text as this engine's driver takes it, and how its values and rows are spelt."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        self.statement = statement
        spoken: Dialect = PGDialect(paramstyle="numeric_dollar") if dialect.name == "postgresql" else dialect  # type: ignore[no-untyped-call]
        compiled: Any = _constants_spelt_out(statement, spoken).compile(dialect=spoken)
        self.sql = str(compiled)
        # The same text has the same name everywhere, and no other text has it: two versions of the service may share a connection.
        self.name = "chatsvc_" + hashlib.sha256(self.sql.encode()).hexdigest()[:24]
        self.parameters = [(name, _bound(compiled, name, dialect)) for name in compiled.positiontup or ()]
        # Some compilers add values of their own, such as an offset of 0.
        self._added = {name: compiled.binds[name].value for name, _ in self.parameters if compiled.binds[name].unique}
        places = ", ".join(["%s"] * len(self.parameters))
        self.call = f"EXECUTE {self.name} ({places})" if places else f"EXECUTE {self.name}"
        columns = list(statement.exported_columns)
        row: Any = namedtuple("Row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
        self._row: Callable[[Any], Any] = row._make
        self._read = [_processor(column.type, "result_processor", dialect, None) for column in columns]
        self._as_they_come = not any(self._read)

    def values(self, given: dict[str, Any]) -> list[Any]:
        """The values in the order of their places."""
        if self._added:
            given = given | self._added
        return [given[name] if bind is None else bind(given[name]) for name, bind in self.parameters]

    def rows(self, fetched: Sequence[tuple[Any, ...]]) -> list[AnyRow]:
        if self._as_they_come:
            return list(map(self._row, fetched))
        return [self._row([value if read is None else read(value) for value, read in zip(row, self._read, strict=True)]) for row in fetched]


def prepared(build: Callable[P, Any]) -> Callable[P, Prepared]:
    """Keeps what `build` makes, for each engine and each set of arguments. These say what a statement looks like, and are few;
    what it is about are its bound parameters, whose values are given beside it."""
    made: dict[Any, Prepared] = {}

    @functools.wraps(build)
    def statement(*args: P.args, **kwargs: P.kwargs) -> Prepared:
        key = (db.engine.dialect.name, args, *kwargs.items())
        found = made.get(key)
        if found is None:
            found = made[key] = Prepared(build(*args, **kwargs), db.engine.dialect)
        return found

    return statement


def _constants_spelt_out(statement: Any, spoken: Dialect) -> Any:
    """A plan for any value cannot use an index of `status = 'ACTIVE'`; what never varies has to stand in the text."""

    def spelt(element: Any, **_: Any) -> Any:
        if not isinstance(element, BindParameter) or not element.unique:
            return None
        return literal_column(str(element.compile(dialect=spoken, compile_kwargs={"literal_binds": True})), element.type)

    return replacement_traverse(statement, {}, spelt)


def _bound(compiled: Compiled, name: str, dialect: Dialect) -> Processor | None:
    bind: BindParameter[Any] = compiled.binds[name]  # type: ignore[attr-defined]
    return _processor(bind.type, "bind_processor", dialect)


def _processor(kind: TypeEngine[Any], which: str, dialect: Dialect, *more: Any) -> Processor | None:
    found: Processor | None = getattr(kind.dialect_impl(dialect), which)(dialect, *more)
    return found
