"""Another database than the service's own, opened to be read as of one moment; nothing is written there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg2.extensions import register_type
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from chatsvc.core import acting
from chatsvc.core.connections import ID_AS_TEXT, STATEMENT_SECONDS

PATIENT = {
    "postgresql": (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        "SET LOCAL lock_timeout = '10s'",
        "SET LOCAL enable_seqscan = on",  # whole tables are read here
        f"SET LOCAL {acting.SETTING} = '{acting.EVERYBODY}'",
    ),
    "sqlite": ("PRAGMA cache_size = -65536",),  # indexes are met at random, and a page that has no room is written again and again
}


class NotOpened(Exception):
    """There is no such database, or it lets nobody in."""


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """A connection whose reads all see the moment of the first one, whatever others write meanwhile."""
    engine = _sqlite(url) if url.startswith("sqlite") else _postgresql(url)
    try:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            raise NotOpened(said(error)) from None
        with connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            be_patient(connection)
            yield connection
    finally:
        engine.dispose()


def be_patient(connection: Connection) -> None:
    """Lifts the limits that are meant for requests until the end of this transaction, in which everybody's rows are seen."""
    for setting in PATIENT[connection.dialect.name]:
        connection.exec_driver_sql(setting)


def said(error: DBAPIError) -> str:
    """What the database says, without what it quotes of a row: that may be what people wrote."""
    found = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return found or str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__


def _sqlite(url: str) -> Engine:
    path = make_url(url).database or ""
    if not Path(path).is_file():
        raise NotOpened(f"{path} is not a file")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None, timeout=STATEMENT_SECONDS)

    return create_engine("sqlite://", creator=connect, hide_parameters=True)


def _postgresql(url: str) -> Engine:
    place = {"connect_timeout": 10, "application_name": "chatsvc copy"}
    engine = create_engine(url, connect_args=place, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}, hide_parameters=True)
    event.listen(engine, "connect", _ids_as_text)
    return engine


def _ids_as_text(connection: Any, record: object) -> None:
    register_type(ID_AS_TEXT, connection)
