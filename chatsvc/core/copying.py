"""The service's own database, filled with all that another one holds, of the same engine or the other: the whole of it and equal, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, exists, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from chatsvc.core import acting, elsewhere, health, likeness, verify
from chatsvc.core.database import unit
from chatsvc.core.verify import Breach
from chatsvc.extensions import db

Tell = Callable[[str], None]


class NotCopied(Exception):
    """Nothing of it is in the service's database: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What is the same on both sides, table by table; and what contradicts itself, there as here."""

    tables: Sequence[likeness.Alike]
    breaches: Sequence[Breach]


def copy(source_url: str, tell: Tell) -> Copied:
    """Fills the service's empty database with the rows of the other, as of one moment, and compares them before it commits."""
    if source_url == db.engine.url.render_as_string(hide_password=False):
        raise NotCopied("The source is the database of DATABASE_URL itself. Set DATABASE_URL to the new one, and name the old one as the source")
    try:
        # What is said once at the start of the transaction holds for all of it; a cursor takes nothing before its statement.
        with elsewhere.opened(source_url) as source, acting.acting_for(None):
            return _fill(source, tell)
    except elsewhere.NotOpened as error:
        raise NotCopied(f"The source cannot be opened: {error}") from None
    except likeness.Unlike as error:
        raise NotCopied(f"What was copied is not equal, and was undone: {error}") from None


@unit
def _fill(tx: Connection, source: Connection, tell: Tell) -> Copied:
    elsewhere.be_patient(tx)
    _check_revision(source, "The source", "Bring it up with this release: DATABASE_URL=… flask db upgrade")
    _check_revision(tx, "The database of DATABASE_URL", "Run: flask db upgrade")
    tables = db.metadata.sorted_tables
    with _without_triggers(tx, tables):
        _check_empty(tx, tables)
        for table in tables:
            tell(f"{table.name}: {_copy_rows(table, source, tx)} rows")
    for table in tables:
        _go_on_counting(table, source, tx)
    if tx.dialect.name == "postgresql":
        for table in tables:
            tx.exec_driver_sql(f"ANALYZE {table.name}")  # or it would plan for empty tables until it looks for itself
    tell("comparing …")
    alike = [likeness.compare(table, tx, source) for table in tables]
    tell("verifying …")
    return Copied(alike, list(verify.breaches()))


def _check_revision(connection: Connection, whose: str, what_to_do: str) -> None:
    try:
        with connection.begin_nested():
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError:
        found = None
    if found is None:
        raise NotCopied(f"{whose} has no tables of chatsvc. {what_to_do if whose != 'The source' else 'Look whether the address names the right one'}")
    if found not in health.known_revisions():
        raise NotCopied(f"{whose} is at revision {found}, which this code does not know: it was migrated by a newer release. Copy with that one")
    if found != health.newest_revision():
        raise NotCopied(f"{whose} is at revision {found}, this code needs {health.newest_revision()}. {what_to_do}")


def _check_empty(tx: Connection, tables: Sequence[Table]) -> None:
    filled = [table.name for table in tables if tx.execute(select(exists().select_from(table))).scalar()]
    if filled:
        raise NotCopied(
            f"The database of DATABASE_URL is not empty: there are rows in {', '.join(filled)}. A copy adds to nothing and overwrites nothing; "
            "make a new database, run flask db upgrade on it, and do not start the service before the copy"
        )


@contextmanager
def _without_triggers(tx: Connection, tables: Sequence[Table]) -> Iterator[None]:
    """What they keep is copied as it is, and must not be counted a second time. Nobody else writes until the end of the transaction."""
    off, on = (_as_dropped if tx.dialect.name == "sqlite" else _as_disabled)(tx, tables)
    _run(tx, off)
    yield
    _run(tx, on)


def _run(tx: Connection, statements: Sequence[str]) -> None:
    try:
        for statement in statements:
            tx.exec_driver_sql(statement)
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != "42501":
            raise
        raise NotCopied(f"{elsewhere.said(error)}. Copy as the role that owns the tables: the one that runs flask db upgrade") from None


def _as_dropped(tx: Connection, tables: Sequence[Table]) -> tuple[list[str], list[str]]:
    there = tx.execute(text("SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")).all()
    ours = [row for row in there if row.tbl_name in {table.name for table in tables}]
    return [f'DROP TRIGGER "{row.name}"' for row in ours], [row.sql for row in ours]


def _as_disabled(tx: Connection, tables: Sequence[Table]) -> tuple[list[str], list[str]]:
    """Those of the tables and not those of foreign keys, which only a superuser could turn off: each row is checked as it comes."""
    names = ", ".join(table.name for table in tables)
    there = tx.execute(
        text(
            "SELECT tgrelid::regclass AS place, quote_ident(tgname) AS name FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O' "
            "AND tgrelid = ANY (SELECT to_regclass(name) FROM unnest(:names) AS name)"
        ),
        {"names": [table.name for table in tables]},
    ).all()
    off, on = ([f"ALTER TABLE {row.place} {word} TRIGGER {row.name}" for row in there] for word in ("DISABLE", "ENABLE"))
    return [f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE", *off], on


def _copy_rows(table: Table, source: Connection, tx: Connection) -> int:
    amount = 0
    names = [column.name for column in table.columns]
    into = insert(likeness.plain(table))
    try:
        for some in likeness.batches(source, table):
            tx.execute(into, [dict(zip(names, row, strict=True)) for row in some])
            amount += len(some)
    except DBAPIError as error:
        raise NotCopied(f"{table.name}, after {amount} rows by key: {elsewhere.said(error)}. Nothing was kept; put it right in the source") from None
    except (ValueError, OverflowError) as error:
        raise NotCopied(f"{table.name}, after {amount} rows by key: {error}. Nothing was kept; put it right in the source") from None
    return amount


def _go_on_counting(table: Table, source: Connection, tx: Connection) -> None:
    """Ids go on above the highest that either side ever gave, so that one that was erased is not given again."""
    counted = table.autoincrement_column
    if counted is None:
        return
    highest = max(_counted(table, source), _counted(table, tx), tx.execute(select(func.max(counted))).scalar() or 0)
    if not highest:
        return
    if tx.dialect.name == "sqlite":
        tx.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        tx.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :highest)"), {"name": table.name, "highest": highest})
    else:
        tx.execute(text("SELECT setval(pg_get_serial_sequence(:name, :column), :highest)"), _column(counted) | {"highest": highest})


def _counted(table: Table, connection: Connection) -> int:
    """The highest id that was ever given, also to what is gone."""
    if connection.dialect.name == "sqlite":
        return connection.execute(text("SELECT max(seq) FROM sqlite_sequence WHERE name = :name"), {"name": table.name}).scalar() or 0
    counted = table.autoincrement_column
    sequence = connection.execute(text("SELECT pg_get_serial_sequence(:name, :column)"), _column(counted)).scalar_one()
    # The database's own name for it.
    return connection.exec_driver_sql(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}").scalar_one()  # type: ignore[no-any-return]  # nosec B608


def _column(counted: Any) -> dict[str, Any]:
    return {"name": counted.table.name, "column": counted.name}
