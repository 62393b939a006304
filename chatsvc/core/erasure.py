"""A person erases a session: nothing of it stays, and nothing brings it back."""

from __future__ import annotations

from sqlalchemy import Connection as Unit
from sqlalchemy import delete, func, select

from chatsvc.core import audit, idempotency, sessions
from chatsvc.core.database import unit
from chatsvc.core.errors import NotFound
from chatsvc.core.models import ChatMessage, ChatSession


@unit
def erase(tx: Unit, user_id: str, session_id: str) -> int:
    """Erases the session for good and says how many messages went with it, soft-deleted ones included. Whoever writes its reply stops."""
    if tx.execute(select(ChatSession.id).where(*sessions.owned(user_id, session_id)).with_for_update()).one_or_none() is None:
        raise NotFound("Session")
    amount = tx.execute(select(func.count()).select_from(ChatMessage).where(ChatMessage.session_id == session_id)).scalar_one()
    idempotency.forget_answers(tx, session_id)
    tx.execute(delete(ChatSession).where(*sessions.owned(user_id, session_id)))
    audit.note("session.erased", actor=user_id, subject=session_id, messages=amount)
    return amount
