"""Local accounts: made, signed in, given another password, promoted, disabled, listed."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import unicodedata
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, literal, or_, select, tuple_, update
from sqlalchemy import Connection as Unit

from chatsvc.core import audit, passwords, throttle, tokens
from chatsvc.core.aside import AT_ONCE, aside
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, Invalid, NotFound, Problem, Unavailable, WrongCredentials
from chatsvc.core.models import User
from chatsvc.core.models.types import Moment, one_moment
from chatsvc.core.paging import Place, Window, seal, unseal
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.upsert import insert_unless_there
from chatsvc.extensions import settings

COLUMNS = (User.id, User.username, User.role, User.created_at, User.disabled_at)

# 19 MiB and two passes: the least that is advised for Argon2id, and what two at a time of a small machine can bear.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of an account that does not exist: to be verified takes as long as any other. Made once, since making it is a tenth of a process's start.
_NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$6ujVIveFqaYWMHw9yD1Amg$37XZJIWSQ55wlzUKa6aj7jzjxlj0XRbM0quOiKcghCc"
_at_once = threading.BoundedSemaphore(AT_ONCE)
HASH_WAIT_SECONDS = 10
MIN_PASSWORD, MAX_PASSWORD = 8, 256
MAX_NAME = 64
# Letters, marks and symbols that show nothing: two names could look alike but for one of them. And two spaces, which look like one.
BLANKS: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]|  ")


def create(username: str, password: str, *, role: str = "USER") -> AnyRow:
    """A new account; Conflict when the name is taken, whatever its case."""
    if problem := name_problem(username):
        raise Invalid(Problem("username", problem))
    _check(password, username)
    return _insert(username, _hash(password), role)


def _check(password: str, username: str) -> None:
    if settings().production and (problem := passwords.problem(password, username)):  # elsewhere some are printed in the manual
        raise Invalid(Problem("password", problem))


@unit
def _insert(tx: Unit, username: str, password_hash: str, role: str) -> AnyRow:
    user_id = str(uuid.uuid4())
    at = one_moment()
    if not insert_unless_there(
        tx, User, id=user_id, username=username, username_key=name_key(username), password_hash=password_hash, role=role, created_at=at, updated_at=at
    ):
        raise Conflict("This username is taken")
    if role == "ADMIN":
        audit.note("user.promoted", actor=None, subject=user_id, username=username)
    return tx.execute(select(*COLUMNS).where(User.id == user_id)).one()


def authenticate(username: str, password: str, *, address: str) -> AnyRow:
    """The account with this name and password. A wrong name, a wrong password and a disabled account look and last the same."""
    account = name_key(username)
    throttle.admit(account, address)
    found = read(select(*COLUMNS, User.password_hash).where(User.username_key == account))
    user = found[0] if found else None
    try:
        good = _verify(user.password_hash if user else _NOBODY, password)
    except Unavailable:
        throttle.take_back(account, address)
        raise
    if user is None or not good or user.disabled_at:
        audit.note("login.failed", actor=user.id if user else None, subject=account, address=address)
        raise WrongCredentials("Wrong username or password")
    throttle.forgive(account, address)
    audit.note("login.succeeded", actor=user.id, subject=account, address=address)
    if _hasher.check_needs_rehash(user.password_hash):
        _keep_hash(user.id, user.password_hash, _hash(password, salt=base64.b64decode(_salt(user.password_hash) + "==")))
    return user


def credential(user: AnyRow) -> str:
    """What tells the sign-ins with this password from those with the next one. It is out of the salt, which stays when the hash is renewed."""
    return hashlib.sha256(_salt(user.password_hash).encode()).hexdigest()[:16]


def _salt(password_hash: str) -> str:
    return password_hash.rpartition("$")[0].rpartition("$")[2]


def name_problem(username: str) -> str | None:
    """Why nobody may have this name."""
    if not 1 <= len(username) <= MAX_NAME:
        return f"must be 1 to {MAX_NAME} characters long"
    if username != username.strip() or BLANKS.search(username) or any(unicodedata.category(char)[0] in "CZ" and char != " " for char in username):
        return "must not begin or end with a space, or hold two in a row or invisible characters"
    return None


def name_key(username: str) -> str:
    """Under which a name is found: two that look alike but for case are one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())[:255]


