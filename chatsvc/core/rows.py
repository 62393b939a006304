"""What the database answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import CursorResult, Delete, Row, Update
from sqlalchemy.orm import Session as Unit

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]
else:
    AnyRow = Row


def changed(tx: Unit, statement: Update | Delete) -> int:
    """Carries out the change and says how many rows it met; the number decides races."""
    result = tx.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
