"""Guessing passwords is made hopeless, and nobody can lock somebody else out by doing it.

Each account counts wrong guesses per address, and waits ever longer between two of that address. Guesses from many
addresses also draw on an allowance of the whole account, which fills up again slowly; an address that has signed in
before does without it. A guess is counted before it is looked at, so that many at once are not looked at for the
price of one. What one address alone may guess never uses the allowance up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import select, update

from chatsvc.core.database import unit
from chatsvc.core.errors import TooMany, Unavailable
from chatsvc.core.models import LoginThrottle
from chatsvc.core.models.types import now, one_moment
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.upsert import insert_unless_there

FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=15)

EVERYWHERE = "*"
ALLOWANCE = 50
ONE_MORE_EACH = timedelta(minutes=3)

TRUSTED_FOR = timedelta(days=90)
FORGOTTEN_AFTER = timedelta(hours=3)  # by then the allowance is full again


def wait_after(failures: int) -> timedelta:
    """How long an address waits for its next guess after so many wrong ones in a row."""
    beyond = failures - FREE_TRIES
    return timedelta(0) if beyond < 0 else min(timedelta(seconds=2 ** min(beyond, 30)), LONGEST_WAIT)


@unit
def admit(tx: Unit, account: str, address: str) -> None:
    """Counts a guess; TooMany while this account has to wait. A guess that is refused does not make the wait longer."""
    here, everywhere = _locked(tx, account, address)
    counted = [here] if _trusted(here) else [here, everywhere]
    blocked = [row.blocked_until for row in counted if row.blocked_until and row.blocked_until > here.now]
    if blocked:
        raise TooMany("Too many wrong passwords. Wait, then try again", retry_after=(max(blocked) - here.now).total_seconds())
    failures = 1 if here.now - here.touched_at > FORGOTTEN_AFTER else here.failures + 1
    _set(tx, here, failures=failures, blocked_until=here.now + wait_after(failures) if failures >= FREE_TRIES else None)
    if everywhere in counted:
        _set(tx, everywhere, blocked_until=_drawn(everywhere, 1))


@unit
def take_back(tx: Unit, account: str, address: str) -> None:
    """The guess was not looked at after all."""
    here, everywhere = _locked(tx, account, address)
    _set(tx, here, failures=max(0, here.failures - 1), blocked_until=None)
    _give_back(tx, here, everywhere)


@unit
def forgive(tx: Unit, account: str, address: str) -> None:
    """The password was right: this address starts anew and is known from now on."""
    here, everywhere = _locked(tx, account, address)
    _set(tx, here, failures=0, blocked_until=None, succeeded_at=now())
    _give_back(tx, here, everywhere)


def _give_back(tx: Unit, here: AnyRow, everywhere: AnyRow) -> None:
    if not _trusted(here):
        _set(tx, everywhere, blocked_until=_drawn(everywhere, -1))


def _drawn(row: AnyRow, amount: int) -> datetime:
    """Until when the allowance is used up once so many are drawn from it; long past while there is some left."""
    full: datetime = row.now - ONE_MORE_EACH * (ALLOWANCE - 1)
    return max(row.blocked_until or full, full) + ONE_MORE_EACH * amount


def _trusted(here: AnyRow) -> bool:
    return here.succeeded_at is not None and here.now - here.succeeded_at < TRUSTED_FOR


def _locked(tx: Unit, account: str, address: str) -> tuple[AnyRow, AnyRow]:
    """This address's row and that of all together; the latter is locked first, so that no two units wait for each other."""
    everywhere = _row(tx, account, EVERYWHERE)
    return _row(tx, account, address), everywhere


def _row(tx: Unit, account: str, address: str) -> AnyRow:
    wanted = select(LoginThrottle.__table__, one_moment().label("now")).where(LoginThrottle.account == account, LoginThrottle.address == address)
    for _ in range(3):  # the cleanup may take a row away that was there a moment ago
        found = tx.execute(wanted.with_for_update()).one_or_none()
        if found is not None:
            return found
        insert_unless_there(tx, LoginThrottle, account=account, address=address, failures=0, touched_at=now())
    raise Unavailable("Too many sign-ins at once")


def _set(tx: Unit, row: AnyRow, /, **values: Any) -> None:
    statement = update(LoginThrottle).where(LoginThrottle.account == row.account, LoginThrottle.address == row.address)
    changed(tx, statement.values(**values, touched_at=now()))
