"""Replies: a row before they are a stream. How they are found again, stopped and ended, whoever produces them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import and_, bindparam, delete, literal, or_, select, update

from chatsvc.core import acting, endings, idempotency, last_writes
from chatsvc.core.database import read, unit, within
from chatsvc.core.errors import Conflict, NotFound
from chatsvc.core.idempotency import Claim
from chatsvc.core.models import ChatMessage, ChatSession, IdempotencyKey, ReplyChunk, Worker
from chatsvc.core.models.types import now, seconds_ago
from chatsvc.core.prepared import prepared
from chatsvc.core.read_models import MESSAGE, MESSAGE_SO_FAR, messages_to_json
from chatsvc.core.rows import AnyRow, changed, one
from chatsvc.extensions import metrics
from chatsvc.responders.base import Turn

log = logging.getLogger(__name__)

LEASE_SECONDS = 30
HISTORY_MESSAGES = 200


@prepared
def _history(*, of_conversation: bool) -> Any:
    said = (ChatMessage.id <= bindparam("upto"), ChatMessage.deleted_at.is_(None), ChatMessage.status != "streaming", ChatMessage.content != "")
    found: Any = select(ChatMessage.role, ChatMessage.content).where(*said).limit(HISTORY_MESSAGES)
    if of_conversation:
        return found.where(ChatMessage.conversation_id == bindparam("where")).order_by(ChatMessage.conversation_id.desc(), ChatMessage.id.desc())
    return found.where(ChatMessage.session_id == bindparam("where")).order_by(ChatMessage.id.desc())


def history(session_id: str, conversation_id: str | None, *, upto: int) -> Sequence[Turn]:
    """The conversation up to and with this message, oldest first; the newest part of a long one."""
    rows = read(_history(of_conversation=conversation_id is not None), {"where": conversation_id or session_id, "upto": upto})
    return [Turn(row.role, row.content) for row in reversed(rows)]


def get(user_id: str, reply_id: int) -> AnyRow:
    """A reply of this user, in a session that is there; its text as far as it is saved."""
    found = read(
        select(*MESSAGE_SO_FAR, ChatMessage.reply_to, ChatMessage.worker_id)
        .join(ChatSession, ChatSession.id == ChatMessage.session_id)
        .where(
            ChatMessage.id == reply_id,
            ChatMessage.user_id == user_id,
            ChatMessage.role == "assistant",
            ChatMessage.deleted_at.is_(None),
            ChatSession.deleted_at.is_(None),
        )
    )
    if not found:
        raise NotFound("Reply")
    return found[0]


@unit
def ask_to_stop(tx: Unit, user_id: str, reply_id: int) -> AnyRow:
    """Sets the wish; whoever produces the reply ends it. Conflict when it has ended in another way already."""
    running = (ChatMessage.id == reply_id, ChatMessage.user_id == user_id, ChatMessage.status == "streaming", ChatMessage.cancel_requested_at.is_(None))
    changed(tx, update(ChatMessage).where(*running).values(cancel_requested_at=now()))
    # Read after its row was locked: who writes it is not to change behind this one's back.
    reply = get(user_id, reply_id)
    if reply.status in ("complete", "failed"):
        raise Conflict("This reply has ended already")
    return reply


@prepared
def _lock() -> Any:
    of_session: Any = select(ChatSession.status, ChatSession.conversation_id).where(ChatSession.id == bindparam("session_id"))
    return of_session.with_for_update(key_share=True)


@prepared
def _end() -> Any:
    running = update(ChatMessage).where(ChatMessage.id == bindparam("reply_id"), ChatMessage.status == "streaming")
    ended = running.values(status=bindparam("the_status"), content=bindparam("the_content"), metadata=bindparam("the_facts"))
    return ended.returning(*MESSAGE).execution_options(synchronize_session=False)


@prepared
def _forget_pieces() -> Any:
    return delete(ReplyChunk).where(ReplyChunk.message_id == bindparam("reply_id")).execution_options(synchronize_session=False)


@unit
def end(tx: Unit, session_id: str, reply_id: int, *, status: str, content: str, facts: dict[str, Any], claim: Claim | None = None) -> AnyRow | None:
    """Saves the whole text, once, and with it the answer that a retry gets; None when somebody else has ended the reply, or it is gone."""
    # The session's row first, as everybody does who changes messages.
    session = one(within(tx, _lock(), {"session_id": session_id}))
    if session is not None and session.conversation_id and session.status != "ACTIVE":
        status, content, facts = _too_late(session, reply_id, status, content)
    row = one(within(tx, _end(), {"reply_id": reply_id, "the_status": status, "the_content": content, "the_facts": facts}))
    if row is not None:
        within(tx, _forget_pieces(), {"reply_id": reply_id})
        if session is not None and session.conversation_id:
            endings.of_exchange(session_id, status, facts)
        if claim is not None:
            asked = select(*MESSAGE).where(ChatMessage.id == select(ChatMessage.reply_to).where(ChatMessage.id == reply_id).scalar_subquery())
            question = one(tx.execute(asked).all())
            if question is not None:  # else it has been erased since, and the key stands for nothing any more
                idempotency.keep(tx, claim, messages_to_json(question, row))
    return row


def _too_late(session: AnyRow, reply_id: int, status: str, content: str) -> tuple[str, str, dict[str, Any]]:
    """What is kept of a reply to an exchange that has ended meanwhile: what had come before that; an answer that came after it changes nothing."""
    if status == "complete":
        log.warning("reply %s came after its exchange had ended as %s; it was left aside", reply_id, session.status)
        content = "".join(chunk.text for chunk in chunks([reply_id]))
    return ("cancelled", content, {}) if session.status == "CANCELLED" else ("failed", content, {"error": endings.TIMED_OUT})


@unit
def leave_open(tx: Unit, session_id: str, reply_id: int, claim: Claim | None) -> None:
    """The upstream answers later, by a callback: from now on no process writes this reply, and 202 is what a retry is told too."""
    tx.execute(select(ChatSession.id).where(ChatSession.id == session_id).with_for_update(key_share=True))
    opened = update(ChatMessage).where(ChatMessage.id == reply_id, ChatMessage.status == "streaming").values(worker_id=None)
    row = tx.execute(opened.returning(ChatMessage.cancel_requested_at).execution_options(synchronize_session=False)).one_or_none()
    if row is not None and row.cancel_requested_at is not None:
        end_abandoned(reply_id)  # whoever wished it to stop had nobody left to obey
    elif claim is not None:
        changed(tx, update(IdempotencyKey).where(*idempotency.is_claim(claim)).values(status=202))


def states(reply_ids: Sequence[int]) -> Sequence[AnyRow]:
    """These replies as their rows are; those that are gone are left out."""
    rows = read(select(*MESSAGE).where(ChatMessage.id.in_(reply_ids)))
    for row in rows:
        if row.status != "streaming":
            last_writes.note(acting.user(row.user_id))  # whoever is told of the end finds it in their list
    return rows


def ended(reply_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Those of these replies that have ended, however."""
    return [row for row in states(reply_ids) if row.status != "streaming"]


