"""A turn of a chat: the question is kept, the responder asked, the reply followed by whoever wants to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chatsvc.core import replies, turns
from chatsvc.core.errors import Conflict, Invalid, NotFound, Problem
from chatsvc.core.feed import Feed
from chatsvc.core.idempotency import Claim
from chatsvc.core.read_models import unkept_message
from chatsvc.core.runtime import GONE, Runtime
from chatsvc.core.turns import Begun
from chatsvc.extensions import responder, runtime, settings
from chatsvc.responders.base import Question, Turn

CANCEL_SECONDS = 5.0
# Fewer than there are connections: a thousand that begin at the same moment must not keep a list from having one.
_few_at_once = threading.BoundedSemaphore(10)


@dataclass(frozen=True, slots=True)
class Said:
    """A question, its reply's row as it began or ended, and where its text grows."""

    turn: Begun
    feed: Feed | None


def say(user_id: str, *, claim: Claim | None = None, **given: Any) -> Said:
    """Keeps the question and sets the responder to work; a retry finds what there is."""
    here: Runtime = runtime()
    here.start()
    here.has_room()
    if not settings().message_history:
        return _unkept(here, user_id, claim, **given)
    with _few_at_once:
        turn = turns.begin(user_id, worker_id=here.worker_id, claim=claim, **given)
    if turn.again:
        return Said(turn, None)

    def ask() -> Question:
        said = replies.history(turn.session_id, upto=turn.question.id)
        return Question(said, settings().system_prompt, user_id, turn.session_id, str(turn.reply.id))

    return Said(turn, here.produce(turn.session_id, turn.reply.id, responder(), ask, claim))


def _unkept(
    here: Runtime,
    user_id: str,
    claim: Claim | None,
    *,
    message: str | None,
    session_id: str | None,
    agent_type: str | None,
    persona_id: str | None = None,
    metadata: Any = None,
    **_: Any,
) -> Said:
    """Where no messages are kept: the session is, the question and its reply are only told."""
    if claim is not None:
        raise Invalid(Problem("Idempotency-Key", "cannot be kept: this service keeps no messages (CHAT_ENABLE_MESSAGE_HISTORY is false)"))
    if message is None:
        raise NotFound("Reply")
    if persona_id is not None:
        turns.check_persona(persona_id)
    with _few_at_once:
        session = turns.open_session(user_id, session_id, agent_type)
    question = Question([Turn("user", message)], settings().system_prompt, user_id, session.id)
    turn = Begun(session.id, unkept_message(session.id, "user", message, meta=metadata), unkept_message(session.id, "assistant", "", "streaming"))
    return Said(turn, here.produce(session.id, None, responder(), lambda: question))


def outcome(said: Said) -> Any:
    """The reply's row once it has ended."""
    assert said.feed is not None
    with runtime().serving():
        while said.feed.final is None:
            said.feed.wait(said.feed.length)
    return said.feed.final


@contextmanager
def following(user_id: str, reply_id: int) -> Iterator[tuple[Any, Feed | None]]:
    """A reply of this user: its row, and where its text grows while it does."""
    reply = replies.get(user_id, reply_id)
    if reply.status != "streaming":
        yield reply, None
        return
    here: Runtime = runtime()
    here.has_room()
    with here.serving(), here.following(reply_id) as feed:
        yield reply, feed


def cancel(user_id: str, reply_id: int) -> Any:
    """Stops a running reply, wherever it is written; its text is kept. Stopping twice is as good as once."""
    reply = replies.ask_to_stop(user_id, reply_id)
    if reply.status == "cancelled":
        return reply
    here: Runtime = runtime()
    here.ask_to_stop(reply_id)
    final = _awaited(here, reply_id)
    if final is None:
        replies.end_abandoned(reply_id)  # nobody has obeyed, so nobody writes it any more
        final = replies.get(user_id, reply_id)
    if final is GONE:
        return replies.get(user_id, reply_id)
    if final.status not in ("cancelled", "streaming"):
        raise Conflict("This reply has ended already")
    return final


def _awaited(here: Runtime, reply_id: int) -> Any:
    gives_up_at = time.monotonic() + CANCEL_SECONDS
    with here.following(reply_id) as feed:
        while feed.final is None and time.monotonic() < gives_up_at:
            feed.wait(feed.length)
        return feed.final
