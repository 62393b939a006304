"""`/api/v1/chat`: a message and its reply, whole or as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from flask import Response, request

from chatsvc.api.common import sse
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.common.failures import status_of, with_patience
from chatsvc.api.common.once import claim_of
from chatsvc.api.common.wire import answer, encoded
from chatsvc.api.v1 import schemas, wire
from chatsvc.core import chat
from chatsvc.core.clients import Client
from chatsvc.core.errors import Invalid, Problem
from chatsvc.core.listening import LATER
from chatsvc.core.turns import AlreadyRunning
from chatsvc.extensions import runtime

door = Door("v1_chat", __name__, url_prefix="/api/v1/chat")


@door.route_for("POST", "", Route(Allow.USER, "Send a message and wait for the whole reply", body=schemas.ChatSend, answer=schemas.ChatOut, sends=True))
def send(caller: Caller, **given: Any) -> Response:
    said = chat.say(caller.user_id, claim=claim_of(caller.user_id), **given)
    if said.feed is None and said.turn.reply.status == "streaming":
        raise AlreadyRunning(said.turn.reply.id)
    reply = said.turn.reply if said.feed is None else chat.outcome(said, _client(caller))
    return _replayed(_whole(said.turn, reply), said)


def _whole(turn: Any, reply: Any) -> Response:
    body = {"session_id": turn.session_id, "user_message": wire.message(turn.question), "assistant_message": wire.message_or_none(reply)}
    error = wire.failure(reply)
    if error is None:
        return answer(encoded(body), 200)
    return with_patience(answer(encoded({"detail": error["message"], **body}), status_of(error["kind"])))


@door.route_for("POST", "/stream", Route(Allow.USER, "Send a message and follow the reply as it is written", body=schemas.ChatSend, sends=True, stream=True))
def stream(caller: Caller, **given: Any) -> Response:
    said = chat.say(caller.user_id, claim=claim_of(caller.user_id), **given)
    turn = said.turn
    first = sse.event("session", 0, {"session_id": turn.session_id, "user_message": wire.message(turn.question), "reply_id": turn.reply.id})
    if said.feed is not None:
        client = _client(caller)
        return _streamed(runtime().clients.serving(client), _told(said.feed, client, turn.reply.id or -1, 0, first))
    if turn.reply.status != "streaming":
        return _replayed(sse.response(_past(turn.reply, 0, first)), said)
    return _replayed(_followed(caller, turn.reply.id, 0, first), said)


@door.route_for("GET", "/stream/<reply_id>", Route(Allow.USER, "Take a reply up again after Last-Event-ID", stream=True))
def resume(caller: Caller, *, reply_id: int) -> Response:
    given = request.headers.get("Last-Event-ID", "0").strip()
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise Invalid(Problem("Last-Event-ID", "must be the id of the last event that came, a whole number"))
    return _followed(caller, reply_id, int(given))


@door.route_for("POST", "/stream/<reply_id>/cancel", Route(Allow.USER, "Stop a reply; what was written is kept", answer=schemas.MessageOut))
def cancel(caller: Caller, *, reply_id: int) -> wire.Body:
    return wire.message(chat.cancel(caller.user_id, reply_id))


def _followed(caller: Caller, reply_id: int, offset: int, first: bytes = b"") -> Response:
    """The events of a reply that was begun before, here or elsewhere."""
    client = _client(caller)
    following = chat.following(client, reply_id)
    reply, feed = following.__enter__()
    return _streamed(following, _told(feed, client, reply_id, offset, first) if feed is not None else _past(reply, offset, first), entered=True)


def _streamed(held: AbstractContextManager[Any], events: Iterator[bytes], *, entered: bool = False) -> Response:
    """The events, and what is held while they go out."""
    if not entered:
        held.__enter__()
    response = sse.response(events)
    response.call_on_close(lambda: held.__exit__(None, None, None))
    return response


def _client(caller: Caller) -> Client:
    return Client(caller.user_id, caller.let_in_with)


def _told(feed: Any, client: Client, reply_id: int, offset: int, first: bytes) -> Iterator[bytes]:
    here = runtime()
    return _growing(feed, client, offset, first, lambda: here.leaving(reply_id))


def _growing(feed: Any, client: Client, offset: int, first: bytes, leaving: Callable[[], bool]) -> Iterator[bytes]:
    # Something at once, or the headers too would only be sent with the next word.
    yield first or sse.PING
    yield from sse.growing(feed, offset, client, leaving=leaving)
    if feed.final is not None and feed.final != LATER and client.is_welcome():
        yield _last(feed.final, feed.length)


def _past(reply: Any, offset: int, first: bytes) -> Iterator[bytes]:
    if first:
        yield first
    length = len(reply.content)
    if offset < length:
        yield sse.event("delta", length, {"content": reply.content[offset:]})
    yield _last(reply, length)


def _last(reply: Any, offset: int) -> bytes:
    """The event that says how it ended."""
    error = wire.failure(reply)
    if error is None:
        return sse.event("done", offset, {"assistant_message": wire.message(reply)})
    return sse.event("error", offset, {"detail": error["message"], "assistant_message": wire.message_or_none(reply)})


def _replayed(response: Response, said: chat.Said) -> Response:
    if said.turn.again:
        response.headers["Idempotent-Replayed"] = "true"
    return response
