"""How long anybody waits for the database, and what the log says when that was in vain.

The limits of statements and locks are kept by the server; a server that hangs keeps none, and a greenlet that waits for it has its own.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from psycopg2 import Error, OperationalError, extensions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

FREE_SECONDS = 3  # for one of the pool's connections
CONNECT_SECONDS = 3
ANSWER_SECONDS = 6  # longer than any statement may take, so that a server that lives has the first word
WATCH_SECONDS = 0.5
LOCK_TIMEOUT = "55P03"
NO_TIME, LEAST_SECONDS = 0.1, 0.25  # a wait that counts for nothing; what is left whatever has been waited for before

AWAY = "the database does not answer: %s. Is it running, and does DATABASE_URL name it? Once it is back nothing has to be started again"
NO_CONNECTION = f"no connection to the database was free for {FREE_SECONDS} s: in pg_stat_activity, application_name 'chatsvc', stands what they wait for"
NO_LOCK = "a lock was not to be had in time: pg_blocking_pids(pid) in pg_stat_activity says who holds it; on SQLite, another program is writing"


_waited: ContextVar[float | None] = ContextVar("waited", default=None)


def begin(waited: float | None = 0.0) -> None:
    """From here on, in this thread, what is waited for connections is taken together, and taken off what may be waited for the next one and for a
    lock; None: from here on it is not."""
    _waited.set(waited)


def waited() -> float | None:
    """How long that was until now; None where no account is kept."""
    return _waited.get()


class Pool(QueuePool):
    """One that keeps an account of how long its connections are waited for."""

    _longest: float

    @property
    def _timeout(self) -> float:
        return max(LEAST_SECONDS, self._longest - (_waited.get() or 0.0))

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds

    def _do_get(self) -> ConnectionPoolEntry:
        before = _waited.get()
        if before is None:
            return super()._do_get()
        began = time.monotonic()
        try:
            return super()._do_get()
        finally:
            _waited.set(before + time.monotonic() - began)


def shortened() -> str:
    """What goes before a statement of somebody who has waited for a connection, in its message; until the end of its transaction."""
    waited = _waited.get() or 0.0
    if waited < NO_TIME:
        return ""
    return f"SET LOCAL lock_timeout = {round(max(LEAST_SECONDS, FREE_SECONDS - waited) * 1000)}; "


class Silent(OperationalError):  # type: ignore[misc]
    """It took the connection or the statement and said nothing. The driver has given the connection up."""


def install() -> None:
    """For a process of greenlets: what its driver does while it waits, so that others run. Threads wait in the driver itself.

    One watch looks after all who wait, since a timer for each wait would cost half as much as the wait itself.
    """
    from psycogreen.gevent import gevent_wait_callback  # noqa: PLC0415 - a process of threads loads none of it

    until: dict[Any, float] = {}

    def wait(connection: Any) -> None:
        seconds = CONNECT_SECONDS if connection.status == extensions.STATUS_SETUP else ANSWER_SECONDS
        until[connection] = time.monotonic() + seconds
        try:
            gevent_wait_callback(connection)
        except OperationalError as error:
            if connection not in until:
                raise Silent(f"no answer within {seconds} s: its processes are stopped, or their disk or the network hangs") from error
            raise
        finally:
            until.pop(connection, None)

    def watch() -> None:
        while True:
            slept_at = time.monotonic()
            time.sleep(WATCH_SECONDS)
            now = time.monotonic()
            if now - slept_at > 3 * WATCH_SECONDS:
                continue  # this process was held up itself, and the answers may lie there
            for connection in [connection for connection, end in until.items() if end < now]:
                del until[connection]
                _hang_up(connection)

    extensions.set_wait_callback(wait)
    threading.Thread(target=watch, name="patience", daemon=True).start()


def _hang_up(connection: Any) -> None:
    """Whoever waits for it is told at once that it is gone. The driver closes its own end."""
    with suppress(OSError, Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)


def is_spent(error: DBAPIError | PoolTimeout) -> bool:
    """Whether this took long already: the wait for a connection, for a lock, or for a server that hangs."""
    return isinstance(error, PoolTimeout) or isinstance(error.orig, Silent) or getattr(error.orig, "pgcode", None) == LOCK_TIMEOUT
