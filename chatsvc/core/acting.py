"""For whom the database is asked.

PostgreSQL shows rows of people to nobody but the one for whom a statement says that it acts (docs/decisions/0013): a second wall behind the
owner that stands in every statement. The door says who is calling; what acts for all (cleanup, heartbeat, checks) says so itself; and
who says nothing sees nothing. SQLite has no such wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SETTING = "chatsvc.acts_for"
SAID = f"SET LOCAL {SETTING} = %s"  # goes before a statement, in its message; ends with its transaction
NOBODY = ""
EVERYBODY = "*"

_for_whom: ContextVar[str | None] = ContextVar("acts_for", default=None)
_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def current() -> str | None:
    """As the policies spell it; None where nobody has said anything, and the connection's own setting counts, which is NOBODY."""
    return _for_whom.get()


def act_for(whom: str | None) -> None:
    """From here on, in this thread; for what has no end that a `with` could mark."""
    _for_whom.set(whom)


def called_by(whom: str | None) -> None:
    """Who has sent the request that this thread answers, for whomever it acts then; for them, until it says otherwise."""
    _caller.set(whom)
    _for_whom.set(whom)


def caller() -> str | None:
    return _caller.get()


def user(user_id: str) -> str:
    """A user of any id, which may well be `*`."""
    return f"u{user_id}"


@contextmanager
def acting_for(whom: str | None) -> Iterator[None]:
    mark = _for_whom.set(whom)
    try:
        yield
    finally:
        _for_whom.reset(mark)
