"""How the v1 face shows things: the bare resource; errors as `{"detail": …}`."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.failures import failure
from chatsvc.api.common.wire import detail_error as error
from chatsvc.api.common.wire import utc
from chatsvc.core.paging import Page
from chatsvc.core.sessions import Thread
from chatsvc.core.stats import UserStats

__all__ = ["error", "failure", "message", "message_or_none", "messages", "session", "sessions", "stats", "summaries", "summary_thread", "thread"]

Body = dict[str, Any]


def session(row: Any) -> Body:
    return {
        "id": row.id,
        "user_id": row.user_id,
        "title": row.title,
        "agent_type": row.agent_type,
        "status": row.status,
        "is_active": row.status == "ACTIVE",
        "metadata": row.meta,
        "message_count": row.message_count,
        "last_message": row.last_message,
        "last_message_at": utc(row.last_message_at),
        "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at),
    }


def thread(found: Thread) -> Body:
    return {**session(found.session), "messages": [message(row) for row in found.messages], "has_more_messages": found.more}


def message(row: Any) -> Body:
    return {
        "id": row.id,
        "session_id": row.session_id,
        "content": row.content,
        "message_type": row.role,
        "agent_type": row.agent_type,
        "status": row.status,
        "metadata": row.meta,
        "created_at": utc(row.created_at),
        "edited_at": utc(row.edited_at),
    }


def message_or_none(row: Any) -> Body | None:
    """A message that may have been erased meanwhile."""
    return message(row) if hasattr(row, "content") else None


def summary(row: Any) -> Body:
    return {
        "session_id": row.id,
        "title": row.title if row.title is not None else "New chat",
        "last_message": row.last_message or "",
        "message_count": row.message_count,
        "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at),
    }


def summaries(page: Page) -> Body:
    return {"sessions": [summary(row) for row in page.rows], **_paging(page)}


def summary_thread(found: Thread) -> Body:
    return {**summary(found.session), "messages": [message(row) for row in found.messages], "has_more_messages": found.more}


def sessions(page: Page) -> Body:
    return {"sessions": [session(row) for row in page.rows], **_paging(page)}


def messages(page: Page) -> Body:
    return {"messages": [message(row) for row in page.rows], **_paging(page)}


def stats(user_id: str, found: UserStats) -> Body:
    return {
        "user_id": user_id,
        "total_sessions": found.total_sessions,
        "active_sessions": found.active_sessions,
        "total_messages": found.total_messages,
        "sessions_by_agent_type": found.sessions_by_agent_type,
        "most_recent_session": utc(found.most_recent_session),
        "oldest_session": utc(found.oldest_session),
    }


def _paging(page: Page) -> Body:
    return {"total": page.total, "page": page.number, "page_size": page.size, "total_pages": page.pages, "next_cursor": page.next_cursor}
