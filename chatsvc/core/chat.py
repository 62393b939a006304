"""A turn of a chat: the question is kept, the responder asked, the reply followed by whoever wants to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chatsvc.core import about, endings, exchanges, personas, replies, turns
from chatsvc.core.clients import Client
from chatsvc.core.errors import Conflict, Invalid, NotFound, Problem, TooMany, Unauthenticated
from chatsvc.core.feed import Feed
from chatsvc.core.guard import Awaiting
from chatsvc.core.idempotency import Claim
from chatsvc.core.listening import LATER, Heard
from chatsvc.core.read_models import unkept_message
from chatsvc.core.runtime import GONE, Runtime
from chatsvc.core.sessions import KEEP, Keep
from chatsvc.core.turns import Begun
from chatsvc.extensions import responder, runtime, settings
from chatsvc.responders.base import Question, Responder, Turn

CANCEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Said:
    """A question, its reply's row as it began or ended, and where its text grows."""

    turn: Begun
    feed: Feed | None


def say(user_id: str, *, claim: Claim | None = None, **given: Any) -> Said:
    """Keeps the question and sets the responder to work; a retry finds what there is."""
    here = _ready()
    if not settings().message_history:
        return _unkept(here, user_id, claim, **given)
    with here.queue.turn():
        turn = turns.begin(user_id, worker_id=here.worker_id, claim=claim, **given)
    return _asked(here, user_id, turn, claim)


def converse(user_id: str, conversation_id: str, *, claim: Claim | None = None, **given: Any) -> Said:
    """The same for a message to a conversation: an exchange."""
    here = _ready()
    if not settings().message_history:
        _refuse(claim)
    with here.queue.turn():
        turn = exchanges.begin(user_id, conversation_id, worker_id=here.worker_id, claim=claim, **given)
    return _asked(here, user_id, turn, claim)


def _ready() -> Runtime:
    here: Runtime = runtime()
    here.start()
    here.has_room()
    return here


def _asked(here: Runtime, user_id: str, turn: Begun, claim: Claim | None) -> Said:
    about.of_session(turn.session_id)
    if turn.again:
        return Said(turn, None)

    def ask() -> tuple[Responder, Question]:
        return _responder(turn), _question(user_id, turn)

    def ended(status: str, facts: dict[str, Any]) -> Heard | None:
        return endings.unkept(turn.session_id, status, facts) if turn.conversation_id else (status, facts)

    return Said(turn, here.produce(turn.session_id, turn.reply.id, ask, claim, ended))


def _responder(turn: Begun) -> Responder:
    if turn.persona_id is None:
        default: Responder = responder()
        return default
    persona = personas.responder_of(turn.persona_id)
    # An exchange is left open until the callback comes; in a plain session the reply is waited for like any other.
    return persona if turn.conversation_id else Awaiting(persona, settings().reply_timeout)


def _question(user_id: str, turn: Begun) -> Question:
    kept = turn.question.id is not None
    alone = turn.is_first or not kept
    return Question(
        [Turn("user", turn.question.content)] if alone else replies.history(turn.session_id, turn.conversation_id, upto=turn.question.id),
        settings().system_prompt,
        user_id=user_id,
        session_id=turn.session_id,
        reply_id=str(turn.reply.id) if kept else str(uuid.uuid4()),
        conversation_id=turn.conversation_id or turn.session_id,
        persona_id=turn.persona_id or "",
    )


def _unkept(
    here: Runtime,
    user_id: str,
    claim: Claim | None,
    *,
    message: str | None,
    session_id: str | None,
    agent_type: str | None,
    persona_id: str | Keep | None = KEEP,
    metadata: Any = None,
    **_: Any,
) -> Said:
    """Where no messages are kept: the session is, the question and its reply are only told."""
    _refuse(claim)
    if message is None:
        raise NotFound("Reply")
    with here.queue.turn():
        session = turns.open_session(user_id, session_id, agent_type, persona_id)
    question = unkept_message(session.id, "user", message, meta=metadata)
    turn = Begun(session.id, question, unkept_message(session.id, "assistant", "", "streaming"), persona_id=session.persona_id)
    return _asked(here, user_id, turn, None)


def _refuse(claim: Claim | None) -> None:
    if claim is not None:
        raise Invalid(Problem("Idempotency-Key", "cannot be kept: this service keeps no messages (CHAT_ENABLE_MESSAGE_HISTORY is false)"))


def outcome(said: Said, client: Client) -> Any:
    """The reply's row once it has ended; Unauthenticated for one who was signed out or disabled while waiting for it."""
    assert said.feed is not None
    with runtime().clients.serving(client):
        while said.feed.final is None and client.is_welcome():
            said.feed.wait(said.feed.length)
    if not client.is_welcome():
        raise Unauthenticated()
    return said.feed.final


@contextmanager
def following(client: Client, reply_id: int) -> Iterator[tuple[Any, Feed | None]]:
    """A reply of this user: its row, and where its text grows while it does."""
    reply = replies.get(client.user_id, reply_id)
    if reply.status != "streaming":
        yield reply, None
        return
    here: Runtime = runtime()
    here.has_room()
    most = 2 * settings().streams_per_user  # each in two tabs, or in one that is back before the lost connection was noticed
    if settings().ratelimit_enabled and here.clients.of(client.user_id) >= most:
        raise TooMany(f"At most {most} streams at once", retry_after=5)
    with here.clients.serving(client), here.following(reply.session_id, reply_id) as feed:
        yield reply, feed


def cancel(user_id: str, reply_id: int) -> Any:
    """Stops a running reply, wherever it is written; its text is kept. Stopping twice is as good as once."""
    reply = replies.ask_to_stop(user_id, reply_id)
    if reply.status == "cancelled":
        return reply
    if reply.worker_id is None:
        replies.end_abandoned(reply_id)  # a callback would have brought it
        return replies.get(user_id, reply_id)
    here: Runtime = runtime()
    here.ask_to_stop(reply_id)
    final = _awaited(here, reply.session_id, reply_id)
    if final is None or final == LATER:
        replies.end_abandoned(reply_id)  # nobody has obeyed, so nobody writes it any more
        final = replies.get(user_id, reply_id)
    if final is GONE:
        return replies.get(user_id, reply_id)
    if final.status not in ("cancelled", "streaming"):
        raise Conflict("This reply has ended already")
    return final


def _awaited(here: Runtime, session_id: str, reply_id: int) -> Any:
    gives_up_at = time.monotonic() + CANCEL_SECONDS
    with here.following(session_id, reply_id) as feed:
        while feed.final is None and time.monotonic() < gives_up_at:
            feed.wait(feed.length)
        return feed.final
