"""A person ends a session before it has come to its end."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection as Unit
from sqlalchemy import select, update

from chatsvc.core import audit, chat, sessions
from chatsvc.core.database import unit
from chatsvc.core.errors import Conflict, NotFound
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import later, now
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.stopping import stop_replies
from chatsvc.extensions import runtime


def cancel(user_id: str, session_id: str) -> AnyRow:
    """Ends an active session as cancelled and stops its running reply, whose text is kept. A plain one goes on with the next message."""
    running = _end(user_id, session_id)
    if running is None:
        runtime().stop_unkept(session_id)
    else:
        # It may have come to an end of its own in the meantime, or be gone: then there is nothing left to stop.
        with suppress(Conflict, NotFound):
            chat.cancel(user_id, running)
    return sessions.get(user_id, session_id)


@unit
def _end(tx: Unit, user_id: str, session_id: str) -> int | None:
    """The id of the reply that is being written; Conflict when the session was not active, and whoever comes first ends it."""
    active = update(ChatSession).where(*sessions.owned(user_id, session_id), ChatSession.status == "ACTIVE")
    if not changed(tx, active.values(status="CANCELLED", ended_at=now(), updated_at=later(ChatSession.updated_at, now()))):
        ended = sessions.get(user_id, session_id)
        raise Conflict(f"This session has ended already; it is {ended.status}")
    stop_replies(tx, [session_id])
    audit.note("session.cancelled", actor=user_id, subject=session_id)
    return tx.execute(select(ChatMessage.id).where(ChatMessage.session_id == session_id, ChatMessage.status == "streaming")).scalar_one_or_none()
