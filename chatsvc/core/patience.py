"""How long a greenlet waits for PostgreSQL. The limits that the server is told of are kept by the server; one that hangs keeps none."""

from __future__ import annotations

from typing import Any

from psycopg2 import OperationalError, extensions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

CONNECT_SECONDS = 3
ANSWER_SECONDS = 6  # longer than any statement may take, so that a server that lives has the first word
LOCK_TIMEOUT = "55P03"


class Silent(OperationalError):  # type: ignore[misc]
    """It took the connection or the statement and said nothing. The driver has given the connection up."""


def install() -> None:
    """For a process of greenlets: what its driver does while it waits, so that others run. Threads wait in the driver itself."""
    from psycogreen.gevent import gevent_wait_callback  # noqa: PLC0415 - a process of threads loads none of it

    def wait(connection: Any) -> None:
        seconds = CONNECT_SECONDS if connection.status == extensions.STATUS_SETUP else ANSWER_SECONDS
        try:
            gevent_wait_callback(connection, timeout=seconds)
        except TimeoutError as error:
            raise Silent(f"no answer within {seconds} s: its processes are stopped, or their disk or the network hangs") from error

    extensions.set_wait_callback(wait)


def is_spent(error: DBAPIError | PoolTimeout) -> bool:
    """Whether this took long already: the wait for a connection, for a lock, or for a server that hangs."""
    return isinstance(error, PoolTimeout) or isinstance(error.orig, Silent) or getattr(error.orig, "pgcode", None) == LOCK_TIMEOUT
