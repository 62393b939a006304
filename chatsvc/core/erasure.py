"""Sessions that are erased: nothing of them stays, and nothing brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy import Connection as Unit

from chatsvc.core import audit, idempotency, sessions
from chatsvc.core.database import unit
from chatsvc.core.errors import NotFound
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import now
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.stopping import stop_replies

BATCH = 200  # messages that go in one unit
ASKED = (ChatSession.id, ChatSession.user_id, ChatSession.updated_at)  # of each session that goes


@dataclass(frozen=True, slots=True)
class Gone:
    """What a unit has erased: which sessions, and how many messages."""

    sessions: tuple[str, ...] = ()
    messages: int = 0


@unit
def erase(tx: Unit, user_id: str, session_id: str) -> int:
    """Erases the session for good and says how many messages went with it, soft-deleted ones included. Whoever writes its reply stops."""
    if tx.execute(select(ChatSession.id).where(*sessions.owned(user_id, session_id)).with_for_update()).one_or_none() is None:
        raise NotFound("Session")
    amount = tx.execute(select(func.count()).select_from(ChatMessage).where(*_of(user_id, session_id))).scalar_one()
    idempotency.forget_answers(tx, session_id)
    tx.execute(delete(ChatSession).where(*sessions.owned(user_id, session_id)))
    audit.note("session.erased", actor=user_id, subject=session_id, messages=amount)
    return amount


def erase_some(tx: Unit, locked: Sequence[AnyRow]) -> Gone:
    """Erases as many of these sessions (`ASKED`), whose rows the unit has locked, as one unit may; of a long one a part of it."""
    whole: list[str] = []
    room = BATCH
    for row in locked:
        some = tx.execute(select(ChatMessage.id).where(*_of(row.user_id, row.id)).limit(room + 1)).scalars().all()
        if len(some) > room:
            if not whole:
                return _erase_part(tx, row, some[:BATCH])
            break
        whole.append(row.id)
        room -= len(some)
    for session_id in whole:
        idempotency.forget_answers(tx, session_id)
    changed(tx, delete(ChatSession).where(ChatSession.id.in_(whole)))  # and with them their messages: for these the triggers have nothing to do
    return Gone(tuple(whole), BATCH - room)


def _erase_part(tx: Unit, session: AnyRow, message_ids: Sequence[int]) -> Gone:
    """The rest is hidden until the next unit, and looks as old as it was: the triggers take what was erased for something that happened."""
    changed(tx, delete(ChatMessage).where(ChatMessage.user_id == session.user_id, ChatMessage.id.in_(message_ids)))
    stop_replies(tx, [session.id])
    hidden = {"deleted_at": func.coalesce(ChatSession.deleted_at, now()), "updated_at": session.updated_at}
    changed(tx, update(ChatSession).where(ChatSession.id == session.id).values(**hidden))
    return Gone((), len(message_ids))


def _of(user_id: str, session_id: str) -> tuple[ColumnElement[bool], ...]:
    """The owner too: where messages are in partitions, that says in which one they are."""
    return ChatMessage.session_id == session_id, ChatMessage.user_id == user_id


def keep_there(tx: Unit, session_id: str) -> bool:
    """Whether the session is there, in which case nobody erases it before this unit has ended."""
    return tx.execute(select(ChatSession.id).where(ChatSession.id == session_id).with_for_update(key_share=True)).one_or_none() is not None