def chunks(reply_ids: Sequence[int]) -> Sequence[AnyRow]:
    """The saved pieces of running replies, in order."""
    return read(
        select(ReplyChunk)
        .where(ReplyChunk.message_id.in_(reply_ids))
        .with_only_columns(ReplyChunk.message_id, ReplyChunk.at, ReplyChunk.text)
        .order_by(ReplyChunk.message_id, ReplyChunk.at)
    )


def sweep() -> int:
    """Ends the replies of workers that are no longer seen; their text so far is kept. Says how many."""
    long_ago = seconds_ago(literal(LEASE_SECONDS))
    # A reply of no worker at all is one that a callback will bring, unless it is no longer wanted.
    unwanted = and_(ChatMessage.worker_id.is_(None), ChatMessage.cancel_requested_at.is_not(None))
    stale = or_(Worker.seen_at < long_ago, and_(Worker.id.is_(None), ChatMessage.worker_id.is_not(None), ChatMessage.created_at < long_ago), unwanted)
    abandoned = select(ChatMessage.id).outerjoin(Worker, Worker.id == ChatMessage.worker_id).where(ChatMessage.status == "streaming", stale).limit(500)
    amount = sum(end_abandoned(row.id) is not None for row in read(abandoned))
    _forget_workers()
    if amount:
        log.warning("%d replies of workers that are gone were ended with the text saved so far", amount)
    return amount


def end_abandoned(reply_id: int) -> AnyRow | None:
    """Ends a reply that nobody writes any more, with its text so far: cancelled if somebody wished so, else failed."""
    found = read(select(ChatMessage.session_id, ChatMessage.cancel_requested_at).where(ChatMessage.id == reply_id, ChatMessage.status == "streaming"))
    if not found:
        return None
    wished = found[0].cancel_requested_at is not None
    facts = {} if wished else {"error": {"kind": "interrupted", "message": "The service was interrupted while it wrote this reply"}}
    saved = "".join(chunk.text for chunk in chunks([reply_id]))
    row = end(found[0].session_id, reply_id, status="cancelled" if wished else "failed", content=saved, facts=facts)
    if row is not None:
        metrics().reply(row)
        last_writes.note(acting.user(row.user_id))
    return row


@unit
def _forget_workers(tx: Unit) -> None:
    busy = select(ChatMessage.worker_id).where(ChatMessage.status == "streaming", ChatMessage.worker_id.is_not(None))
    changed(tx, delete(Worker).where(Worker.seen_at < seconds_ago(literal(10 * LEASE_SECONDS)), Worker.id.not_in(busy)))
