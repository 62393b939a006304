"""How often a request asks the database: once about the caller, and then at most twice to read and once to append."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from chatsvc.core import messages, sessions
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, answered
from tests.factories import Person

OF_THE_CALLER = 1
ENVELOPE = "/api/chat-sessions"


@pytest.fixture
def session_id(app: Flask, owner: Person) -> str:
    """A session with messages, beside others, so that no list is short."""
    with app.app_context():
        found = [sessions.create(owner.user_id, title=f"Trip {n}").id for n in range(12)][-1]
        for n in range(5):
            messages.append(owner.user_id, found, role="user", content=f"Message {n}")
    return str(found)


def spent(app: Flask, who: Person, method: str, path: str, **rest: Any) -> list[str]:
    """The statements of this request beside the one that checks the caller."""
    with rows.statements(app) as seen:
        response = who.call(method, path, **rest)
    assert response.status_code < 300, response.text
    assert "revoked_tokens" in seen[0]
    return seen[OF_THE_CALLER:]


def test_the_count_sees_every_statement(app: Flask, owner: Person) -> None:
    with rows.statements(app) as seen:
        rows.run(app, "SELECT 1")
        rows.run(app, "SELECT 2")
        answered(owner.get("/auths/me"))
    assert len(seen) == 3


READS = {
    "a list": "",
    "a list of nothing": "?search=nowhere",
    "a filtered list": "?search=trip&is_active=true&page_size=2",
    "a deep page": "?page=3&page_size=5",
    "a page past the end": "?page=100",
    "a session": "/{id}",
    "a session without messages": "/{id}?include_messages=false",
    "a session with few of its messages": "/{id}?message_limit=2",
    "messages": "/{id}/messages",
    "messages of one type": "/{id}/messages?message_type=user",
    "the newest messages": "/{id}/messages?order=desc&page_size=2",
    "messages past the end": "/{id}/messages?page=100",
    "figures": "/stats/user",
}


ENVELOPE_READS = {
    "a list": "",
    "a list of nothing": "?search=nowhere",
    "a filtered list": "?search=trip&limit=2",
    "a page past the end": "?page=100",
    "a list with exchanges": "?offset=3&limit=5",
    "a list by status": "?status=ACTIVE&limit=2",
    "a list by persona past its end": "?personaId={id}",
    "a list by conversation past its end": "?conversationId={id}",
    "a session": "/{id}",
    "messages": "/{id}/messages",
    "messages past the end": "/{id}/messages?page=100",
}


@pytest.mark.parametrize("name", ENVELOPE_READS)
def test_a_read_of_the_envelope_takes_at_most_two_statements(app: Flask, owner: Person, session_id: str, name: str) -> None:
    seen = spent(app, owner, "GET", ENVELOPE + ENVELOPE_READS[name].format(id=session_id))
    past_the_end = "past" in name or "nothing" in name
    assert 1 <= len(seen) <= (2 if past_the_end and not name.startswith("messages") else 1), seen


def test_a_page_of_the_envelope_by_cursor_takes_one_statement(app: Flask, owner: Person, session_id: str) -> None:
    for path in (f"{ENVELOPE}?limit=5", f"{ENVELOPE}?limit=5&status=ACTIVE", f"{ENVELOPE}/{session_id}/messages?limit=2"):
        cursor = answered(owner.get(path))["data"]["pagination"]["nextCursor"]
        assert len(spent(app, owner, "GET", f"{path}&cursor={cursor}")) == 1
    cursor = answered(owner.get(f"{ENVELOPE}?limit=5&offset=0"))["data"]["pagination"]["nextCursor"]
    assert len(spent(app, owner, "GET", f"{ENVELOPE}?limit=5&cursor={cursor}")) == 1


@pytest.fixture
def conversation(app: Flask, owner: Person, admin: Person) -> dict[str, str]:
    """A conversation with three exchanges, beside others, and its persona."""
    persona_id = answered(admin.post("/api/personas", json={"name": "Echo", "kind": "echo"}), 201)["data"]["personaId"]
    for _ in range(4):
        found = answered(owner.post("/api/conversations", json={"personaId": persona_id}), 201)["data"]["conversationId"]
    for n in range(3):
        answered(owner.post(f"/api/conversations/{found}/messages", json={"message": f"Question {n}"}), 201)
    return {"conversation": found, "persona": persona_id}


PERSONA_READS = [
    *("/api/personas", "/api/personas?page=100", "/api/personas?isActive=false", "/api/personas/{persona}"),
    *("/api/conversations", "/api/conversations?page=100", "/api/conversations?personaId={persona}&limit=2", "/api/conversations/{conversation}"),
    *("/api/conversations/{conversation}/messages", "/api/conversations/{conversation}/messages?page=9&order=desc"),
    *("/api/conversations/{conversation}/chat-sessions", "/api/conversations/{conversation}/chat-sessions?status=ALL&limit=2"),
    *("/api/chat-sessions/stats", "/api/chat-sessions/stats?personaId={persona}"),
]
ADMIN_READS = ["/api/personas", "/api/personas?page=100", "/api/personas/{persona}", "/api/audit-events", "/api/audit-events?action=none"]


@pytest.mark.parametrize("path", PERSONA_READS)
def test_a_read_of_personas_and_conversations_takes_at_most_two_statements(app: Flask, owner: Person, conversation: dict[str, str], path: str) -> None:
    assert 1 <= len(spent(app, owner, "GET", path.format(**conversation))) <= 2


@pytest.mark.parametrize("path", ADMIN_READS)
def test_an_admins_read_takes_at_most_two_statements(app: Flask, admin: Person, conversation: dict[str, str], path: str) -> None:
    assert 1 <= len(spent(app, admin, "GET", path.format(**conversation))) <= 2


def test_figures_by_day_take_two_statements_too_whatever_the_span(app: Flask, owner: Person, conversation: dict[str, str]) -> None:
    for span in ("", "&from=2026-01-01&to=2026-12-31", "&from=2026-11-20&to=2026-11-20"):
        assert len(spent(app, owner, "GET", f"/api/chat-sessions/stats?groupBy=day{span}")) == 2


@pytest.mark.parametrize("name", READS)
def test_a_read_takes_at_most_two_statements(app: Flask, owner: Person, session_id: str, name: str) -> None:
    seen = spent(app, owner, "GET", SESSIONS + READS[name].format(id=session_id))
    assert 1 <= len(seen) <= (2 if name in ("a list of nothing", "a page past the end") else 1), seen


@pytest.mark.parametrize("path", [f"{SESSIONS}?page_size=5", f"{SESSIONS}/{{id}}/messages?page_size=2"])
def test_a_page_by_cursor_takes_one_statement(app: Flask, owner: Person, session_id: str, path: str) -> None:
    path = path.format(id=session_id)
    for _ in range(2):
        cursor = answered(owner.get(path))["next_cursor"]
        assert len(spent(app, owner, "GET", f"{path}&cursor={cursor}")) == 1


def test_a_read_asks_as_often_of_many_rows_as_of_few(app: Flask, owner: Person, session_id: str) -> None:
    few = [len(spent(app, owner, "GET", SESSIONS + path.format(id=session_id))) for path in READS.values()]
    for n in range(30):
        owner.session(title=f"Trip {n}", agent_type=None)
        owner.message(session_id)
    assert [len(spent(app, owner, "GET", SESSIONS + path.format(id=session_id))) for path in READS.values()] == few


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_an_append_is_one_statement_however_long_the_session(app: Flask, owner: Person, session_id: str, role: str) -> None:
    for _ in range(3):
        (statement,) = spent(app, owner, "POST", f"{SESSIONS}/{session_id}/messages", json={"content": "Hello", "message_type": role})
        assert statement.startswith("INSERT INTO chat_messages")


def test_an_append_reads_no_messages(app: Flask, owner: Person, session_id: str) -> None:
    (statement,) = spent(app, owner, "POST", f"{SESSIONS}/{session_id}/messages", json={"content": "Hello", "message_type": "user"})
    assert "FROM chat_messages" not in statement
    assert "JOIN" not in statement.upper()


def test_a_refusal_of_form_asks_only_about_the_caller(app: Flask, owner: Person, session_id: str) -> None:
    for method, path, body in (
        ("POST", SESSIONS, {"title": 1}),
        ("PUT", f"{SESSIONS}/{session_id}", {}),
        ("POST", f"{SESSIONS}/{session_id}/messages", {}),
        ("GET", f"{SESSIONS}?page=0", None),
        ("GET", f"{SESSIONS}/no-id", None),
    ):
        with rows.statements(app) as seen:
            assert owner.call(method, path, json=body).status_code in (400, 404)
        assert len(seen) == OF_THE_CALLER


def test_nobody_costs_no_statement(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    with rows.statements(app) as seen:
        assert client.get(SESSIONS).status_code == 401
        assert client.post(SESSIONS, data=b"x" * 1000, headers={"Authorization": "Bearer x"}).status_code == 401
        assert client.get("/nowhere").status_code == 404
        assert client.get("/healthz").status_code == 200
    assert seen == []
