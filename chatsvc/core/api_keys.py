"""Keys of products that have a login of their own: made, found again by their digest, revoked, listed.

A key is shown once, when it is made. It is random enough that a plain digest of it cannot be turned back, and it is looked for by that digest,
so nothing here compares secrets letter by letter. Its last six characters are a checksum: what was mistyped or cut off asks no database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import uuid
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Connection as Unit
from sqlalchemy import Select, and_, bindparam, case, func, insert, literal, literal_column, or_, select, true, tuple_, update

from chatsvc.core import audit, database
from chatsvc.core.database import Proviso, read, unit, write
from chatsvc.core.errors import NotFound
from chatsvc.core.models import ApiKey, User
from chatsvc.core.models.types import Moment, Uuid, ago, now, one_moment
from chatsvc.core.paging import Page, Window, cut, unseal
from chatsvc.core.prepared import prepared
from chatsvc.core.rows import AnyRow, changed, one

SCOPES: Final = ("read", "write", "admin")
MAX_DAYS: Final = 3650
PREFIX: Final = "csk_"
LETTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM, CHECK = 40, 6  # 238 bits, and a checksum of 32
FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM + CHECK}}}", re.ASCII)
USE_TOLD_EACH: Final = timedelta(minutes=1)

GOOD = and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()))
STATUS = case((ApiKey.revoked_at.is_not(None), "revoked"), (ApiKey.expires_at <= now(), "expired"), else_="active").label("status")
COLUMNS = (*(column for column in ApiKey.__table__.c if column.name != "digest"), STATUS)


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key that was let in, and never changes."""

    id: str
    scopes: frozenset[str]

    @property
    def admin(self) -> bool:
        return "admin" in self.scopes

    @property
    def writes(self) -> bool:
        return self.admin or "write" in self.scopes

    @property
    def mark(self) -> str:
        """How it is called where users and tokens are: as the one who acts when it acts for nobody else, and as what a stream was let in with."""
        return mark_of(self.id)


def mark_of(key_id: str) -> str:
    return f"key:{key_id}"


def new_text() -> str:
    body = PREFIX + "".join(secrets.choice(LETTERS) for _ in range(RANDOM))
    return body + _checksum(body)


def _checksum(body: str) -> str:
    left, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECK):
        left, letter = divmod(left, len(LETTERS))
        letters = LETTERS[letter] + letters
    return letters


def digest_of(text: str) -> str | None:
    """Under which a key is kept; None for what is no key."""
    if not FORM.fullmatch(text) or _checksum(text[:-CHECK]) != text[-CHECK:]:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


@unit
def create(tx: Unit, actor: str | None, /, *, name: str, scopes: Iterable[str], expires_in_days: int | None = None) -> tuple[AnyRow, str]:
    """A new key, and its text, which nobody can show again."""
    key_id, text = str(uuid.uuid4()), new_text()
    digest, asked = digest_of(text), " ".join(scope for scope in SCOPES if scope in scopes)
    at: datetime = tx.execute(select(one_moment())).scalar_one()
    ends = None if expires_in_days is None else at + timedelta(days=expires_in_days)
    kept = {"id": key_id, "name": name, "digest": digest, "last_four": text[-4:], "scopes": asked, "created_by": actor, "created_at": at, "expires_at": ends}
    tx.execute(insert(ApiKey).values(**kept))
    audit.note("api_key.created", actor=actor, subject=key_id, name=name, scopes=asked.split())
    return get(key_id), text


def get(key_id: str) -> AnyRow:
    found = one(read(select(*COLUMNS).where(ApiKey.id == key_id)))
    if found is None:
        raise NotFound("API key")
    return found


def page(window: Window) -> Page:
    """A page of all keys there ever were, newest first."""
    place = unseal("api keys", window.cursor) if window.cursor else None
    total = select(func.count()).select_from(ApiKey)
    listed = select(*COLUMNS, total.scalar_subquery().label("total")).order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(window.size + 1)
    if place:
        after = tuple_(literal(datetime.fromisoformat(place.after[0]), Moment()), literal(place.after[1], Uuid))
        rows = read(listed.where(tuple_(ApiKey.created_at, ApiKey.id) < after))
    else:
        rows = read(listed.offset(window.offset))
    amount = rows[0].total if rows else read(total)[0][0]
    return cut(rows, window, place, scope="api keys", total=amount, after=lambda row: (row.created_at.isoformat(timespec="microseconds"), row.id))


@unit
def revoke(tx: Unit, actor: str | None, key_id: str) -> AnyRow:
    """From now on this key is refused; again changes nothing."""
    if changed(tx, update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now())):
        audit.note("api_key.revoked", actor=actor, subject=key_id)
    return get(key_id)


@prepared
def _standing() -> Select[Any]:
    whom = select(bindparam("user_id", type_=User.id.type).label("id")).subquery("whom")
    known = select(ApiKey.id, ApiKey.scopes, User.username, User.disabled_at).select_from(ApiKey).join(whom, true())
    return cast("Select[Any]", known.outerjoin(User, User.id == whom.c.id).where(ApiKey.digest == bindparam("digest"), GOOD))


def standing(digest: str, user_id: str) -> AnyRow | None:
    """In one statement: the key if it is good (id, scopes), and of the one it is to act for the account if there is one (username, disabled_at)."""
    return one(read(_standing(), {"digest": digest, "user_id": user_id}))


@prepared
def _holds() -> Select[Any]:
    """Fails where the key is no longer good or the account that it acts for is closed (see `tokens`)."""
    good = select(ApiKey.id).where(ApiKey.id == bindparam("key_id"), GOOD).exists()
    disabled = select(User.id).where(User.id == bindparam("user_id"), User.disabled_at.is_not(None)).exists()
    return select(literal_column("1").op("/")(case((and_(good, ~disabled), literal_column("1")), else_=literal_column("0"))).label("holds"))


def require(key: Key, user_id: str, ask: Callable[[], None]) -> None:
    """Nothing is done with this key unless it is still good; `ask` says so where no statement can carry the question along."""
    database.require(Proviso(_holds(), {"key_id": key.id, "user_id": user_id}, ask))


def ended(marks: Iterable[str]) -> set[tuple[str, str]]:
    """Which of these are marks of keys that are no longer good."""
    asked = {mark.partition(":")[2]: mark for mark in marks if mark.startswith(mark_of(""))}
    if not asked:
        return set()
    good = {row.id for row in read(select(ApiKey.id).where(ApiKey.id.in_(sorted(asked)), GOOD))}
    return {("token", mark) for key_id, mark in asked.items() if key_id not in good}


def tell_use(key_id: str) -> None:
    """Notes that this key was used, unless that was noted less than a minute ago."""
    lately = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < ago(USE_TOLD_EACH))
    write(update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None), lately).values(last_used_at=now()).returning(ApiKey.id))
