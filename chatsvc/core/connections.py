"""How connections to the database are made, and the habits that each of them has."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

import orjson
from psycopg2.extensions import PYDATETIMETZ, UNICODE, new_type, register_type
from sqlalchemy import Connection, Engine, event

from chatsvc.core import acting, patience, pool
from chatsvc.core.rows import parsed
from config import Settings

LOCK_SECONDS = 3  # less what a connection was waited for
STATEMENT_SECONDS = 5
ALONE = "chatsvc_alone"  # a connection's mark: its statement is a transaction by itself
OF_SAVEPOINTS = ("SAVEPOINT ", "ROLLBACK TO ", "RELEASE ")  # these must work where nothing else does, and see no rows
ID_AS_TEXT = new_type((2950,), "UUID", UNICODE)


def _moment(text: str | None, cursor: Any) -> Any:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:  # beyond what a calendar here knows ("infinity"): somebody with psql can write that
        return PYDATETIMETZ(text, cursor)


MOMENT = new_type((1184,), "MOMENT", _moment)


def engine_options(settings: Settings) -> dict[str, Any]:
    """How the engine of this service is made."""
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": parsed,
        "poolclass": pool.watched(),
        "pool_size": 16,
        "max_overflow": 0,
        "hide_parameters": True,  # a failed statement is logged; what people wrote is not
        "pool_timeout": patience.FREE_SECONDS,
    }
    if settings.sqlite:
        options["connect_args"] = {"timeout": STATEMENT_SECONDS, "check_same_thread": False}
    else:
        # No request may read a whole table, however small it is at the moment, or however much of it is one user's: its cost
        # would then be everybody's. All of them have an index to go by, and this keeps the planner from thinking otherwise.
        planner = "-c enable_seqscan=off -c random_page_cost=1.1 -c jit=off -c plan_cache_mode=force_generic_plan"
        limits = f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout=10s"
        nobody = f"-c {acting.SETTING}={acting.NOBODY}"  # for whom a statement acts, it says itself
        options["connect_args"] = {"connect_timeout": LOCK_SECONDS, "application_name": "chatsvc", "options": f"{limits} {planner} {nobody} -c timezone=UTC"}
    return options


def prepare(engine: Engine) -> None:
    """Gives each new connection its habits."""
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "begin", _begin_on_postgresql)
        event.listen(engine, "before_cursor_execute", _say_for_whom, retval=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_on_sqlite)


def _prepare_postgresql(connection: Any, record: object) -> None:
    """Ids are text here: the driver would make an object of each, and we a text of that. Its own reading of a time takes four times as long."""
    register_type(ID_AS_TEXT, connection)
    register_type(MOMENT, connection)


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours to send
    # Each of the pool's connections has a cache of its own, which fills in time; the system keeps the file at hand for all of them.
    # What is deleted is overwritten in the file.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        "cache_size=-512",
        f"busy_timeout={STATEMENT_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.create_function("chat_fold", 1, lambda text: None if text is None else text.casefold(), deterministic=True)
    connection.create_function("chat_now", 0, lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))


def _begin_on_sqlite(connection: Connection) -> None:
    """A transaction takes the write lock at its start: one that reads first and writes later fails at once when another came between."""
    if not _is_alone(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_on_postgresql(connection: Connection) -> None:
    """A connection stays as it was used last: for single statements, or for transactions."""
    driver: Any = connection.connection.dbapi_connection
    if driver.autocommit != _is_alone(connection):
        driver.autocommit = not driver.autocommit


def _say_for_whom(_: Connection, cursor: Any, statement: str, given: Any, *context: Any) -> tuple[str, Any]:
    """Puts before a statement for whom it acts, in the same message, and how long it may wait; `quick` does so for those that it sends."""
    if statement.startswith(OF_SAVEPOINTS):
        return statement, given
    whom, said = acting.current(), patience.shortened()
    if whom is not None:
        said += cursor.mogrify(acting.SAID, (whom,)).decode() + "; "
    many = context[-1]
    if said and many:
        cursor.execute(said)
        return statement, given
    return said.replace("%", "%%") + statement, given


def _is_alone(connection: Connection) -> bool:
    return ALONE in connection.get_execution_options()
