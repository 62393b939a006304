"""INSERT that yields to a row that is there, spelt alike for both engines."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection as Unit
from sqlalchemy import CursorResult
from sqlalchemy.dialects import postgresql, sqlite

from chatsvc.extensions import Base


def insert_unless_there(tx: Unit, table: type[Base], **values: Any) -> bool:
    """True when the row is new. Waits for another that is just inserting it."""
    dialect = sqlite if tx.dialect.name == "sqlite" else postgresql
    result = tx.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())
    return bool(cast("CursorResult[Any]", result).rowcount)
