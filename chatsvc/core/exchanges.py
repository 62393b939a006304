"""Exchanges: one message to a persona and its answer, a session of its own within a conversation."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import insert, select, update

from chatsvc.core import acting, conversations, endings, erasure, idempotency, personas, replies, turns
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, NotFound, Unauthenticated
from chatsvc.core.idempotency import Claim
from chatsvc.core.metrics import REPLIES
from chatsvc.core.models import ChatMessage, ChatSession, Conversation, IdempotencyKey, Persona
from chatsvc.core.models.types import later, now, one_moment
from chatsvc.core.read_models import unkept_message
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.turns import Begun
from chatsvc.extensions import metrics, settings
from chatsvc.responders.signing import verify

log = logging.getLogger(__name__)


@unit
def begin(
    tx: Unit,
    user_id: str,
    conversation_id: str,
    *,
    worker_id: str,
    message: str,
    session_meta: dict[str, Any],
    respond_later: bool = False,
    claim: Claim | None = None,
) -> Begun:
    """Commits the exchange, the question, its key and the reply's row together, before anybody is asked."""
    if claim is not None and not idempotency.take(tx, claim):
        return turns.begun_before(tx, claim)
    conversation = _open(tx, user_id, conversation_id)
    at = one_moment()
    made = insert(ChatSession).values(
        id=str(uuid.uuid4()),
        user_id=user_id,
        persona_id=conversation.persona_id,
        conversation_id=conversation_id,
        metadata=session_meta,
        created_at=at,
        updated_at=at,
    )
    session = tx.execute(made.returning(ChatSession.id, ChatSession.user_id)).one()
    changed(tx, update(Conversation).where(Conversation.id == conversation_id).values(updated_at=later(Conversation.updated_at, now())))
    there = {"persona_id": conversation.persona_id, "conversation_id": conversation_id}
    if not settings().message_history:
        asked, told = unkept_message(session.id, "user", message), unkept_message(session.id, "assistant", "", "streaming")
        return Begun(session.id, asked, told, **there)
    question = turns.insert_message(tx, session, role="user", content=message, conversation_id=conversation_id)
    running = {"status": "streaming", "worker_id": worker_id, "reply_to": question.id}
    reply = turns.insert_message(tx, session, role="assistant", content="", conversation_id=conversation_id, **running)
    if claim is not None:
        first_answer = {"status": 202} if respond_later else {}
        changed(tx, update(IdempotencyKey).where(*idempotency.is_claim(claim)).values(reply_id=reply.id, session_id=session.id, **first_answer))
    return Begun(session.id, question, reply, **there)


def _open(tx: Unit, user_id: str, conversation_id: str) -> AnyRow:
    """The conversation, whose persona must be active; and room for one more reply of this user's."""
    columns = (Conversation.persona_id, Persona.is_active, turns.written_for(user_id).label("running_anywhere"))
    found = tx.execute(
        select(*columns).join(Persona, Persona.id == Conversation.persona_id).where(*conversations.owned(user_id, conversation_id))
    ).one_or_none()
    if found is None:
        raise NotFound("Conversation")
    if not found.is_active:
        raise Conflict("This persona is not active")
    turns.check_room(found)
    return found


def check_callback(session_id: str, timestamp: str | None, body: bytes, signature: str | None) -> None:
    """Unauthenticated unless whoever was asked in this session signed this; what is wrong is not said."""
    now_here = time.time()
    if not any(verify(secret, timestamp, body, signature, now_here) for secret in _callback_secrets(session_id)):
        raise Unauthenticated


def _callback_secrets(session_id: str) -> Sequence[str]:
    asked = (
        select(Persona.id)
        .join(ChatSession, ChatSession.persona_id == Persona.id)
        .where(ChatSession.id == session_id, ChatSession.deleted_at.is_(None), Persona.answers == "callback")
    )
    # A signature says which session it is about, and not whose that is.
    with acting.acting_for(acting.EVERYBODY):
        found = read(asked)
    return personas.secrets_of(found[0].id) if found else ()


def answer(session_id: str, output: str, *, signature: str | None) -> None:
    """The answer that a callback brings; Conflict when it was used already, or the exchange has ended."""
    with acting.acting_for(acting.EVERYBODY):
        asked = read(select(ChatSession.user_id).where(ChatSession.id == session_id))
    if not asked or not _answered_for(asked[0].user_id, session_id, output, signature):
        log.warning("a callback for session %s came after it had been answered or had ended; it changes nothing", session_id)
        raise Conflict("This session has been answered already, or has ended")
    metrics().count(REPLIES, outcome="complete", kind="none", responder="callback")


def _answered_for(user_id: str, session_id: str, output: str, signature: str | None) -> bool:
    with acting.acting_for(acting.user(user_id)):
        return _answered(user_id, session_id, output, signature)


@unit
def _answered(tx: Unit, user_id: str, session_id: str, output: str, signature: str | None) -> bool:
    if not erasure.keep_there(tx, session_id):
        return False  # erased since it was looked at: not even the key of this callback stays
    # An exchange takes one answer at all; a plain session goes on, and what answered one question must not answer the next.
    # No key of a person's holds a blank.
    if not idempotency.take(tx, Claim(user_id, f"callback {session_id} {signature}", "")):
        return False
    if not settings().message_history:
        return endings.of_exchange(session_id, "complete", {})
    found = read(select(ChatMessage.id).where(ChatMessage.session_id == session_id, ChatMessage.status == "streaming"))
    ended = replies.end(session_id, found[0].id, status="complete", content=output, facts={}) if found else None
    return ended is not None and ended.status == "complete"
