"""What tests of this face say again and again."""

from __future__ import annotations

import re
from typing import Any, cast

from werkzeug.test import TestResponse

from tests.factories import Person

SESSIONS = "/api/v1/chat-sessions"
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")
Body = dict[str, Any]


def answered(response: TestResponse, status: int = 200) -> Body:
    """The body of an answer that has this status."""
    assert response.status_code == status, response.text
    return cast("Body", response.json)


def refused(response: TestResponse, status: int, *fields: str) -> Body:
    """The body of a refusal: in the shape of this face, and naming exactly these fields."""
    body = answered(response, status)
    assert response.content_type == "application/json"
    assert response.headers["X-Request-ID"]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body.keys() == ({"detail", "errors"} if fields else {"detail"})
    problems = body.get("errors", [])
    assert [problem.keys() for problem in problems] == [{"field", "message"}] * len(fields)
    assert sorted(problem["field"] for problem in problems) == sorted(fields)
    assert all(problem["message"] in body["detail"] and problem["field"] in body["detail"] for problem in problems)
    return body


def body_of(who: Person, path: str) -> Body:
    return answered(who.get(path))


def change(who: Person, session_id: str, **fields: Any) -> Body:
    return answered(who.put(f"{SESSIONS}/{session_id}", json=fields))


def archive(who: Person, session_id: str) -> Body:
    return answered(who.delete(f"{SESSIONS}/{session_id}"))


def send(who: Person, session_id: str, content: Any = "Hello", message_type: Any = "user", **fields: Any) -> TestResponse:
    return who.post(f"{SESSIONS}/{session_id}/messages", json={"content": content, "message_type": message_type, **fields})


def plain(session: Body) -> Body:
    """A read session without its messages."""
    return {name: value for name, value in session.items() if name not in ("messages", "has_more_messages")}
