"""Column types that mean the same on both engines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ColumnElement, DateTime, Dialect, Integer, String, Text, func, literal
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

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value  # type: ignore[no-any-return]
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


Uuid = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
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
    """So many seconds before the database's own now."""

    type = Moment()
    inherit_cache = True
    name = "seconds_ago"


@compiles(seconds_ago, "postgresql")
def _seconds_ago_on_postgresql(element: seconds_ago, compiler: Any, **options: Any) -> str:
    return f"(now() - make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(seconds_ago, "sqlite")
def _seconds_ago_on_sqlite(element: seconds_ago, compiler: Any, **options: Any) -> str:
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || {compiler.process(element.clauses, **options)} || ' seconds') || '000')"


class pieces_joined(FunctionElement[str]):
    """reply_chunks of one message, joined in their order."""

    type = Text()
    inherit_cache = True
    name = "pieces_joined"


@compiles(pieces_joined, "postgresql")
def _pieces_joined_on_postgresql(element: pieces_joined, compiler: Any, **options: Any) -> str:
    return f"(SELECT string_agg(c.text, '' ORDER BY c.at) FROM reply_chunks c WHERE c.message_id = {compiler.process(element.clauses, **options)})"


@compiles(pieces_joined, "sqlite")
def _pieces_joined_on_sqlite(element: pieces_joined, compiler: Any, **options: Any) -> str:
    message_id = compiler.process(element.clauses, **options)
    return f"(SELECT group_concat(c.text, '') FROM (SELECT text FROM reply_chunks WHERE message_id = {message_id} ORDER BY at) c)"


def one_moment() -> ColumnElement[datetime]:
    """The time now, the same wherever it stands in a statement."""
    if db.engine.dialect.name == "sqlite":
        return literal(datetime.now(UTC), Moment())
    return func.statement_timestamp(type_=Moment())
