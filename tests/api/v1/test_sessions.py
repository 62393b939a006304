"""`/api/v1/chat-sessions`."""

from __future__ import annotations

from tests.factories import Person, unknown_id

SESSIONS = "/api/v1/chat-sessions"


def test_a_new_session_has_every_field_of_the_contract(owner: Person) -> None:
    session = owner.session(title="Trip", metadata={"a": [1, {"b": None}]})
    assert session == {
        "id": session["id"],
        "user_id": "owner",
        "title": "Trip",
        "agent_type": "primary",
        "status": "ACTIVE",
        "is_active": True,
        "metadata": {"a": [1, {"b": None}]},
        "message_count": 0,
        "last_message": None,
        "last_message_at": None,
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
    }


def test_an_unknown_session_is_not_found(owner: Person) -> None:
    response = owner.get(f"{SESSIONS}/{unknown_id()}")
    assert (response.status_code, response.json) == (404, {"detail": "Session not found"})
