"""What tests of this face say again and again."""

from __future__ import annotations

import re
from typing import Any, cast

from werkzeug.test import TestResponse

from tests.factories import Person

SESSIONS = "/api/chat-sessions"
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
SESSION = [
    *("sessionId", "title", "meta", "status", "messagesCount", "lastMessage", "lastMessageAt", "lastActivityAt", "conversationId", "personaId"),
    *("startedAt", "endedAt", "durationMs", "errorMessage", "errorKind", "createdAt", "updatedAt"),
]
MESSAGE = ["messageId", "sessionId", "role", "content", "status", "metadata", "createdAt"]
Body = dict[str, Any]


def answered(response: TestResponse, status: int = 200, words: str | None = None) -> Any:
    """The data of a success, in the envelope and with these words."""
    assert response.status_code == status, response.text
    body = cast("Body", response.json)
    assert list(body) == ["success", "message", "data"]
    assert body["success"] is True
    assert body["message"].endswith("successfully") if words is None else body["message"] == words
    return body["data"]


def refused(response: TestResponse, status: int, *fields: str) -> Body:
    """The body of a refusal: in the shape of this face, and naming exactly these fields."""
    assert response.status_code == status, response.text
    body = cast("Body", response.json)
    assert response.content_type == "application/json"
    assert response.headers["X-Request-ID"]
    assert list(body) == (["success", "message", "errors"] if fields else ["success", "message"])
    assert body["success"] is False
    assert body["message"]
    problems = body.get("errors", [])
    assert [problem.keys() for problem in problems] == [{"field", "message"}] * len(fields)
    assert sorted(problem["field"] for problem in problems) == sorted(fields)
    assert all(problem["message"] in body["message"] and problem["field"] in body["message"] for problem in problems)
    return body


def create(who: Person, **fields: Any) -> Body:
    return cast("Body", answered(who.post(SESSIONS, json=fields), 201, "Session created successfully"))


def read(who: Person, session_id: str) -> Body:
    return cast("Body", answered(who.get(f"{SESSIONS}/{session_id}"), 200, "Session retrieved successfully"))


def listed(who: Person, query: str = "") -> Body:
    return cast("Body", answered(who.get(f"{SESSIONS}{query}"), 200, "Sessions retrieved successfully"))


def ids(found: Body) -> list[str]:
    return [session["sessionId"] for session in found["sessions"]]


def cancel(who: Person, session_id: str) -> TestResponse:
    return who.call("PATCH", f"{SESSIONS}/{session_id}/cancel")
