"""Reading streams, and a responder whose pieces a test hands out one by one."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from werkzeug.test import TestResponse

from chatsvc.responders.base import Answer, Outcome, Question, ResponderError, Stop
from tests.factories import Person

CHAT = "/api/v1/chat"


@dataclass
class Event:
    name: str
    id: int
    data: dict[str, Any]


class HandedOut:
    """Says what the test puts in: text, an error to raise, or None for the end."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[str | ResponderError | None] = queue.Queue()
        self.questions: list[Question] = []

    def say(self, *pieces: str | ResponderError | None) -> None:
        for piece in pieces:
            self.pieces.put(piece)

    def reply(self, question: Question, stop: Stop) -> Answer:
        self.questions.append(question)
        while True:
            try:
                piece = self.pieces.get(timeout=0.02)
            except queue.Empty:
                stop.check()
                continue
            if piece is None:
                return Outcome(model="test", finish_reason="stop")
            if isinstance(piece, ResponderError):
                raise piece
            yield piece


def events(chunks: Iterator[bytes]) -> Iterator[Event]:
    """The events of a stream as they come; comments are left out."""
    text = ""
    for chunk in chunks:
        text += chunk.decode()
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if lines:
                yield Event(lines["event"], int(lines["id"]), json.loads(lines["data"]))
    assert text == ""


def follow(person: Person, path: str = f"{CHAT}/stream", method: str = "POST", **rest: Any) -> Iterator[Event]:
    """The events of a stream request that was let in."""
    response = person.call(method, path, **rest)
    assert response.status_code == 200, response.text
    assert response.content_type == "text/event-stream"
    return events(response.iter_encoded())


def told(response: TestResponse) -> dict[str, Any]:
    """The body of an answer."""
    return cast("dict[str, Any]", response.json)


def text_of(some: list[Event]) -> str:
    return "".join(event.data["content"] for event in some if event.name == "delta")
