"""What the database answers with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson
from sqlalchemy import Connection as Unit
from sqlalchemy import CursorResult, Delete, Row, Update

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]
else:
    AnyRow = Row


def one(rows: Sequence[AnyRow]) -> AnyRow | None:
    """The row, if there is one."""
    return rows[0] if rows else None


def changed(tx: Unit, statement: Update | Delete) -> int:
    """Carries out the change and says how many rows it met; the number decides races."""
    result = tx.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


def parsed(text: str | bytes) -> Any:
    """JSON as the database has it. Somebody with psql can write numbers there that the service would refuse; they must not hide the rest."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
