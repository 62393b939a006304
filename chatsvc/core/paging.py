"""Windows on long lists: pages with a number, and cursors whose cost does not grow with depth."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from chatsvc.core.errors import Invalid, Problem
from chatsvc.extensions import settings

MAX_OFFSET = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for. A cursor, when there is one, says where; else the offset does."""

    size: int
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cursor stands: after the row with these sort values, `rank` rows into the list."""

    after: tuple[Any, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, how long the whole is, and where it goes on."""

    rows: Sequence[Any]
    total: int
    size: int
    rank: int
    next_cursor: str | None

    @property
    def number(self) -> int:
        return self.rank // self.size + 1

    @property
    def pages(self) -> int:
        return -(-self.total // self.size)


def cut(rows: Sequence[Any], window: Window, place: Place | None, *, scope: str, total: int, after: Callable[[Any], tuple[Any, ...]]) -> Page:
    """A page out of the rows that were read for it: one more than it holds, where the list goes on. `after` gives the sort values of a row."""
    rank = place.rank if place else window.offset
    shown = rows[: window.size]
    cursor = seal(scope, Place(after(shown[-1]), rank + window.size)) if len(rows) > window.size else None
    return Page(shown, total, window.size, rank, cursor)


def by_activity(row: Any) -> tuple[str, str]:
    """Where a row stands in a list that is ordered by when things were last touched."""
    return row.updated_at.isoformat(timespec="microseconds"), row.id


def by_id(row: Any) -> tuple[Any]:
    return (row.id,)


def seal(scope: str, place: Place) -> str:
    """A cursor: opaque, good for this list of this user alone, and useless once changed."""
    body = orjson.dumps([*place.after, place.rank])
    return base64.urlsafe_b64encode(_mark(settings().jwt_secret_key, scope, body) + body).rstrip(b"=").decode()


def unseal(scope: str, cursor: str) -> Place:
    """The place a cursor stands for; Invalid for one that this service did not give out for this list."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    mark, body = raw[:12], raw[12:]
    spelt = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if not body or spelt != cursor or not any(hmac.compare_digest(mark, _mark(secret, scope, body)) for secret in settings().jwt_secrets):
        raise Invalid(Problem("cursor", "is not one that this list gave out"))
    *after, rank = orjson.loads(body)
    return Place(tuple(after), rank)


def _mark(secret: str, scope: str, body: bytes) -> bytes:
    return hmac.digest(_key(secret), scope.encode() + b"\0" + body, "sha256")[:12]


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    """A key of its own, so that cursors and tokens can never stand in for each other."""
    return hmac.digest(secret.encode(), b"chatsvc cursor", hashlib.sha256)
