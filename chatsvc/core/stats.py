"""What a user has, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, func, select

from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import Moment
from chatsvc.core.prepared import prepared
from chatsvc.core.replica import read_any


@dataclass(frozen=True, slots=True)
class UserStats:
    total_sessions: int
    active_sessions: int
    total_messages: int
    sessions_by_agent_type: dict[str, int]
    most_recent_session: datetime | None
    oldest_session: datetime | None


@prepared
def _by_agent_type() -> Any:
    """All of this stands in idx_chat_sessions_statistics, which is for whoever asks that counters be no less than none (014); the sessions
    themselves are not looked at."""
    plain = (ChatSession.user_id == bindparam("user_id"), ChatSession.deleted_at.is_(None), ChatSession.conversation_id.is_(None))
    return (
        select(
            ChatSession.agent_type,
            func.count().label("sessions"),
            func.sum(case((ChatSession.status == "ACTIVE", 1), else_=0)).label("active"),
            func.sum(ChatSession.message_count).label("messages"),
            func.min(ChatSession.created_at, type_=Moment()).label("oldest"),
            func.max(ChatSession.created_at, type_=Moment()).label("newest"),
        )
        .where(*plain, ChatSession.message_count >= 0)
        .group_by(ChatSession.agent_type)
    )


def of_user(user_id: str) -> UserStats:
    """Over the user's live plain sessions, archived ones included; from their counters, not their messages."""
    rows = read_any(_by_agent_type(), {"user_id": user_id})
    return UserStats(
        total_sessions=sum(row.sessions for row in rows),
        active_sessions=sum(row.active for row in rows),
        total_messages=sum(row.messages for row in rows),
        sessions_by_agent_type={row.agent_type: row.sessions for row in sorted(rows, key=lambda row: row.agent_type or "") if row.agent_type},
        most_recent_session=max((row.newest for row in rows), default=None),
        oldest_session=min((row.oldest for row in rows), default=None),
    )
