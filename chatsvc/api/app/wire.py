"""How the app face shows things: the bare resource; errors as `{"detail": …}`."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.wire import detail_error as error
from chatsvc.api.common.wire import utc

__all__ = ["error", "user"]

Body = dict[str, Any]


def user(row: Any) -> Body:
    return {"id": row.id, "username": row.username, "role": row.role}


def listed_user(row: Any) -> Body:
    return {**user(row), "created_at": utc(row.created_at), "is_disabled": row.disabled_at is not None}
