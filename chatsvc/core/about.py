"""What this thread works on: the request, whose it is and which session it is about. Lines of the log say so, and what is counted."""

from __future__ import annotations

import time
from contextvars import ContextVar


class About:
    """One request, and whatever goes on for it in the background."""

    __slots__ = ("began", "method", "request_id", "route", "session_id", "user_id")

    def __init__(self, request_id: str, method: str, route: str | None) -> None:
        self.request_id = request_id
        self.method = method
        self.route = route
        self.user_id: str | None = None
        self.session_id: str | None = None
        self.began = time.perf_counter()


_about: ContextVar[About | None] = ContextVar("about", default=None)


def current() -> About | None:
    return _about.get()


def request_id() -> str:
    found = _about.get()
    return found.request_id if found else ""


def begin(request_id: str, method: str, route: str | None) -> About:
    """A request has come."""
    found = About(request_id, method, route)
    _about.set(found)
    return found


def go_on(found: About | None) -> None:
    """This thread works on what another one has begun."""
    _about.set(found)


def of_user(user_id: str) -> None:
    if (found := _about.get()) is not None:
        found.user_id = user_id


def of_session(session_id: str) -> None:
    if (found := _about.get()) is not None:
        found.session_id = session_id


def fields() -> dict[str, str]:
    """For a line of the log; ids only."""
    found = _about.get()
    if found is None:
        return {}
    known = {"request": found.request_id, "user": found.user_id, "session": found.session_id}
    return {name: value for name, value in known.items() if value}
