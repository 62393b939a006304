"""What the tests of the telephones share: a server that misbehaves, and a patient listener."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from chatsvc.responders import model
from chatsvc.responders.base import Outcome, Question, Responder, ResponderError, Stop, Turn
from chatsvc.responders.http import Client
from chatsvc.responders.openai import OpenAI
from tests.responders.upstream import Upstream, running

KEY = "sk-proj-Tz4kQ9vYb2mXw7LrN1"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "BACKOFF", 0.01)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as server:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture
def openai(upstream: Upstream, client: Client) -> Callable[..., OpenAI]:
    """A responder that asks the misbehaving server, with any keyword changed."""

    def make(**keywords: Any) -> OpenAI:
        defaults: dict[str, Any] = {"base_url": f"{upstream.url}/v1", "api_key": KEY, "model": "parrot", "timeout": 5, "client": client}
        return OpenAI(**{**defaults, **keywords})

    return make


@dataclass
class Told:
    """What came of a question."""

    pieces: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    error: ResponderError | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def kind(self) -> str | None:
        return self.error.kind if self.error else None


def asked(responder: Responder, text: str = "Hello?", *, stop: Stop | None = None, system: str = "", history: list[Turn] | None = None) -> Told:
    """Asks and listens to the end, whichever it is."""
    told, began = Told(), time.monotonic()
    answer = responder.reply(Question(history or [Turn("user", text)], system_prompt=system), stop or Stop())
    try:
        while True:
            told.pieces.append(next(answer))
    except StopIteration as end:
        told.outcome = end.value
    except ResponderError as error:
        told.error = error
    finally:
        answer.close()
    told.seconds = time.monotonic() - began
    assert all(told.pieces)
    return told
