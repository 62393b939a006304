"""A message to a conversation and its answer, at once or later; and the callback that brings a late one."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from chatsvc.api.common import address, reading
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.common.failures import failure, status_of, with_patience
from chatsvc.api.common.once import claim_of
from chatsvc.api.common.wire import answer, encoded
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.api.envelope.enabled import only_if_enabled
from chatsvc.core import chat, exchanges
from chatsvc.core.clients import Client
from chatsvc.core.errors import NotFound
from chatsvc.core.listening import LATER
from chatsvc.core.turns import AlreadyRunning

SENT = "Message sent successfully"
TAKEN = "Message accepted; the answer comes later"
MAX_AGENT = 1000

door = wire.EnvelopeDoor("envelope_exchanges", __name__, url_prefix="/api/conversations")
door.before_request(only_if_enabled)
callbacks = wire.EnvelopeDoor("envelope_callbacks", __name__, url_prefix="/api/chat-sessions")


@door.route_for(
    "POST",
    "/<conversation_id>/messages",
    Route(Allow.USER, "Send a message to the persona", body=schemas.ExchangeSend, status=201, answer=shapes.ExchangeOut, sends=True, says=SENT),
)
def send(caller: Caller, *, conversation_id: str, message: str, metadata: dict[str, Any] | None = None) -> Response:
    later = _asked_for_later()
    said = chat.converse(
        caller.user_id,
        conversation_id,
        claim=claim_of(caller.user_id),
        message=message,
        session_meta={**(metadata or {}), **_client()},
        respond_later=later,
    )
    response = _again(said.turn) if said.feed is None else _first(said, Client(caller.user_id, caller.let_in_with), later=later)
    if said.turn.again:
        response.headers["Idempotent-Replayed"] = "true"
    if later and response.status_code == 202:
        response.headers["Preference-Applied"] = "respond-async"
    return response


def _first(said: Any, client: Client, *, later: bool) -> Response:
    final = LATER if later else chat.outcome(said, client)
    return _taken(said.turn) if final == LATER else _ended(said.turn, final)


def _again(turn: Any) -> Response:
    if turn.answered == 202:
        return _taken(turn)
    if turn.reply.status == "streaming":
        raise AlreadyRunning(turn.reply.id)
    return _ended(turn, turn.reply)


def _taken(turn: Any) -> Response:
    return answer(encoded(wire.enveloped(TAKEN, wire.exchange(turn.session_id, "ACTIVE", turn.question, None))), 202)


def _ended(turn: Any, reply: Any) -> Response:
    if not hasattr(reply, "content"):
        raise NotFound("Session")  # erased meanwhile
    if reply.status == "complete":
        return answer(encoded(wire.enveloped(SENT, wire.exchange(turn.session_id, "COMPLETED", turn.question, reply))), 201)
    error = failure(reply)
    if error is None:
        return _refused("This exchange was cancelled", wire.exchange(turn.session_id, "CANCELLED", turn.question, None), 409)
    status = "TIMEOUT" if error["kind"] == "cleanup" else "FAILED"
    return with_patience(_refused(error["message"], wire.exchange(turn.session_id, status, turn.question, None), status_of(error["kind"])))


def _refused(words: str, data: wire.Body, status: int) -> Response:
    return answer(encoded(wire.error(words, [], data)), status)


def _asked_for_later() -> bool:
    wishes = ",".join(request.headers.getlist("Prefer")).lower().split(",")
    return any(wish.split(";")[0].strip() == "respond-async" for wish in wishes)


def _client() -> dict[str, Any]:
    """What is known of who sends; the client's own fields of these names lose."""
    agent, device = request.headers.get("User-Agent"), request.headers.get("Sec-CH-UA")
    return {"userAgent": agent and _printable(agent), "ipAddress": address.client(), "deviceInfo": device and _printable(device)}


def _printable(header: str) -> str:
    """What a header says, short, and without what no database takes."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in header[:MAX_AGENT])


@callbacks.route_for(
    "POST",
    "/<session_id>/callback",
    Route(Allow.ANYONE, "Bring the answer that was to come later; signed, and once", answer=shapes.AnsweredOut, says="Answer received successfully"),
)
def callback(*, session_id: str) -> wire.Body:
    signature = request.headers.get("X-Chatsvc-Signature")
    exchanges.check_callback(session_id, request.headers.get("X-Chatsvc-Timestamp"), reading.sent(), signature)
    exchanges.answer(session_id, reading.body(schemas.Callback())["output"], signature=signature)
    return {"sessionId": session_id, "status": "COMPLETED"}
