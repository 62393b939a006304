"""How a prepared statement is carried out: by the driver itself, on a connection out of the engine's pool."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Pool
from sqlalchemy.exc import DBAPIError

from chatsvc.core import acting, naming, patience, spans
from chatsvc.core.prepared import Prepared
from chatsvc.core.rows import AnyRow

log = logging.getLogger(__name__)

Sent = tuple[Prepared, dict[str, Any]]

NOT_THERE, THERE_ALREADY, OUTDATED = "26000", "42P05", "0A000"
_pooled: WeakSet[Engine] = WeakSet()


class NotPrepared(Exception):
    """The connection does not remember what was prepared on it; nothing was carried out."""


class Outdated(NotPrepared):
    """It remembers a statement whose columns have since become others, by a migration, and would never carry it out again."""


def takes(engine: Engine) -> bool:
    """Whether statements can be prepared here: not behind a pooler that gives each transaction another connection of its own."""
    return engine not in _pooled


def alone(engine: Engine, prepared: Prepared, values: dict[str, Any], *, first: Sequence[Sent] = ()) -> list[AnyRow]:
    """The rows of a statement that is a transaction by itself; `first` goes before it, and when that fails, this is not carried out."""
    pool, connection, driver = engine.pool, None, None
    try:
        connection = engine.raw_connection()
        driver = connection.dbapi_connection
        if engine.dialect.name == "postgresql" and not driver.autocommit:  # type: ignore[union-attr]
            driver.autocommit = True  # type: ignore[union-attr]
        return prepared.rows(_fetched(engine, driver, connection.info, [*first, (prepared, values)]))
    except engine.dialect.loaded_dbapi.Error as error:
        gone = engine.dialect.is_disconnect(error, driver, None)
        if gone and connection is not None:
            connection.invalidate(error)
            if engine.pool is pool:
                engine.dispose()  # the others were made before the server went away, too
        raise _as_the_toolkit_has_it(engine, error, gone) from error
    except Outdated as error:
        _forget(engine, pool, connection, error)
        raise
    except NotPrepared:
        raise
    except BaseException as error:
        if connection is not None:
            connection.invalidate(error)  # broken off half way: nobody knows what it would say next
        raise
    finally:
        if connection is not None:
            connection.close()


def within(tx: Connection, prepared: Prepared, values: dict[str, Any]) -> list[AnyRow]:
    """The rows of a statement that is part of a transaction."""
    driver = tx.connection.dbapi_connection
    try:
        return prepared.rows(_fetched(tx.engine, driver, tx.info, [(prepared, values)]))
    except tx.dialect.loaded_dbapi.Error as error:
        gone = tx.dialect.is_disconnect(error, driver, None)
        if gone:
            tx.invalidate(error)
        raise _as_the_toolkit_has_it(tx.engine, error, gone) from error
    except Outdated as error:
        _forget(tx.engine, tx.engine.pool, tx, error)
        raise


def _forget(engine: Engine, pool: Pool, connection: Any, error: Outdated) -> None:
    """This connection, and all others that lie in the pool: they remember the same."""
    connection.invalidate(error)
    if engine.pool is pool:
        engine.dispose()


def _fetched(engine: Engine, driver: Any, remembered: dict[Any, Any], sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    """What the last of these gives; all of them go in one message, and none after the first that fails is carried out."""
    if spans.tracer is None:
        return _carried_out(engine, driver, remembered, sent)
    with spans.span(*naming.of_statement(sent[-1][0].sql), db_system_name=engine.dialect.name):
        return _carried_out(engine, driver, remembered, sent)


def _carried_out(engine: Engine, driver: Any, remembered: dict[Any, Any], sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    if isinstance(driver, sqlite3.Connection):
        found: list[tuple[Any, ...]] = []
        if driver.isolation_level is not None:
            driver.isolation_level = None  # somebody used it otherwise; the driver would now begin a transaction that nobody commits
        for prepared, values in sent:
            found = driver.execute(prepared.sql, prepared.values(values)).fetchall()
        return found
    known: set[str] = remembered.setdefault("chatsvc.prepared", set())
    limit = patience.shortened()
    with driver.cursor() as cursor:
        try:
            for prepared, _ in sent:
                if prepared.name not in known:
                    cursor.execute(f"{limit}PREPARE {prepared.name} AS {prepared.sql}")
                    known.add(prepared.name)
            calls, given = [prepared.call for prepared, _ in sent], [value for prepared, values in sent for value in prepared.values(values)]
            whom = acting.current()
            if whom is not None:
                calls, given = [acting.SAID, *calls], [whom, *given]
            cursor.execute(limit + "; ".join(calls), given)
        except engine.dialect.loaded_dbapi.Error as error:
            if getattr(error, "pgcode", None) == OUTDATED:
                raise Outdated from error
            if getattr(error, "pgcode", None) not in (NOT_THERE, THERE_ALREADY):
                raise
            _pooled.add(engine)
            log.info("another program pools the connections to PostgreSQL; from here on statements are sent whole")
            raise NotPrepared from error
        return cursor.fetchall() if cursor.description else []


def _as_the_toolkit_has_it(engine: Engine, error: Exception, gone: bool) -> Exception:
    """The same error that the slow way raises; what people wrote stays out of its text."""
    kind = engine.dialect.loaded_dbapi.Error
    told: Exception = DBAPIError.instance(None, None, error, kind, hide_parameters=True, connection_invalidated=gone, dialect=engine.dialect)
    return told
