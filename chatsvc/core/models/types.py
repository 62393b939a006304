"""Column types that mean the same on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ColumnElement, DateTime, Dialect, Integer, String, Text, bindparam, func, literal
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from chatsvc.extensions import db


class Moment(TypeDecorator[datetime]):
    """A time in UTC with six digits: timestamptz, or on SQLite text that sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(26))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # Where the driver gives what is wanted, nothing is called for each value.
        return super().result_processor(dialect, coltype) if dialect.name == "sqlite" else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value  # type: ignore[no-any-return]
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


class Id(TypeDecorator[str]):
    """A UUID as text: PostgreSQL's own type, or on SQLite 36 characters."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(postgresql.UUID(as_uuid=False) if dialect.name == "postgresql" else String(36))

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return None  # our connections hand out text (core/database.py); nothing is called for each value


Uuid = Id()
Json = JSON().with_variant(postgresql.JSONB(), "postgresql")
Key = BigInteger().with_variant(Integer(), "sqlite")
LongText = Text()


class now(FunctionElement[datetime]):
    """The database's own clock, read when this row is written, after any lock was waited for."""

    type = Moment()
    inherit_cache = True
    name = "now"


@compiles(now, "postgresql")
def _now_on_postgresql(element: now, compiler: Any, **options: Any) -> str:
    return "clock_timestamp()"


@compiles(now, "sqlite")
def _now_on_sqlite(element: now, compiler: Any, **options: Any) -> str:
    return "chat_now()"


class later(FunctionElement[datetime]):
    """The later of two times, neither null."""

    type = Moment()
    inherit_cache = True
    name = "later"


@compiles(later, "postgresql")
def _later_on_postgresql(element: later, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


@compiles(later, "sqlite")
def _later_on_sqlite(element: later, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


class title_holds(FunctionElement[bool]):
    """Whether a text holds another, whatever the case of either; no character is a wildcard."""

    type = Boolean()
    inherit_cache = True
    name = "title_holds"


@compiles(title_holds)
def _title_holds(element: title_holds, compiler: Any, **options: Any) -> str:
    title, part = (f"chat_fold({compiler.process(clause, **options)})" for clause in element.clauses)
    find = "instr" if compiler.dialect.name == "sqlite" else "strpos"
    return f"{find}({title}, {part}) > 0"


class seconds_ago(FunctionElement[datetime]):
    """So many seconds before the database's own now; after it, where they are negative."""

    type = Moment()
    inherit_cache = True
    name = "seconds_ago"


@compiles(seconds_ago, "postgresql")
def _seconds_ago_on_postgresql(element: seconds_ago, compiler: Any, **options: Any) -> str:
    return f"(now() - make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(seconds_ago, "sqlite")
def _seconds_ago_on_sqlite(element: seconds_ago, compiler: Any, **options: Any) -> str:
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', -({compiler.process(element.clauses, **options)}) || ' seconds') || '000')"


def ago(age: timedelta) -> seconds_ago:
    """What was so long ago by the database's clock: a process whose own clock is wrong must not end or erase anything for it."""
    return seconds_ago(literal(age.total_seconds()))


def ahead(time: timedelta) -> seconds_ago:
    """What will be so long from now by the same clock."""
    return ago(-time)


class pieces_joined(FunctionElement[str]):
    """reply_chunks of one message, joined in their order."""

    type = Text()
    inherit_cache = True
    name = "pieces_joined"


@compiles(pieces_joined, "postgresql")
def _pieces_joined_on_postgresql(element: pieces_joined, compiler: Any, **options: Any) -> str:
    # A column's name, out of the toolkit.
    return f"(SELECT string_agg(c.text, '' ORDER BY c.at) FROM reply_chunks c WHERE c.message_id = {compiler.process(element.clauses, **options)})"  # nosec B608


@compiles(pieces_joined, "sqlite")
def _pieces_joined_on_sqlite(element: pieces_joined, compiler: Any, **options: Any) -> str:
    message_id = compiler.process(element.clauses, **options)
    # Likewise.
    return f"(SELECT group_concat(c.text, '') FROM (SELECT text FROM reply_chunks WHERE message_id = {message_id} ORDER BY at) c)"  # nosec B608


class day_of(FunctionElement[str]):
    """The day (UTC) of a time, as 2026-01-31."""

    type = Text()
    inherit_cache = True
    name = "day_of"


@compiles(day_of, "postgresql")
def _day_of_on_postgresql(element: day_of, compiler: Any, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


@compiles(day_of, "sqlite")
def _day_of_on_sqlite(element: day_of, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


class milliseconds_between(FunctionElement[int]):
    """From the first time to the second, each cut to the milliseconds that are shown of it."""

    type = BigInteger()
    inherit_cache = True
    name = "milliseconds_between"


@compiles(milliseconds_between, "postgresql")
def _milliseconds_on_postgresql(element: milliseconds_between, compiler: Any, **options: Any) -> str:
    first, second = (f"floor(extract(epoch FROM {compiler.process(clause, **options)}) * 1000)" for clause in element.clauses)
    return f"CAST({second} - {first} AS bigint)"


@compiles(milliseconds_between, "sqlite")
def _milliseconds_on_sqlite(element: milliseconds_between, compiler: Any, **options: Any) -> str:
    times = [compiler.process(clause, **options) for clause in element.clauses]
    first, second = (f"(CAST(strftime('%s', substr({time}, 1, 19)) AS INTEGER) * 1000 + CAST(substr({time}, 21, 3) AS INTEGER))" for time in times)
    return f"({second} - {first})"


def one_moment() -> ColumnElement[datetime]:
    """The time now, the same wherever it stands in a statement."""
    if db.engine.dialect.name == "sqlite":
        return literal(datetime.now(UTC), Moment())
    return func.statement_timestamp(type_=Moment())


def moment_param(name: str) -> ColumnElement[datetime]:
    """The same for a statement that is built once; `moment_value` goes with it."""
    return bindparam(name, type_=Moment()) if db.engine.dialect.name == "sqlite" else func.statement_timestamp(type_=Moment())


def moment_value(name: str) -> dict[str, datetime]:
    return {name: datetime.now(UTC)} if db.engine.dialect.name == "sqlite" else {}
