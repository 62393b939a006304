"""Guessing passwords is made hopeless, and nobody can lock somebody else out by doing it.

Each account counts wrong guesses per address, and waits ever longer between two of that address. Guesses from many
addresses meet a second, gentler count of the whole account, which an address that has signed in before is exempt from.
A guess is counted before it is looked at, so that many at once are not looked at for the price of one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from chatsvc.core.database import unit
from chatsvc.core.errors import TooMany
from chatsvc.core.models import LoginThrottle
from chatsvc.core.models.types import now, one_moment
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.upsert import insert_unless_there

EVERYWHERE = "*"
TRUSTED_FOR = timedelta(days=90)
FORGOTTEN_AFTER = timedelta(hours=1)
FREE_TRIES = {"address": 5, EVERYWHERE: 50}
LONGEST_WAIT = {"address": 900, EVERYWHERE: 180}


def wait_after(failures: int, place: str) -> timedelta:
    """How long the next guess waits after so many wrong ones in a row."""
    kind = EVERYWHERE if place == EVERYWHERE else "address"
    beyond = failures - FREE_TRIES[kind]
    return timedelta(seconds=min(2.0**beyond, LONGEST_WAIT[kind])) if 0 <= beyond < 64 else timedelta(seconds=LONGEST_WAIT[kind] if beyond >= 0 else 0)


@unit
def admit(tx: Unit, account: str, address: str) -> None:
    """Counts a guess; TooMany while this account has to wait. A guess that is refused does not make the wait longer."""
    for place in (EVERYWHERE, address):
        insert_unless_there(tx, LoginThrottle, account=account, address=place, failures=0, touched_at=now())
    rows = {
        row.address: row
        for row in tx.execute(
            select(LoginThrottle.__table__, one_moment().label("now")).where(*_of(account, address)).order_by(LoginThrottle.address).with_for_update()
        )
    }
    here = rows[address]
    trusted = here.succeeded_at is not None and here.now - here.succeeded_at < TRUSTED_FOR
    counted = [here] if trusted else [here, rows[EVERYWHERE]]
    blocked = [row.blocked_until for row in counted if row.blocked_until and row.blocked_until > row.now]
    if blocked:
        raise TooMany("Too many wrong passwords. Wait, then try again", retry_after=(max(blocked) - here.now).total_seconds())
    for row in counted:
        _count(tx, row)


def _count(tx: Unit, row: AnyRow) -> None:
    failures = 1 if row.now - row.touched_at > FORGOTTEN_AFTER else row.failures + 1
    wait = wait_after(failures, row.address)
    until: datetime | None = row.now + wait if wait else None
    _set(tx, row.account, row.address, failures=failures, blocked_until=until, touched_at=now())


@unit
def forgive(tx: Unit, account: str, address: str) -> None:
    """The password was right: this address starts anew and is known from now on."""
    _set(tx, account, address, failures=0, blocked_until=None, succeeded_at=now(), touched_at=now())
    everywhere = tx.execute(
        select(LoginThrottle.failures).where(LoginThrottle.account == account, LoginThrottle.address == EVERYWHERE).with_for_update()
    ).scalar_one_or_none()
    if everywhere:
        _set(tx, account, EVERYWHERE, failures=everywhere - 1)


def _set(tx: Unit, account: str, address: str, /, **values: Any) -> None:
    row = update(LoginThrottle).where(LoginThrottle.account == account, LoginThrottle.address == address)
    changed(tx, row.values(**values))


def _of(account: str, address: str) -> tuple[Any, Any]:
    return LoginThrottle.account == account, LoginThrottle.address.in_((EVERYWHERE, address))
