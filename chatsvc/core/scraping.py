"""What a scrape is told: what the processes have counted, and a few figures of the database, which may be some seconds old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError

from chatsvc.core import acting, circuits, metrics
from chatsvc.core.database import LockNotHad, read
from chatsvc.core.errors import Unavailable
from chatsvc.core.exposition import Family
from chatsvc.core.exposition import text as spelt
from chatsvc.core.tally import GAUGE, Key
from chatsvc.extensions import db, looks, runtime, settings
from chatsvc.extensions import metrics as of_this_process

log = logging.getLogger(__name__)

OLDEST_SECONDS = 5.0  # several who scrape at once, or often, ask the database once
MOST = 10_000  # counted one by one up to here, so that no scrape reads a whole table
MOST_NAMED = 50
TABLES = ("chat_sessions", "chat_messages", "conversations", "idempotency_keys", "revoked_tokens", "audit_events", "reply_chunks", "users")

UP = Family("chatsvc_database_up", "gauge", "Whether the database answered the last look, 1 or 0.")
BYTES = Family("chatsvc_database_bytes", "gauge", "Size of the database.")
TABLE_BYTES = Family("chatsvc_table_bytes", "gauge", "Size of a table with its indexes, on PostgreSQL.")
TABLE_ROWS = Family("chatsvc_table_rows", "gauge", "Rows of a table, as the database estimates them.")
RUNNING = Family("chatsvc_database_replies_running", "gauge", "Replies that are being written or wait for a callback, of all instances.")
OPEN = Family("chatsvc_exchanges_open", "gauge", "Exchanges without an answer yet, of all instances.")
ALIVE = Family("chatsvc_database_workers", "gauge", "Processes of all instances that were seen lately.")
BREAKERS = Family("chatsvc_breakers", "gauge", "Personas whose breaker is open or half open.")
BREAKER = Family("chatsvc_breaker_open", "gauge", "Personas that are not asked at the moment, by id; the first fifty.")
FAMILIES = (*metrics.COUNTED, UP, BYTES, TABLE_BYTES, TABLE_ROWS, RUNNING, OPEN, ALIVE, BREAKERS, BREAKER)

COUNTS = {
    RUNNING: "SELECT 1 FROM chat_messages WHERE status = 'streaming'",
    OPEN: "SELECT 1 FROM chat_sessions WHERE status = 'ACTIVE' AND conversation_id IS NOT NULL",
}
LATELY = {
    "postgresql": "SELECT count(*) AS amount FROM workers WHERE seen_at > now() - interval '30 seconds'",
    "sqlite": "SELECT count(*) AS amount FROM workers WHERE seen_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-30 seconds')",
}
SIZES = """SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0) AS amount
    FROM unnest(CAST(:tables AS text[])) AS wanted(name) JOIN pg_class c ON c.oid = to_regclass(quote_ident(wanted.name))"""
WHOLE = "SELECT pg_database_size(current_database()) AS bytes"


class Looks:
    """The last look at the database, for as long as it is good; one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._seen: dict[Key, float] = {}

    def figures(self) -> dict[Key, float]:
        with self._lock:
            if time.monotonic() - self._at > OLDEST_SECONDS:
                with acting.acting_for(acting.EVERYBODY):
                    self._seen = look()
                self._at = time.monotonic()
            return self._seen


def text() -> bytes:
    """Everything, in the form that Prometheus reads. A database that is away takes nothing from it but its own figures."""
    runtime().sample()
    return spelt(FAMILIES, {**of_this_process().together(), **looks().figures()})


def look() -> dict[Key, float]:
    """A few statements, each bounded."""
    found: dict[Key, float] = {}
    try:
        found |= _counted()
        with _unless_locked():
            found |= _sizes()
    except (Unavailable, DBAPIError) as error:
        log.warning("the figures of the database could not be read: %s", type(error).__name__)
        return {_key(UP): 0}
    return {**found, _key(UP): 1}


def _counted() -> dict[Key, float]:
    # All words of these statements stand above.
    amounts = {_key(family): _amount(f"SELECT count(*) AS amount FROM ({statement} LIMIT {MOST}) AS found") for family, statement in COUNTS.items()}  # nosec B608
    amounts[_key(ALIVE)] = _amount(LATELY[db.engine.dialect.name])
    states = [row for row in circuits.not_closed(MOST) if row.state != "closed"]
    for state in ("open", "half_open"):
        amounts[_key(BREAKERS, state=state)] = sum(row.state == state for row in states)
    return {**amounts, **{_key(BREAKER, persona=row.persona_id): 1 for row in states[:MOST_NAMED] if row.state == "open"}}


@contextmanager
def _unless_locked() -> Iterator[None]:
    """A migration holds a table for a while; its size can wait."""
    try:
        yield
    except LockNotHad:
        return


def _sizes() -> dict[Key, float]:
    if db.engine.dialect.name == "sqlite":
        return _sizes_of_file()
    found = {_key(BYTES): float(read(sql(WHOLE))[0].bytes)}
    for row in read(sql(SIZES), {"tables": list(TABLES)}):
        found |= {_key(TABLE_BYTES, table=row.name): float(row.bytes), _key(TABLE_ROWS, table=row.name): float(row.amount)}
    return found


def _sizes_of_file() -> dict[Key, float]:
    """How large a single table is, SQLite only finds out by reading all of it; its highest row number it knows."""
    path = Path(settings().database_url.removeprefix("sqlite:///"))
    files = (path, path.with_name(path.name + "-wal"))
    found = {_key(BYTES): float(sum(file.stat().st_size for file in files if file.exists()))}
    for table in TABLES:
        found[_key(TABLE_ROWS, table=table)] = _amount(f"SELECT coalesce(max(rowid), 0) AS amount FROM {table}")  # nosec B608
    return found


def _amount(statement: str) -> float:
    return float(read(sql(statement))[0].amount)


def _key(family: Family, **labels: Any) -> Key:
    return Key(GAUGE, family.name, tuple(labels.items()))
