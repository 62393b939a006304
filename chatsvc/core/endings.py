"""How an exchange ends: once, and for good. Whoever comes second changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy import Connection as Unit

from chatsvc.core.database import read, unit
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import ago, now, pieces_joined, seconds_ago
from chatsvc.core.rows import changed
from chatsvc.core.stopping import stop_replies

BATCH = 200
STATUS = {"complete": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED"}
TIMED_OUT = {"kind": "cleanup", "message": "No answer came in time; the cleanup ended this exchange"}


@unit
def of_exchange(tx: Unit, session_id: str, reply_status: str, facts: dict[str, Any]) -> bool:
    """Ends an exchange as its reply has ended; False when it had ended before."""
    error = facts.get("error") or {}
    # An answer that the service itself broke off is no failure of the persona's.
    kind = "cleanup" if error.get("kind") == "interrupted" else error.get("kind")
    ended = update(ChatSession).where(ChatSession.id == session_id, ChatSession.status == "ACTIVE", ChatSession.conversation_id.is_not(None))
    return bool(changed(tx, ended.values(status=STATUS[reply_status], ended_at=now(), error_message=error.get("message"), error_kind=kind)))


def unkept(session_id: str, reply_status: str, facts: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Ends an exchange whose messages are not kept; how it has ended then, which somebody else may have settled. None when it is gone."""
    if of_exchange(session_id, reply_status, facts):
        return reply_status, facts
    found = read(select(ChatSession.status, ChatSession.error_kind, ChatSession.error_message).where(ChatSession.id == session_id))
    if not found:
        return None
    if found[0].status in ("COMPLETED", "CANCELLED"):
        return ("complete" if found[0].status == "COMPLETED" else "cancelled"), {}
    return "failed", {"error": {"kind": found[0].error_kind, "message": found[0].error_message}}


def time_out(age: timedelta) -> int:
    """Ends the exchanges that have seen nothing for so long, some at a time; two at once do no harm. Says how many."""
    total = 0
    while amount := _time_out_some(ago(age)):
        total += amount
    return total


def count_time_out(age: timedelta) -> int:
    """How many these are."""
    return int(read(select(func.count()).select_from(ChatSession).where(*_silent(ago(age))))[0][0])


def _silent(before: seconds_ago) -> tuple[ColumnElement[bool], ...]:
    silent = or_(ChatSession.last_message_at < before, and_(ChatSession.last_message_at.is_(None), ChatSession.created_at < before))
    return ChatSession.status == "ACTIVE", ChatSession.conversation_id.is_not(None), silent


@unit
def _time_out_some(tx: Unit, before: seconds_ago) -> int:
    waiting = _silent(before)
    some = tx.execute(select(ChatSession.id).where(*waiting).limit(BATCH).with_for_update(skip_locked=True, key_share=True)).scalars().all()
    values = {"status": "TIMEOUT", "ended_at": now(), "error_message": TIMED_OUT["message"], "error_kind": TIMED_OUT["kind"]}
    amount = changed(tx, update(ChatSession).where(ChatSession.id.in_(some), *waiting).values(**values)) if some else 0
    _close_open_replies(tx, some)
    stop_replies(tx, some)
    return amount


def _close_open_replies(tx: Unit, session_ids: Sequence[str]) -> None:
    """Those that a callback would have brought have no process that could end them."""
    if session_ids:
        open_ = update(ChatMessage).where(ChatMessage.session_id.in_(session_ids), ChatMessage.status == "streaming", ChatMessage.worker_id.is_(None))
        changed(tx, open_.values(status="failed", content=func.coalesce(pieces_joined(ChatMessage.id), ""), metadata={"error": TIMED_OUT}))
