"""A plain driver connection, as psql and the sqlite3 shell have one: nothing of the service stands between it and the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.errors import DeadlockDetected
from sqlalchemy.engine import make_url

from migrations.steps import SQLITE_NOW

Rows = list[tuple[Any, ...]]
# What means "nothing was written; do it again" to whoever writes with a plain connection.
AGAIN = (DeadlockDetected, sqlite3.OperationalError)
REFUSED = (psycopg2.IntegrityError, sqlite3.IntegrityError)


class Raw:
    """Runs SQL with `?` for values; each statement is a transaction of its own unless `transaction()` is around it."""

    def __init__(self, url: str, *, durable: bool = False) -> None:
        self.on_sqlite = url.startswith("sqlite")
        self.now = f"({SQLITE_NOW})" if self.on_sqlite else "now()"
        if self.on_sqlite:
            self._connection: Any = sqlite3.connect(str(make_url(url).database), isolation_level=None, timeout=20, check_same_thread=False)
            self.run("PRAGMA foreign_keys=ON")
        else:
            self._connection = psycopg2.connect(url)
            self._connection.autocommit = True
        if not durable:
            self.run("PRAGMA synchronous=OFF" if self.on_sqlite else "SET synchronous_commit = off")
        self._cursor = self._connection.cursor()

    def run(self, sql: str, *values: Any) -> Rows:
        cursor = getattr(self, "_cursor", None) or self._connection.cursor()
        if values:
            cursor.execute(sql if self.on_sqlite else sql.replace("%", "%%").replace("?", "%s"), values)
        else:
            cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def one(self, sql: str, *values: Any) -> Any:
        """The first value of the first row."""
        return self.run(sql, *values)[0][0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.run("BEGIN IMMEDIATE" if self.on_sqlite else "BEGIN")
        try:
            yield
        except BaseException:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads within see one moment."""
        self.run("BEGIN" if self.on_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
        self.run("COMMIT")

    def insert(self, table: str, **values: Any) -> Any:
        """A new row; its id, where the table has one."""
        marks = ", ".join("?" * len(values))
        returning = " RETURNING id" if table in ("chat_sessions", "chat_messages", "personas", "conversations") else ""
        rows = self.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks}){returning}", *values.values())
        return rows[0][0] if rows else None

    def session(self, user_id: str = "owner", **values: Any) -> str:
        return str(self.insert("chat_sessions", user_id=user_id, **values))

    def message(self, session_id: str, content: str = "Hello", role: str = "user", user_id: str = "owner", **values: Any) -> int:
        return int(self.insert("chat_messages", session_id=session_id, user_id=user_id, role=role, content=content, **values))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def marks(values: Sequence[object]) -> str:
    """As many `?` as there are values."""
    return ", ".join("?" * len(values))
