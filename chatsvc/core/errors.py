"""What can go wrong, typed. A door decides how each looks on its wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ChatError(Exception):
    """A refusal that the caller is told about. `facts` is what a door may add to the answer."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class NotFound(ChatError):
    """Not there, or not the caller's: the two look alike."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun} not found")


class Problem:
    """One thing wrong with one field of the input."""

    __slots__ = ("field", "message")

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message


class Invalid(ChatError):
    """Input that names its bad fields; nothing was written."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.message}" for problem in problems))
        self.problems: Sequence[Problem] = problems


class Conflict(ChatError):
    """The thing is in a state that does not allow this."""


class KeyReused(ChatError):
    """An Idempotency-Key that stands for another request already."""


class KeyBusy(ChatError):
    """The first request with this Idempotency-Key is still under way after a fair wait."""


class Forbidden(ChatError):
    """The caller is known and may not do this."""


class Unauthenticated(ChatError):
    """Nobody the service knows: whatever the reason, the answer is the same."""

    def __init__(self) -> None:
        super().__init__("Not signed in, or the sign-in is no longer good")


class WrongCredentials(ChatError):
    """Name or password is wrong; which of the two is not said."""


class TooMany(ChatError):
    """Too often; `retry_after` says after how many seconds a new try makes sense."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ChatError):
    """Something the service depends on is away or too slow; the same request may work later."""

    retry_after = 2.0
