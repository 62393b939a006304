"""Server-sent events: how a reply travels while it grows. Every event's id says how many code points have been sent with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from flask import Response

from chatsvc.core.clients import Client
from chatsvc.core.feed import Feed, Turn

PING_SECONDS = 10.0
PING = b": ping\n\n"
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}


# Many a client's library takes these for the ends of lines, which they are in Unicode and not here.
LINE_ENDS = tuple((end.encode(), b"\\u%04x" % ord(end)) for end in "\x85\u2028\u2029")


def event(name: str, number: int, data: Any) -> bytes:
    """One event, on lines that nobody can take for others."""
    body = orjson.dumps(data)
    for end, escaped in LINE_ENDS:
        body = body.replace(end, escaped)
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name.encode(), number, body)


def growing(feed: Feed, offset: int, client: Client, *, leaving: Callable[[], bool]) -> Iterator[bytes]:
    """The rest of a text that grows, as deltas; comments while there is nothing to say. Ends with the feed, when the process leaves, and
    when the client is dismissed, even in the midst of a flood."""
    spoke_at, turn = time.monotonic(), Turn()
    while client.is_welcome():
        ended = feed.final is not None
        text = feed.wait(offset, turn)
        if not client.is_welcome():
            return
        if text:
            offset += len(text)
            spoke_at = time.monotonic()
            yield event("delta", offset, {"content": text})
        elif ended or leaving():
            return
        elif time.monotonic() - spoke_at >= PING_SECONDS:
            spoke_at = time.monotonic()
            yield PING


def response(events: Iterator[bytes]) -> Response:
    return Response(events, 200, content_type="text/event-stream", headers=HEADERS)
