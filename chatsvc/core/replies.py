"""Replies: a row before they are a stream. How they are found again, stopped and ended, whoever produces them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import and_, delete, literal, or_, select, update

from chatsvc.core import idempotency
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, NotFound
from chatsvc.core.idempotency import Claim
from chatsvc.core.models import ChatMessage, ChatSession, ReplyChunk, Worker
from chatsvc.core.models.types import now, seconds_ago
from chatsvc.core.read_models import MESSAGE, MESSAGE_SO_FAR, messages_to_json
from chatsvc.core.rows import AnyRow, changed
from chatsvc.responders.base import Turn

LEASE_SECONDS = 30
HISTORY_MESSAGES = 200


def history(session_id: str, *, upto: int) -> Sequence[Turn]:
    """The conversation up to and with this message, oldest first; the newest part of a long one."""
    rows = read(
        select(ChatMessage.role, ChatMessage.content)
        .where(
            ChatMessage.session_id == session_id,
            ChatMessage.id <= upto,
            ChatMessage.deleted_at.is_(None),
            ChatMessage.status != "streaming",
            ChatMessage.content != "",
        )
        .order_by(ChatMessage.id.desc())
        .limit(HISTORY_MESSAGES)
    )
    return [Turn(row.role, row.content) for row in reversed(rows)]


def get(user_id: str, reply_id: int) -> AnyRow:
    """A reply of this user, in a session that is there; its text as far as it is saved."""
    found = read(
        select(*MESSAGE_SO_FAR, ChatMessage.reply_to)
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
    reply = get(user_id, reply_id)
    if reply.status in ("complete", "failed"):
        raise Conflict("This reply has ended already")
    changed(
        tx,
        update(ChatMessage)
        .where(ChatMessage.id == reply_id, ChatMessage.status == "streaming", ChatMessage.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now()),
    )
    return reply


@unit
def end(tx: Unit, session_id: str, reply_id: int, *, status: str, content: str, facts: dict[str, Any], claim: Claim | None = None) -> AnyRow | None:
    """Saves the whole text, once, and with it the answer that a retry gets; None when somebody else has ended the reply, or it is gone."""
    # The session's row first, as everybody does who changes messages.
    tx.execute(select(ChatSession.id).where(ChatSession.id == session_id).with_for_update(key_share=True))
    row = tx.execute(
        update(ChatMessage)
        .where(ChatMessage.id == reply_id, ChatMessage.status == "streaming")
        .values(status=status, content=content, metadata=facts)
        .returning(*MESSAGE)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is not None:
        changed(tx, delete(ReplyChunk).where(ReplyChunk.message_id == reply_id))
        if claim is not None:
            asked = select(*MESSAGE).where(ChatMessage.id == select(ChatMessage.reply_to).where(ChatMessage.id == reply_id).scalar_subquery())
            idempotency.keep(tx, claim, messages_to_json(tx.execute(asked).one(), row))
    return row


def states(reply_ids: Sequence[int]) -> Sequence[AnyRow]:
    """These replies as their rows are; those that are gone are left out."""
    return read(select(*MESSAGE).where(ChatMessage.id.in_(reply_ids)))


def ended(reply_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Those of these replies that have ended, however."""
    return [row for row in states(reply_ids) if row.status != "streaming"]


def chunks(reply_ids: Sequence[int], after: int = 0) -> Sequence[AnyRow]:
    """The saved pieces of running replies, in order."""
    return read(
        select(ReplyChunk)
        .where(ReplyChunk.message_id.in_(reply_ids), ReplyChunk.at >= after)
        .with_only_columns(ReplyChunk.message_id, ReplyChunk.at, ReplyChunk.text)
        .order_by(ReplyChunk.message_id, ReplyChunk.at)
    )


def sweep() -> int:
    """Ends the replies of workers that are no longer seen; their text so far is kept. Says how many."""
    long_ago = seconds_ago(literal(LEASE_SECONDS))
    stale = or_(Worker.seen_at < long_ago, and_(Worker.id.is_(None), ChatMessage.created_at < long_ago))
    abandoned = select(ChatMessage.id).outerjoin(Worker, Worker.id == ChatMessage.worker_id).where(ChatMessage.status == "streaming", stale).limit(500)
    amount = sum(end_abandoned(row.id) is not None for row in read(abandoned))
    _forget_workers()
    return amount


def end_abandoned(reply_id: int) -> AnyRow | None:
    """Ends a reply that nobody writes any more, with its text so far: cancelled if somebody wished so, else failed."""
    found = read(select(ChatMessage.session_id, ChatMessage.cancel_requested_at).where(ChatMessage.id == reply_id, ChatMessage.status == "streaming"))
    if not found:
        return None
    wished = found[0].cancel_requested_at is not None
    facts = {} if wished else {"error": {"kind": "interrupted", "message": "The service was interrupted while it wrote this reply"}}
    saved = "".join(chunk.text for chunk in chunks([reply_id]))
    return end(found[0].session_id, reply_id, status="cancelled" if wished else "failed", content=saved, facts=facts)


@unit
def _forget_workers(tx: Unit) -> None:
    busy = select(ChatMessage.worker_id).where(ChatMessage.status == "streaming", ChatMessage.worker_id.is_not(None))
    changed(tx, delete(Worker).where(Worker.seen_at < seconds_ago(literal(10 * LEASE_SECONDS)), Worker.id.not_in(busy)))
