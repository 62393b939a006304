"""The models say what the migrations make."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from chatsvc.extensions import db
from tests.migrations.conftest import Database


def test_alembic_finds_no_difference_between_the_models_and_the_migrated_database(database: Database) -> None:
    database.upgrade()
    with database.app.app_context(), db.engine.connect() as connection:
        options = {"compare_type": True, "target_metadata": db.metadata, "include_object": _comparable}
        found = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(found, db.metadata) == []


def test_tables_made_from_the_models_equal_the_migrated_ones(database: Database) -> None:
    database.upgrade()
    with database.app.app_context(), db.engine.connect() as connection:
        migrated = described(connection)
    database.downgrade("base")
    with database.app.app_context():
        db.create_all()
        with db.engine.connect() as connection:
            made = described(connection)
    assert made == migrated


def _comparable(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """SQLite does not tell Alembic of descending columns; the next test compares the indexes by their SQL."""
    return kind != "index" or db.engine.dialect.name != "sqlite"


def described(connection: Connection) -> dict[str, Any]:
    """Columns, keys, checks and indexes of each table. Defaults are the migrations' business."""
    found = inspect(connection)
    name = connection.dialect.name
    return {
        table: {
            "columns": {column["name"]: (str(column["type"].compile(connection.dialect)), column["nullable"]) for column in found.get_columns(table)},
            "primary key": found.get_pk_constraint(table)["constrained_columns"],
            "foreign keys": sorted(map(_foreign_key, found.get_foreign_keys(table))),
            "unique": sorted((unique["name"] or "", unique["column_names"]) for unique in found.get_unique_constraints(table)),
            "checks": sorted((check["name"] or "", _plain(check["sqltext"])) for check in found.get_check_constraints(table)),
            "indexes": sorted(_plain(sql) for (sql,) in connection.exec_driver_sql(INDEXES[name].format(table)) if sql),
            "options": found.get_table_options(table),
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{}'",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE tablename = '{}'",
}


def _foreign_key(key: Any) -> tuple[Any, ...]:
    return (key["name"], key["constrained_columns"], key["referred_table"], key["referred_columns"], sorted(key["options"].items()))


def _plain(sql: str) -> str:
    return " ".join(sql.split())
