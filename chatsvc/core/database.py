"""The two ways to the database: a read outside any transaction, and a unit of work that commits once.

A connection is held for the statement or the unit and never while waiting for anything else.
"""

from __future__ import annotations

import functools
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatsvc.core import connections, last_writes, patience, quick
from chatsvc.core.connections import ALONE
from chatsvc.core.errors import Unavailable
from chatsvc.core.patience import LOCK_TIMEOUT
from chatsvc.core.prepared import Prepared
from chatsvc.core.rows import AnyRow
from chatsvc.extensions import db

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

TRIES = 3
AGAIN = {"40P01", "40001"}  # deadlock, serialization failure: nothing was written, and a second run usually succeeds

_unit: ContextVar[Connection | None] = ContextVar("unit_of_work", default=None)
_proviso: ContextVar[Proviso | None] = ContextVar("proviso", default=None)
_awaited: ContextVar[Callable[[], bool]] = ContextVar("awaited", default=lambda: False)
# SQLite has one writer at a time. Threads that queue here wait their turn; threads that meet in SQLite's own
# busy handler sleep and guess, which costs a hundred times as much.
_sqlite_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Proviso:
    """What has to hold before anything is done for somebody: a statement that fails where it does not, and a function that asks by
    itself and raises what they are told then."""

    statement: Prepared
    values: dict[str, Any]
    ask: Callable[[], None]


class LockNotHad(Unavailable):
    """Somebody else held the row for too long."""


def require(proviso: Proviso | None) -> None:
    """From here on the first statement carries this along, in the same round trip and before itself; where none can, it is asked by itself."""
    _proviso.set(proviso)


def ask_what_is_due() -> None:
    """Asks now what no statement has carried along yet."""
    proviso = _proviso.get()
    if proviso is not None:
        _proviso.set(None)
        proviso.ask()


def read(statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Sequence[AnyRow]:
    """The rows of one SELECT; inside a unit of work, as that unit sees them."""
    around = _unit.get()
    if around is not None:
        return within(around, statement, values)
    try:
        return _run_alone(statement, values)
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, PoolTimeout) or not _may_be_asked_again(error):
            raise _told(error) from error
    # The server has been away since this connection was made, or broke this off so that a migration could go on.
    return _until_done(lambda: _run_alone(statement, values))


def _may_be_asked_again(error: DBAPIError) -> bool:
    return getattr(error.orig, "pgcode", None) in AGAIN or (error.connection_invalidated and not patience.is_spent(error))


