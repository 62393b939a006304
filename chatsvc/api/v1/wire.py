"""How the v1 face shows things: the bare resource; errors as `{"detail": …}`."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.wire import detail_error as error
from chatsvc.api.common.wire import utc
from chatsvc.core.paging import Page
from chatsvc.core.sessions import Thread
from chatsvc.core.stats import UserStats

__all__ = ["error", "message", "messages", "session", "sessions", "stats", "thread"]

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