def _hash(password: str, salt: bytes | None = None) -> str:
    with _Turn():
        return aside(lambda: _hasher.hash(password, salt=salt))


def _verify(password_hash: str, password: str) -> bool:
    def good() -> bool:
        try:
            return _hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    with _Turn():
        return aside(good)


class _Turn:
    """Two hashes at once per process, so that a flood of sign-ins does not take the memory or the processors; the rest wait their turn."""

    def __enter__(self) -> None:
        if not _at_once.acquire(timeout=HASH_WAIT_SECONDS):
            raise Unavailable("Too many sign-ins at once")

    def __exit__(self, *exc: object) -> None:
        _at_once.release()


@unit
def _keep_hash(tx: Unit, user_id: str, old: str, new: str) -> None:
    changed(tx, update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new))


def change_password(username: str, password: str) -> AnyRow:
    """Gives the account this password, and ends every sign-in with the one before."""
    _check(password, username)
    return _replace_hash(username, _hash(password))


@unit
def _replace_hash(tx: Unit, username: str, new: str) -> AnyRow:
    user = tx.execute(select(User.id, User.password_hash).where(*_is(username)).with_for_update(key_share=True)).one_or_none()
    if user is None:
        raise NotFound("User")
    tokens.end_sign_ins(tx, user.id, credential(user))
    return _altered(tx, username, "user.password_changed", password_hash=new)


def promote(username: str) -> AnyRow:
    """Makes the account an ADMIN."""
    return _change(username, "user.promoted", role="ADMIN")


def disable(username: str) -> AnyRow:
    """Closes the account: it cannot sign in, and its tokens are no longer good."""
    return _change(username, "user.disabled", disabled_at=one_moment())


def enable(username: str) -> AnyRow:
    """Opens a disabled account again."""
    return _change(username, "user.enabled", disabled_at=None)


def has_password(username: str, password: str) -> bool:
    """Whether this account has this password, open or not; for what is checked at a start, not for signing in."""
    found = read(select(User.password_hash).where(User.username_key == name_key(username)))
    return bool(found) and _verify(found[0].password_hash, password)


def id_of(id_or_name: str) -> str:
    """The id of the account that has this id or name; else what was given, which may be the id of somebody who has none here."""
    found = read(select(User.id).where(or_(User.id == id_or_name, User.username_key == name_key(id_or_name))).order_by(User.id != id_or_name).limit(1))
    return found[0].id if found else id_or_name


@unit
def _change(tx: Unit, username: str, action: str, /, **values: Any) -> AnyRow:
    return _altered(tx, username, action, **values)


def _is(username: str) -> tuple[ColumnElement[bool], ...]:
    return User.username_key == name_key(username), User.username != ""  # what is left of an account that was erased has no name


def _altered(tx: Unit, username: str, action: str, /, **values: Any) -> AnyRow:
    statement = update(User).where(*_is(username)).values(**values, updated_at=one_moment()).returning(*COLUMNS)
    found = tx.execute(statement.execution_options(synchronize_session=False)).one_or_none()
    if found is None:
        raise NotFound("User")
    audit.note(action, actor=None, subject=found.id, username=found.username)
    return found


def everybody(window: Window) -> tuple[Sequence[AnyRow], str | None]:
    """The accounts, oldest first, and the cursor of the next page."""
    wanted = select(*COLUMNS).where(User.username != "").order_by(User.created_at, User.id).limit(window.size + 1)
    rank = 0
    if window.cursor:
        place = unseal("users", window.cursor)
        rank = place.rank
        wanted = wanted.where(tuple_(User.created_at, User.id) > tuple_(literal(datetime.fromisoformat(place.after[0]), Moment()), literal(place.after[1])))
    rows = read(wanted)
    shown = rows[: window.size]
    if len(rows) <= window.size:
        return shown, None
    return shown, seal("users", Place((shown[-1].created_at.isoformat(timespec="microseconds"), shown[-1].id), rank + window.size))
