"""What a responder is: something that is asked a question and yields the pieces of its answer.

A responder talks to the outside and knows nothing of this service: no database, no request, no settings object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["timeout", "unreachable", "bad_status", "bad_response", "circuit_open", "interrupted"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation so far."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the conversation, oldest first, ending with the person's message; and who and what it is about."""

    history: Sequence[Turn]
    system_prompt: str = ""
    user_id: str = ""
    session_id: str = ""
    reply_id: str = ""
    conversation_id: str = ""
    persona_id: str = ""

    @property
    def text(self) -> str:
        return self.history[-1].content


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the upstream said about its own answer, once it had ended."""

    model: str | None = None
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    upstream_id: str | None = None

    def facts(self) -> dict[str, Any]:
        """Those that are known."""
        known = {"model": self.model, "finish_reason": self.finish_reason, "usage": self.usage, "upstream_id": self.upstream_id}
        return {name: value for name, value in known.items() if value is not None}


class ResponderError(Exception):
    """The answer could not be had, or not to its end. The text is for people: no key, no URL query, no stack."""

    def __init__(self, kind: Kind, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after


class AnswersLater(Exception):
    """The question has been taken, and its answer comes some other way. No failure: what was asked stays open until then."""


class Stopped(Exception):
    """The answer is no longer wanted; raised within a responder's waits so that it ends at once."""


@dataclass(slots=True)
class Stop:
    """Whether the answer is still wanted. Every wait of a responder asks, at least four times a second."""

    asked: Callable[[], bool] = field(default=lambda: False)
    slice_seconds: float = 0.25

    def check(self) -> None:
        if self.asked():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleeps, and raises Stopped as soon as the answer is no longer wanted."""
        ends_at = time.monotonic() + seconds
        while True:
            self.check()
            left = ends_at - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, self.slice_seconds))


Answer = Generator[str, None, Outcome]


class Responder(Protocol):
    """Yields pieces of text, none empty, and returns what the upstream said of them; raises ResponderError or AnswersLater, or lets Stopped through."""

    def reply(self, question: Question, stop: Stop) -> Answer: ...


def kind_of(responder: Any) -> str:
    """What is asked in the end: a responder may stand around another one."""
    while (inner := getattr(responder, "_responder", None)) is not None:
        responder = inner
    return str(getattr(responder, "kind", "other"))
