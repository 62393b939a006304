"""How the app face shows things: the bare resource; lists as arrays that name where they go on; errors as `{"detail": …}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from chatsvc.api.common.wire import answer, encoded, utc
from chatsvc.api.common.wire import detail_error as error
from chatsvc.core.paging import Page

__all__ = ["array", "error", "listed", "listed_user", "message", "session", "user"]

Body = dict[str, Any]


def user(row: Any) -> Body:
    return {"id": row.id, "username": row.username, "role": row.role}


def listed_user(row: Any) -> Body:
    return {**user(row), "created_at": utc(row.created_at), "is_disabled": row.disabled_at is not None}


def session(row: Any) -> Body:
    return {
        "_id": row.id,
        "user_id": row.user_id,
        "title": row.title if row.title is not None else "New chat",
        "message_count": row.message_count,
        "last_message_at": utc(row.last_message_at),
        "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at),
    }


def message(row: Any) -> Body:
    return {
        "_id": row.id,
        "session_id": row.session_id,
        "user_id": row.user_id,
        "content": row.content,
        "role": row.role,
        "status": row.status,
        "created_at": utc(row.created_at),
        "edited_at": utc(row.edited_at),
    }


def listed(shape: Callable[[Any], Body], page: Page) -> Response:
    return array((shape(row) for row in page.rows), page.next_cursor)


def array(rows: Iterable[Body], next_cursor: str | None) -> Response:
    """A part of a list; the same question about the next part stands in `Link`."""
    response = answer(encoded(list(rows)), 200)
    if next_cursor:
        response.headers["Link"] = f'<{request.path}?{urlencode({**request.args, "cursor": next_cursor})}>; rel="next"'
    return response
