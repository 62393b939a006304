"""Indexes of some of a table's rows, the same on both engines."""

from __future__ import annotations

from sqlalchemy import Index, text


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over `columns` (each may end in DESC) of the rows that `where` is true of."""
    keys = [text(column) if " " in column else column for column in columns]
    return Index(name, *keys, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
