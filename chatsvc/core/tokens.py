"""Which tokens are no longer good, and what the service knows of whoever carries one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection as Unit
from sqlalchemy import Select, bindparam, case, func, literal_column, or_, select

from chatsvc.core import database
from chatsvc.core.database import Proviso, read, unit
from chatsvc.core.models import RevokedToken, User
from chatsvc.core.models.types import now, one_moment
from chatsvc.core.prepared import prepared
from chatsvc.core.rows import AnyRow
from chatsvc.core.upsert import insert_unless_there
from chatsvc.extensions import db

LONGEST_SIGN_IN: Final = timedelta(days=366)  # JWT_REFRESH_TOKEN_DAYS is 365 at most


@prepared
def _standing(amount: int) -> Select[Any]:
    revoked = select(func.count()).where(RevokedToken.token_id.in_([bindparam(f"token_{number}") for number in range(amount)])).scalar_subquery()
    caller = select(bindparam("user_id", type_=User.id.type).label("id")).subquery("caller")
    return select(User.username, User.role, User.disabled_at, revoked.label("revoked")).select_from(caller).outerjoin(User, User.id == caller.c.id)


def standing(user_id: str, token_ids: list[str]) -> AnyRow:
    """In one statement: the caller's account if there is one here (username, role, disabled_at), and how many of these tokens are revoked."""
    return read(_standing(len(token_ids)), {"user_id": user_id, **{f"token_{number}": token_id for number, token_id in enumerate(token_ids)}})[0]


@prepared
def _holds(amount: int) -> Select[Any]:
    """Fails where a token no longer holds. A division is what every database refuses in the middle of a statement; who is told what is
    not read from it, but asked (`standing`)."""
    revoked = select(RevokedToken.token_id).where(RevokedToken.token_id.in_([bindparam(f"token_{number}") for number in range(amount)])).exists()
    disabled = select(User.id).where(User.id == bindparam("user_id"), User.disabled_at.is_not(None)).exists()
    return select(literal_column("1").op("/")(case((or_(revoked, disabled), literal_column("0")), else_=literal_column("1"))).label("holds"))


def require(user_id: str, token_ids: list[str], ask: Callable[[], None]) -> None:
    """Nothing is done for this caller unless their token still holds; `ask` says so where no statement can carry the question along."""
    values = {"user_id": user_id, **{f"token_{number}": token_id for number, token_id in enumerate(token_ids)}}
    database.require(Proviso(_holds(len(token_ids)), values, ask))


def carried_along() -> bool:
    """Whether a question that goes along saves anything here: SQLite is no way off."""
    return db.engine.dialect.name == "postgresql"


def ended(user_ids: Iterable[str], token_ids: Iterable[str]) -> set[tuple[str, str]]:
    """Which of these users are disabled, and which of these tokens and sign-ins revoked."""
    found = set()
    for some in _parts(user_ids):
        found |= {("user", row.id) for row in read(select(User.id).where(User.id.in_(some), User.disabled_at.is_not(None)))}
    for some in _parts(token_ids):
        found |= {("token", row.token_id) for row in read(select(RevokedToken.token_id).where(RevokedToken.token_id.in_(some)))}
    return found


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    """Few enough for one statement."""
    left = iter(sorted(ids))
    while some := list(islice(left, 500)):
        yield some


@unit
def revoke(tx: Unit, user_id: str, token_id: str, *, expires_at: datetime) -> None:
    """From now on this token, or every token of this sign-in, is refused. The row goes once they would have expired."""
    _insert(tx, user_id, token_id, expires_at)


@unit
def spend(tx: Unit, user_id: str, token_id: str, *, sign_in_id: str, expires_at: datetime) -> bool:
    """Uses up a refresh token. False when it was used before: then it was stolen or copied, and the whole sign-in ends."""
    if _insert(tx, user_id, token_id, expires_at):
        return True
    _insert(tx, user_id, sign_in_id, expires_at)
    return False


def of_credential(user_id: str, credential: str) -> str:
    """By which the sign-ins with one password of this user are revoked together."""
    return "password:" + hashlib.sha256(f"{user_id}\0{credential}".encode("utf-8", "surrogatepass")).hexdigest()


def end_sign_ins(tx: Unit, user_id: str, credential: str) -> None:
    """Every sign-in with this password ends, and those of releases before, which name none."""
    at: datetime = tx.execute(select(one_moment())).scalar_one()
    for each in (credential, ""):
        _insert(tx, user_id, of_credential(user_id, each), at + LONGEST_SIGN_IN)


def _insert(tx: Unit, user_id: str, token_id: str, expires_at: datetime) -> bool:
    return insert_unless_there(tx, RevokedToken, token_id=token_id, user_id=user_id, revoked_at=now(), expires_at=expires_at)
