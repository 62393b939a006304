"""What several revisions need: column types, a refusal that protects people's data, triggers for both engines.

Revisions that are out depend on these words. Add to them; never change what they do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

SQL = Path(__file__).parent / "sql"
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f','now') || '000'"  # six digits, as everything else writes them
SQLITE_UUID = (
    "lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || substr(lower(hex(randomblob(2))), 2) || '-' || "
    "substr('89ab', 1 + (abs(random()) % 4), 1) || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6)))"
)


def on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    """A time column; one that must be there is set by the database when the writer leaves it out."""
    kind: sa.types.TypeEngine[Any] = sa.String(26) if on_sqlite() else sa.DateTime(timezone=True)
    default = None if nullable else sa.text(f"({SQLITE_NOW})" if on_sqlite() else "now()")
    return sa.Column(name, kind, nullable=nullable, server_default=default)


def uuid() -> sa.types.TypeEngine[str]:
    return sa.String(36) if on_sqlite() else postgresql.UUID(as_uuid=False)


def uuid_key(name: str = "id") -> sa.Column[str]:
    return sa.Column(name, uuid(), primary_key=True, server_default=sa.text(f"({SQLITE_UUID})" if on_sqlite() else "gen_random_uuid()"), nullable=False)


def number() -> sa.types.TypeEngine[int]:
    return sa.Integer() if on_sqlite() else sa.BigInteger()


def json_object(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON() if on_sqlite() else postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'"))


def partial(where: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)}


def refuse_to_lose(what: str, query: str) -> None:
    """Stops a downgrade that would drop what a person made, unless it is forced with `-x force=true`."""
    lost = op.get_bind().execute(sa.text(query)).scalar_one()
    forced = context.get_x_argument(as_dictionary=True).get("force") == "true"
    if lost and not forced:
        raise SystemExit(
            f"This step down would lose {lost} {what}, which cannot be made again. Back up first; to go on all the same: flask db downgrade -x force=true"
        )


def create_trigger(name: str, *, event: str, table: str, when: str, file: str) -> None:
    """A row trigger whose body is one SQL text for both engines; only the wrapper and the clock differ."""
    body = (SQL / file).read_text().replace("{now}", SQLITE_NOW if on_sqlite() else "now()")
    if on_sqlite():
        op.execute(sa.text(f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW WHEN {when} BEGIN\n{body}END").execution_options(no_parameters=True))
        return
    op.execute(sa.text(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n{body}RETURN NULL;\nEND\n$$"))
    op.execute(sa.text(f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()"))


def create_truncate_trigger(name: str, *, table: str, file: str) -> None:
    """For PostgreSQL's TRUNCATE, which no row trigger sees."""
    body = (SQL / file).read_text().replace("{now}", "now()")
    op.execute(sa.text(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n{body}RETURN NULL;\nEND\n$$"))
    op.execute(sa.text(f"CREATE TRIGGER {name} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"))


def create_guard(name: str, *, event: str, table: str, when: str, message: str) -> None:
    """A row trigger that refuses the change."""
    if on_sqlite():
        op.execute(f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW WHEN {when} BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()")


def drop_trigger(name: str, table: str) -> None:
    op.execute(f"DROP TRIGGER {name}" if on_sqlite() else f"DROP TRIGGER {name} ON {table}")
    if not on_sqlite():
        op.execute(f"DROP FUNCTION {name}()")


def drop_columns(table: str, *names: str) -> None:
    """Without a rebuild of the table, which on SQLite would lose its triggers."""
    for name in names:
        op.execute(f'ALTER TABLE {table} DROP COLUMN "{name}"')
