"""INSERT that yields to a row that is there, spelt alike for both engines."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection as Unit
from sqlalchemy import CursorResult
from sqlalchemy.dialects import postgresql, sqlite

from chatsvc.extensions import Base, db


def yielding_insert(table: type[Base], **values: Any) -> Any:
    """Of a row that is there already nothing is changed, told or returned, whoever it belongs to."""
    dialect = sqlite if db.engine.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).values(**values).on_conflict_do_nothing()


def insert_unless_there(tx: Unit, table: type[Base], **values: Any) -> bool:
    """True when the row is new. Waits for another that is just inserting it."""
    result = tx.execute(yielding_insert(table, **values))
    return bool(cast("CursorResult[Any]", result).rowcount)
