"""What all language models have in common: asking again where that does no harm, and listening to an answer as it comes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2

from chatsvc.responders import sse, text
from chatsvc.responders.base import Answer, Outcome, ResponderError
from chatsvc.responders.http import Call, Client, HttpError, Response

log = logging.getLogger(__name__)

NAME = "The model"
TRIES = 3
BACKOFF = 0.5
PATIENCE = 5.0  # the longest Retry-After that is waited for
AFTERWARDS = 3.0  # once the text has ended, what else may come is waited for this long
TEMPORARY = (429, 500, 502, 503, 504, 529)


def ask(client: Client, url: httpx2.URL, body: Mapping[str, Any], headers: Mapping[str, str], call: Call) -> Response:
    """The answer's beginning. Tried again, within the call's time, where the other side was busy or not there; nothing has been said by then."""
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    for tries_left in reversed(range(TRIES)):
        try:
            return client.post(url, content, headers, call)
        except HttpError as error:
            wait = BACKOFF * (TRIES - tries_left) if error.retry_after is None else error.retry_after
            if not tries_left or not (error.retryable or error.status in TEMPORARY) or wait > min(PATIENCE, call.left()):
                raise
        call.stop.wait(wait)
    raise AssertionError("unreachable")


def bad(what: str) -> HttpError:
    return HttpError("bad_response", f"{NAME} {what}.")


@dataclass
class Heard:
    """An answer while it is listened to."""

    call: Call
    model: str | None = None
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    upstream_id: str | None = None
    ended: bool = False
    any_text: bool = False
    joiner: text.Joiner = field(default_factory=text.Joiner)

    def say(self, piece: str) -> Iterator[str]:
        """The piece as it may be passed on, if anything is left of it."""
        clean = self.joiner.feed(piece)
        if clean:
            self.any_text = True
            yield clean

    def close(self) -> Iterator[str]:
        """What is still to be passed on; raises when this was no answer."""
        if not (self.ended or self.finish_reason):
            raise bad("broke off in the middle of its answer")
        rest = self.joiner.rest()
        if rest:
            self.any_text = True
            yield rest
        if not self.any_text:
            raise bad("gave an empty answer")

    def facts(self) -> Outcome:
        return Outcome(model=self.model, finish_reason=self.finish_reason, usage=self.usage, upstream_id=self.upstream_id)

    def fault(self, said: Any) -> HttpError:
        """The error that the model reports inside an answer. Its words go to the log."""
        excerpt = text.excerpt_of(json.dumps({"error": said}), self.call.secrets)
        log.warning("%s reported an error: %s", NAME, excerpt)
        error = bad("reported an error")
        error.excerpt = excerpt
        return error


def document(raw: bytes | str) -> dict[str, Any]:
    """A JSON object that a model sent."""
    try:
        said = text.parse(raw)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise bad("sent something that cannot be understood")
    return said


class Dialect(Protocol):
    """How one kind of model puts things. What is not text is noted in `heard`; an error that it reports is raised."""

    def hear_event(self, event: sse.Event, heard: Heard) -> str: ...

    def hear_document(self, said: dict[str, Any], heard: Heard) -> str: ...


def listen(response: Response, dialect: Dialect, heard: Heard) -> Answer:
    """The text of an answer, streamed or not."""
    first = response.peek()
    if first == b"<":
        raise bad("answered with a web page")
    if first == b"{":
        yield from heard.say(dialect.hear_document(document(response.read()), heard))
    else:
        try:
            yield from _follow(response, dialect, heard)
        except ResponderError:
            if not heard.finish_reason:  # else the text is complete, and only what comes after it is missing
                raise
    yield from heard.close()
    response.drain()
    return heard.facts()


def _follow(response: Response, dialect: Dialect, heard: Heard) -> Iterator[str]:
    ending = False
    for event in sse.events(response.pieces()):
        yield from heard.say(dialect.hear_event(event, heard))
        if heard.ended:
            return
        if heard.finish_reason and not ending:
            ending = True
            response.hurry(AFTERWARDS)
