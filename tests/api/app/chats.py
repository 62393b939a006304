"""What tests of chats on this face say again and again."""

from __future__ import annotations

import re
from typing import Any, cast

from werkzeug.test import TestResponse

from tests.factories import Person

CHATS = "/chat/sessions"
SESSION_FIELDS = {"_id", "user_id", "title", "message_count", "last_message_at", "created_at", "updated_at"}
MESSAGE_FIELDS = {"_id", "session_id", "user_id", "content", "role", "status", "created_at", "edited_at"}
NEXT = re.compile(r'<([^<>]+)>; rel="next"')
Body = dict[str, Any]


def made(who: Person, **fields: Any) -> Body:
    """A new chat."""
    response = who.post(CHATS, json=fields)
    assert response.status_code == 201, response.text
    return cast("Body", response.json)


def sent(who: Person, chat_id: str, content: str = "Hello", **fields: Any) -> Body:
    """A new message."""
    response = who.post(f"{CHATS}/{chat_id}/messages", json={"content": content, **fields})
    assert response.status_code == 201, response.text
    return cast("Body", response.json)


def listed(who: Person, path: str = CHATS) -> list[Body]:
    response = who.get(path)
    assert response.status_code == 200, response.text
    return cast("list[Body]", response.json)


def next_of(response: TestResponse) -> str | None:
    """Where a list goes on, if it does."""
    found = NEXT.fullmatch(response.headers["Link"]) if "Link" in response.headers else None
    return found[1] if found else None


def walked(who: Person, path: str) -> list[list[Body]]:
    """The parts of a list, one after another."""
    parts: list[list[Body]] = []
    place: str | None = path
    while place is not None:
        response = who.get(place)
        assert response.status_code == 200, response.text
        parts.append(cast("list[Body]", response.json))
        place = next_of(response)
    return parts
