"""A copy of the database that PostgreSQL keeps by streaming: what may be a moment old is read there (docs/decisions/0017).

How old it is, is measured: the primary says how far its log has come, and once the replica has come as far, it is as of then. One that is
too old, away or no replica is not asked; everything is read from the primary then, and nobody notices.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Executable, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatsvc.core import acting, connections, database, patience
from chatsvc.core.errors import Unavailable
from chatsvc.core.last_writes import LastWrites
from chatsvc.core.prepared import Prepared
from chatsvc.core.rows import AnyRow
from chatsvc.extensions import replica
from config import Settings

log = logging.getLogger(__name__)

BEHIND_SECONDS = 3.0  # older than this it is not read from
LOOK_SECONDS = 0.5
KEPT = 60  # looks at the primary
FREE_SECONDS = 0.25  # nobody waits for a connection to it: the primary is there
CONFLICT = "40001"  # what was read has been cleaned up on the primary meanwhile
WRITTEN = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS position")
REPLAYED = text("SELECT pg_is_in_recovery() AS follows, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') AS position")
AWAY, LATE, NONE, UNTOLD = "it does not answer", "it is behind", "it follows no primary", "the primary does not say how far it has come"


class NotHad(Exception):
    """The replica did not give it; the primary will."""


class Replica:
    """One per process; `context` gives a thread the application's context."""

    def __init__(self, settings: Settings, context: Callable[[], AbstractContextManager[Any]], writes: LastWrites) -> None:
        self.engine = create_engine(settings.database_replica_url, **connections.engine_options(settings) | {"pool_timeout": FREE_SECONDS})
        connections.prepare(self.engine)
        self._context = context
        self._writes = writes
        self._looks: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._as_of = float("-inf")
        self._why = AWAY
        self._said: bool | None = None
        self._looked = 0
        self._lock = threading.Lock()
        self._ended = False

    def start(self) -> None:
        """Looks at both from now on; until then nothing is read from the replica."""
        threading.Thread(target=self._watch, name="replica", daemon=True).start()

    def stop(self) -> None:
        """Returns at once, since a signal handler calls it."""
        self._ended = True

    def has_all_of(self, whom: str | None) -> bool:
        """Whether it may be read from for these: it is fresh enough, and they have not written since."""
        return bool(whom) and self.is_fresh() and not self._writes.lately(str(whom))

    def is_fresh(self) -> bool:
        """Whether it is there and hardly behind; the log says so when that changes."""
        fresh = time.monotonic() - self._as_of <= BEHIND_SECONDS
        if fresh is not self._said and (fresh or self._looked > 1):  # nobody knows at first
            self._say(fresh)
        return fresh

    def read(self, statement: Executable | Prepared, values: dict[str, Any] | None) -> Sequence[AnyRow]:
        try:
            return database.alone_on(self.engine, statement, values)
        except (DBAPIError, PoolTimeout) as error:
            self._failed(error)
            raise NotHad from error

    def look(self) -> None:
        """Finds out as of when the replica is."""
        self._writes.tell_again()
        self._writes.vouch()
        began, late = time.monotonic(), LATE
        try:
            with self._context():
                self._looks.append((began, int(database.read(WRITTEN)[0].position)))
        except (Unavailable, DBAPIError):
            late = UNTOLD  # what is known of the replica grows old meanwhile
        try:
            found = database.alone_on(self.engine, REPLAYED, None)[0]
        except (DBAPIError, PoolTimeout) as error:
            self._failed(error)
        else:
            self._compare(found, late)
        self._looked += 1
        self.is_fresh()

    def _compare(self, found: AnyRow, late: str) -> None:
        if not found.follows:
            self._why, self._as_of = NONE, float("-inf")
            return
        self._why = late
        self._as_of = max((at for at, position in self._looks if position <= found.position), default=self._as_of)

    def _watch(self) -> None:
        while not self._ended:
            try:
                self.look()
            except Exception:
                log.exception("a look at the replica failed; the next one follows")
            time.sleep(LOOK_SECONDS)

    def _failed(self, error: DBAPIError | PoolTimeout) -> None:
        """A read that it broke off is done by the primary; one that is gone is not asked again before it has been seen."""
        if getattr(error, "connection_invalidated", False) or (isinstance(error, DBAPIError) and database.is_operational(error.orig) and not _conflict(error)):
            self._why, self._as_of = AWAY, float("-inf")
            self.is_fresh()
        elif not isinstance(error, PoolTimeout) and not _conflict(error):
            log.warning("the replica refused a read (%s), which the primary does instead", getattr(error.orig, "pgcode", None) or type(error.orig).__name__)

    def _say(self, fresh: bool) -> None:
        with self._lock:
            if fresh is self._said:
                return
            self._said = fresh
        if fresh:
            log.warning("the replica is as new as it should be: what may be a moment old is read from it")
        else:
            log.warning("the replica cannot be read from, since %s: everything is read from the primary until it can", self._why)


def _conflict(error: DBAPIError) -> bool:
    return getattr(error.orig, "pgcode", None) == CONFLICT


def read_any(statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Sequence[AnyRow]:
    """The rows of one SELECT that may be a moment old, but not older than the last write of whom they are for: of the replica, where there is
    one that will do. Never for what decides anything: who somebody is, what they may, what is written next."""
    found: Replica | None = replica() if LastWrites.anywhere else None
    if found is None or database.in_unit():
        return database.read(statement, values)
    whom = acting.current()
    if found.has_all_of(acting.caller() if whom == acting.EVERYBODY else whom):
        database.ask_what_is_due()
        waited = patience.waited()
        try:
            return found.read(statement, values)
        except NotHad:
            patience.begin(waited)  # what the replica was waited for is not taken off what the primary may take
    return database.read(statement, values)
