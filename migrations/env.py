"""Runs the migrations of one database: one process at a time, each revision in a transaction of its own."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from chatsvc.extensions import db

UPGRADE_LOCK = 7_316_200_801  # any number that nothing else in the database locks
NOT_HAD = {"55P03": "somebody held a table for too long", "40P01": "it met others that wait for it"}
# Whoever comes while a migration waits for a table waits with it, so it waits for a moment, and longer only when many such moments were too short.
WAITS_MS = [50] * 16 + [200] * 12 + [1000] * 12
REST_SECONDS = 1.5  # between two tries, in which those who queued behind this one go on
NICE = 10  # of 19: on SQLite this process does the work, and those who read meanwhile go first


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Waits until no other process migrates this database. The lock ends with the process, however it ends."""
    if connection.dialect.name == "sqlite":
        with open(f"{db.engine.url.database}.migrating", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    # The service's own limits are for requests; a migration may take as long as it needs.
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SET max_parallel_maintenance_workers = 0"))  # the other processors are for those who read meanwhile
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
    connection.execute(text("SET chatsvc.acts_for = '*'"))  # a migration that changes rows changes everybody's
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADE_LOCK})
        connection.commit()
        connection.detach()  # the settings above must not reach the pool


def check_server(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        connection.rollback()
        if encoding != "UTF8":
            raise SystemExit(f"This PostgreSQL database is encoded in {encoding}. chatsvc needs UTF8: createdb --encoding=UTF8 --template=template0 NAME")


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("The migrations look at the data they change, so they run against a database only (no --sql).")
    if db.engine.url.database and db.engine.dialect.name == "sqlite":
        Path(db.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(db.engine.url.database, os.O_CREAT, 0o600))  # what people write is not for everybody on this machine
        _give_way()
    with _connected() as connection:
        check_server(connection)
        with alone(connection):
            # On SQLite too: the driver's own handling is off, so DDL is in the transaction and a kill leaves old or new.
            context.configure(connection=connection, target_metadata=db.metadata, transactional_ddl=True, transaction_per_migration=True)
            _run_to_the_end(connection)


def _connected() -> Connection:
    try:
        return db.engine.connect()
    except OperationalError as error:
        raise SystemExit(f"The database cannot be reached: {str(error.orig).strip().splitlines()[0]}. Is it running, and does DATABASE_URL name it?") from None


def _give_way() -> None:
    """Where the process is there for this alone, as that of `flask db` is: it cannot take it back."""
    command = click.get_current_context(silent=True)
    if command and command.parent and command.parent.info_name == "db":
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _run_to_the_end(connection: Connection) -> None:
    """A revision whose table is held by somebody gives up soon and is tried again: it is undone as a whole, and those done before it are not."""
    for number, milliseconds in enumerate(WAITS_MS, 1):
        _wait_for_tables(connection, milliseconds)
        try:
            with context.begin_transaction():
                context.run_migrations()
            return
        except OperationalError as error:
            why = NOT_HAD.get(getattr(error.orig, "pgcode", None) or "")
            if why is None:
                raise
            connection.rollback()
            if number == len(WAITS_MS):
                raise SystemExit(f"The database was not migrated: {why}, {number} times. Nothing is half done; run it again at a quieter time.") from error
            time.sleep(REST_SECONDS)


def _wait_for_tables(connection: Connection, milliseconds: int) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = {milliseconds}"))
        connection.commit()


run()
