"""The document of the chat sessions module as it stands, sent line by line: each example gives the status, the shape and the words that are written there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import MOMENT
from tests.factories import Person

CREATE = """
{
  "title": "My Plant Chat",
  "meta": {
    "plantType": "indoor",
    "difficulty": "beginner"
  }
}
"""
CREATED = """
{
  "success": true,
  "message": "Session created successfully",
  "data": {
    "sessionId": "123e4567-e89b-12d3-a456-426614174000",
    "title": "My Plant Chat",
    "createdAt": "2024-01-01T12:00:00.000Z",
    "meta": {
      "plantType": "indoor",
      "difficulty": "beginner"
    }
  }
}
"""
LISTED = """
{
  "success": true,
  "message": "Sessions retrieved successfully",
  "data": {
    "sessions": [
      {
        "sessionId": "123e4567-e89b-12d3-a456-426614174000",
        "title": "My Plant Chat",
        "lastMessageAt": "2024-01-01T14:30:00.000Z",
        "messagesCount": 15,
        "meta": {"plantType": "indoor", "difficulty": "beginner"}
      }
    ],
    "pagination": {
      "page": 1,
      "limit": 20,
      "total": 1,
      "pages": 1
    }
  }
}
"""
READ = """
{
  "success": true,
  "message": "Session retrieved successfully",
  "data": {
    "sessionId": "123e4567-e89b-12d3-a456-426614174000",
    "title": "My Plant Chat",
    "lastMessageAt": "2024-01-01T14:30:00.000Z",
    "messagesCount": 15,
    "meta": {"plantType": "indoor", "difficulty": "beginner"},
    "createdAt": "2024-01-01T12:00:00.000Z",
    "updatedAt": "2024-01-01T14:30:00.000Z"
  }
}
"""
RENAME = """
{
  "title": "Updated Chat Title"
}
"""
DESCRIBE = """
{
  "meta": {
    "plantType": "outdoor",
    "difficulty": "advanced",
    "notes": "Added more details"
  }
}
"""
DELETED = """
{
  "success": true,
  "message": "Session deleted successfully",
  "data": {
    "sessionId": "123e4567-e89b-12d3-a456-426614174000",
    "deletedMessages": 15
  }
}
"""
EXAMPLE_ID = "123e4567-e89b-12d3-a456-426614174000"
SESSIONS = "/api/chat-sessions"


def is_as_documented(found: Any, example: str, session_id: str) -> None:
    """Everything in the example is in the answer: ids and times in their form, all else to the letter. The answer may hold more fields."""

    def compare(given: Any, written: Any, where: str) -> None:
        if isinstance(written, dict):
            assert isinstance(given, dict), where
            for name, value in written.items():
                assert name in given, f"{where}.{name}"
                compare(given[name], value, f"{where}.{name}")
        elif isinstance(written, list):
            assert len(given) == len(written), where
            for number, (one, other) in enumerate(zip(given, written, strict=True)):
                compare(one, other, f"{where}[{number}]")
        elif isinstance(written, str) and MOMENT.fullmatch(written):
            assert MOMENT.fullmatch(given), where
        else:
            assert given == (session_id if written == EXAMPLE_ID else written), where

    compare(found, json.loads(example), "answer")


@pytest.fixture
def session_id(owner: Person) -> str:
    """The session of the examples, with its fifteen messages."""
    made = owner.call("POST", SESSIONS, data=CREATE, content_type="application/json")
    found: str = (made.json or {})["data"]["sessionId"]
    for n in range(15):
        owner.message(found, f"Message {n}", "user" if n % 2 == 0 else "assistant")
    return found


def test_create_a_session(owner: Person) -> None:
    response = owner.call("POST", SESSIONS, data=CREATE, content_type="application/json")
    assert response.status_code == 201
    assert response.json is not None
    is_as_documented(response.json, CREATED, response.json["data"]["sessionId"])


def test_list_sessions_with_pagination_and_search(owner: Person, session_id: str) -> None:
    for query in ("", "?page=1", "?limit=20", "?page=1&limit=20", "?search=plant", "?page=1&limit=20&search=My%20Plant"):
        response = owner.get(f"{SESSIONS}{query}")
        assert response.status_code == 200
        is_as_documented(response.json, LISTED, session_id)


def test_get_a_session(owner: Person, session_id: str) -> None:
    response = owner.get(f"{SESSIONS}/{session_id}")
    assert response.status_code == 200
    is_as_documented(response.json, READ, session_id)


def test_update_the_title(owner: Person, session_id: str) -> None:
    response = owner.call("PUT", f"{SESSIONS}/{session_id}/title", data=RENAME, content_type="application/json")
    assert response.status_code == 200
    assert response.json is not None
    assert (response.json["success"], response.json["data"]["title"]) == (True, "Updated Chat Title")
    assert (owner.get(f"{SESSIONS}/{session_id}").json or {})["data"]["title"] == "Updated Chat Title"


def test_update_the_metadata(owner: Person, session_id: str) -> None:
    response = owner.call("PUT", f"{SESSIONS}/{session_id}/meta", data=DESCRIBE, content_type="application/json")
    assert response.status_code == 200
    assert response.json is not None
    assert (response.json["success"], response.json["data"]["meta"]) == (True, json.loads(DESCRIBE)["meta"])
    assert (owner.get(f"{SESSIONS}/{session_id}").json or {})["data"]["meta"] == json.loads(DESCRIBE)["meta"]


def test_delete_the_session_and_all_its_messages(owner: Person, session_id: str) -> None:
    response = owner.delete(f"{SESSIONS}/{session_id}")
    assert response.status_code == 200
    is_as_documented(response.json, DELETED, session_id)
    assert owner.get(f"{SESSIONS}/{session_id}").status_code == 404


def test_every_example_is_refused_without_a_token(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    for method, path in (("POST", ""), ("GET", ""), ("GET", f"/{EXAMPLE_ID}"), ("PUT", f"/{EXAMPLE_ID}/title"), ("DELETE", f"/{EXAMPLE_ID}")):
        response = client.open(f"{SESSIONS}{path}", method=method)
        assert response.status_code == 401
        assert response.json is not None
        assert list(response.json) == ["success", "message"]