def write(statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Sequence[AnyRow]:
    """One statement that is a whole unit of work by itself; inside a larger unit, a part of it."""
    around = _unit.get()
    if around is not None:
        with around.begin_nested() as part:
            rows = within(around, statement, values)
            if not rows:
                # It may have waited for a row, locked it, and then seen that it no longer wants it: that lock must go.
                part.rollback()
        return rows
    rows = _until_done(lambda: _run_alone(statement, values))
    last_writes.note()
    return rows


def in_unit() -> bool:
    """Whether this thread is in the middle of a unit of work."""
    return _unit.get() is not None


def within(tx: Connection, statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Sequence[AnyRow]:
    """The rows of one statement of a unit of work."""
    if not isinstance(statement, Prepared) or not quick.takes(tx.engine):
        return _slowly(tx, statement, values)
    try:
        return quick.within(tx, statement, values or {})
    except quick.NotPrepared as error:
        raise RunAgain from error


def unit(verb: Callable[Concatenate[Connection, P], R]) -> Callable[P, R]:
    """Makes a verb one unit of work: all of it is committed at its end, or nothing. Inside another unit it is a part of that."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        around = _unit.get()
        if around is not None:
            return verb(around, *args, **kwargs)
        ask_what_is_due()
        result = _until_done(lambda: _run_whole(lambda connection: verb(connection, *args, **kwargs)))
        last_writes.note()
        return result

    return run


def _run_alone(statement: Executable | Prepared, values: dict[str, Any] | None) -> Sequence[AnyRow]:
    proviso = _proviso.get()
    if proviso is not None:
        if isinstance(statement, Prepared) and quick.takes(db.engine):
            return _run_with_proviso(proviso, statement, values)
        ask_what_is_due()
    return alone_on(db.engine, statement, values)


def alone_on(engine: Engine, statement: Executable | Prepared, values: dict[str, Any] | None) -> Sequence[AnyRow]:
    """The rows of a statement that is a transaction by itself, with the driver's own errors."""
    if isinstance(statement, Prepared) and quick.takes(engine):
        with suppress(quick.NotPrepared):
            return quick.alone(engine, statement, values or {})
    with engine.connect().execution_options(**{ALONE: True}) as connection:
        return _slowly(connection, statement, values)


def _run_with_proviso(proviso: Proviso, statement: Prepared, values: dict[str, Any] | None) -> Sequence[AnyRow]:
    """Both in one message, which the database carries out as one transaction: what is refused has read nothing and written nothing."""
    try:
        rows = quick.alone(db.engine, statement, values or {}, first=[(proviso.statement, proviso.values)])
    except quick.NotPrepared:
        ask_what_is_due()
        return _run_alone(statement, values)
    except (DBAPIError, PoolTimeout) as error:
        if patience.is_spent(error):
            _proviso.set(None)  # nothing was done, and to ask would be to wait as long again
        ask_what_is_due()  # whichever of the two failed: that of the caller comes first
        raise
    _proviso.set(None)
    return rows


def _slowly(connection: Connection, statement: Executable | Prepared, values: dict[str, Any] | None) -> Sequence[AnyRow]:
    result = connection.execute(statement.statement if isinstance(statement, Prepared) else statement, values or {})
    return result.all() if result.returns_rows else []


def _run_whole(work: Callable[[Connection], R]) -> R:
    with db.engine.begin() as connection:
        mark = _unit.set(connection)
        try:
            return work(connection)
        finally:
            _unit.reset(mark)


def _until_done(work: Callable[[], R]) -> R:
    """Does a write; again, a few times, when the database undid it so that another could go on."""
    for left in reversed(range(TRIES)):
        try:
            with _telling(), _turn():
                return work()
        except RunAgain as again:
            if not left:
                raise Unavailable("The database is busy") from again
            # Two that met should not meet again.
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  # nosec B311
    raise AssertionError("unreachable")


class RunAgain(Exception):
    """What this unit began with no longer holds, or the database undid it so that another could go on."""


@contextmanager
def _telling() -> Iterator[None]:
    """Turns the driver's errors into ours: those that mean "not now", and those that mean "again"."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise _told(error) from error


def _told(error: DBAPIError | PoolTimeout) -> Exception:
    if isinstance(error, PoolTimeout):
        log.warning(patience.NO_CONNECTION)
        return Unavailable("The database is busy")
    code = getattr(error.orig, "pgcode", None)
    if code in AGAIN:
        return RunAgain()
    if code == LOCK_TIMEOUT or (isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)):
        return _lock_not_had()
    if error.connection_invalidated or is_operational(error.orig):
        log.warning(patience.AWAY, str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__)
        return Unavailable("The database cannot be reached")
    return error


@contextmanager
def awaiting(still: Callable[[], bool]) -> Iterator[None]:
    """As long as this holds, a lock that is not to be had is one that was waited for on purpose, and no fault to be looked into."""
    mark = _awaited.set(still)
    try:
        yield
    finally:
        _awaited.reset(mark)


def _lock_not_had() -> LockNotHad:
    if not _awaited.get()():
        log.warning(patience.NO_LOCK)
    return LockNotHad("The database is busy")


def is_operational(error: BaseException | None) -> bool:
    """True for what is the database's state and not the statement's fault (away, shutting down, full, too slow)."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return "OperationalError" in names and not (isinstance(error, sqlite3.OperationalError) and ("no such" in str(error) or "syntax" in str(error)))


@contextmanager
def _turn() -> Iterator[None]:
    if db.engine.dialect.name != "sqlite":
        yield
        return
    if not _sqlite_turn.acquire(timeout=connections.STATEMENT_SECONDS):
        raise _lock_not_had()
    try:
        yield
    finally:
        _sqlite_turn.release()
