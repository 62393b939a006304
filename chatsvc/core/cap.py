"""At most so many active plain sessions per user and agent type. A session with no agent type is not counted."""

from __future__ import annotations

from sqlalchemy import Connection as Unit
from sqlalchemy import func, select, text, update

from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import now
from chatsvc.core.stopping import stop_replies
from chatsvc.extensions import settings


def lock(tx: Unit, user_id: str, agent_type: str | None) -> None:
    """One at a time per user and agent type, until the end of the unit.

    A statement of its own, so that the next one sees what the last holder did; and before any session row
    is locked, since the other order deadlocks. On SQLite the unit itself is that lock.
    """
    if agent_type and tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"cap:{user_id}:{agent_type}"})


def make_room(tx: Unit, user_id: str, agent_type: str | None, *, beside: str) -> None:
    """Archives the least recently active others that are too many now. This is no activity: `updated_at` stays."""
    if not agent_type:
        return
    too_many = (
        select(ChatSession.id)
        .where(
            ChatSession.user_id == user_id,
            ChatSession.agent_type == agent_type,
            ChatSession.status == "ACTIVE",
            ChatSession.deleted_at.is_(None),
            ChatSession.conversation_id.is_(None),
            ChatSession.id != beside,
        )
        .order_by(ChatSession.updated_at.desc(), ChatSession.id.desc())
        .offset(settings().max_sessions_per_agent - 1)
    )
    # One that was archived takes no place when it comes back. Deleted it is not: whoever asks has just made it, resumed it or brought it back.
    counts = select(func.count()).where(ChatSession.id == beside, ChatSession.status == "ACTIVE").scalar_subquery()
    others = update(ChatSession).where(ChatSession.id.in_(too_many), ChatSession.user_id == user_id, ChatSession.status == "ACTIVE", counts > 0)
    archived = (
        tx.execute(others.values(status="COMPLETED", ended_at=now()).returning(ChatSession.id).execution_options(synchronize_session=False)).scalars().all()
    )
    stop_replies(tx, archived)
