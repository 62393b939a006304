"""Which tokens are no longer good, and what the service knows of whoever carries one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import Select, bindparam, func, select

from chatsvc.core.database import read, unit
from chatsvc.core.models import RevokedToken, User
from chatsvc.core.models.types import now
from chatsvc.core.prepared import prepared
from chatsvc.core.rows import AnyRow
from chatsvc.core.upsert import insert_unless_there


@prepared
def _standing(amount: int) -> Select[Any]:
    revoked = select(func.count()).where(RevokedToken.token_id.in_([bindparam(f"token_{number}") for number in range(amount)])).scalar_subquery()
    caller = select(bindparam("user_id", type_=User.id.type).label("id")).subquery("caller")
    return select(User.username, User.role, User.disabled_at, revoked.label("revoked")).select_from(caller).outerjoin(User, User.id == caller.c.id)


def standing(user_id: str, token_ids: list[str]) -> AnyRow:
    """In one statement: the caller's account if there is one here (username, role, disabled_at), and how many of these tokens are revoked."""
    return read(_standing(len(token_ids)), {"user_id": user_id, **{f"token_{number}": token_id for number, token_id in enumerate(token_ids)}})[0]


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


def _insert(tx: Unit, user_id: str, token_id: str, expires_at: datetime) -> bool:
    return insert_unless_there(tx, RevokedToken, token_id=token_id, user_id=user_id, revoked_at=now(), expires_at=expires_at)
