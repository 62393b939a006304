"""Rows of a table as both engines can tell them: in one order, and spelt in one way, so that equal rows look alike.

The two write JSON differently (PostgreSQL orders the keys, and writes 1e2 as 100) and sort text differently; what it means is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Select, String, Table, Text, cast, column, func, select, table
from sqlalchemy.sql.expression import TableClause

from chatsvc.core.models.types import Moment

ROWS = 200  # at a time: the longest messages there are still fit in memory
ZEROS = Context(prec=150_000, Emax=MAX_EMAX, Emin=MIN_EMIN)  # more digits than PostgreSQL keeps of a number
Rows = Iterator[Sequence[Any]]


class Unlike(Exception):
    """The copy is not what the source is."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A table that is the same on both sides: how many rows, and a digest of all that is in them."""

    table: str
    rows: int
    digest: str


def batches(connection: Connection, of: Table) -> Iterator[Sequence[Sequence[Any]]]:
    """All rows by their key, some at a time. Text is compared byte by byte, whatever order the database has for people."""
    result = connection.execution_options(stream_results=True, yield_per=ROWS).execute(_all_of(of, connection.dialect.name))
    try:
        yield from result.partitions()
    finally:
        result.close()


def plain(of: Table) -> TableClause:
    """The table with JSON as the text that it is written in: what goes through no parser comes out as it went in."""
    return table(of.name, *(column(each.name, Text() if isinstance(each.type, JSON) else each.type) for each in of.columns))


def compare(of: Table, ours: Connection, theirs: Connection) -> Alike:
    """Row by row, both sides read anew."""
    amounts = [connection.execute(select(func.count()).select_from(of)).scalar_one() for connection in (theirs, ours)]
    if amounts[0] != amounts[1]:
        raise Unlike(f"{of.name} has {amounts[0]} rows in the source and {amounts[1]} in the copy")
    digests = (blake2b(digest_size=16), blake2b(digest_size=16))
    rows = 0
    for rows, pair in enumerate(zip_longest(_normal(theirs, of), _normal(ours, of)), start=1):
        for digest, row in zip(digests, pair, strict=True):
            digest.update(repr(row).encode())
        if digests[0].digest() != digests[1].digest():
            raise Unlike(f"{of.name}, row {rows} by key: the copy has something else in {_what_differs(of, *pair)}")
    if rows != amounts[0]:
        raise Unlike(f"{of.name}: {rows} rows were compared and {amounts[0]} are there")
    return Alike(of.name, rows, digests[1].hexdigest())


def _all_of(of: Table, engine: str) -> Select[*tuple[Any, ...]]:
    whole = plain(of)
    read = [cast(whole.c[each.name], Text) if isinstance(each.type, JSON) and engine == "postgresql" else whole.c[each.name] for each in of.columns]
    return select(*read).order_by(*(_bytewise(whole.c[key.name], engine) for key in of.primary_key.columns))


def _bytewise(key: ColumnElement[Any], engine: str) -> ColumnElement[Any]:
    return key.collate("C") if engine == "postgresql" and isinstance(key.type, String) else key


def _normal(connection: Connection, of: Table) -> Rows:
    spelt = [_spelling(each.type) for each in of.columns]
    for some in batches(connection, of):
        for row in some:
            yield tuple(value if spell is None or value is None else spell(value) for value, spell in zip(row, spelt, strict=True))


def _spelling(kind: object) -> Any:
    if isinstance(kind, JSON):
        return _meaning
    if isinstance(kind, Moment):
        return lambda moment: moment.astimezone(UTC).isoformat(timespec="microseconds")
    return None


def _meaning(text: str) -> Any:
    """What a JSON text means: keys in order, numbers by their value however they are written."""
    return text if text == "{}" else repr(_in_order(json.loads(text, parse_float=Decimal, parse_int=Decimal)))


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(one) for one in value]
    if isinstance(value, Decimal):
        return value.normalize(ZEROS) if value else Decimal(0)
    return value


def _what_differs(of: Table, one: Sequence[Any] | None, other: Sequence[Any] | None) -> str:
    """Names of columns, and never what is in them."""
    if one is None or other is None:
        return "its place: there is none"
    return ", ".join(each.name for each, a, b in zip(of.columns, one, other, strict=True) if a != b)
