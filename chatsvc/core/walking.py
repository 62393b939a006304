"""A whole table, from its first row to its last, in statements that are short each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from chatsvc.core.database import read
from chatsvc.core.rows import AnyRow

SLICE = 2000


def in_slices(table: Any, columns: Sequence[Any], *, where: Sequence[Any] = ()) -> Iterator[Sequence[AnyRow]]:
    """The rows by `id`, which each of them has as a column beside those that are asked for. Rows that come or go meanwhile may be missed."""
    last: Any = None
    while rows := read(_slice(table, columns, where, last)):
        yield rows
        last = rows[-1].id


def _slice(table: Any, columns: Sequence[Any], where: Sequence[Any], last: Any) -> Any:
    wanted = select(table.id, *columns).where(*where, *([] if last is None else [table.id > last]))
    return wanted.order_by(table.id).limit(SLICE)
