"""The document of the persona sessions as it stands, sent line by line: each example gives the status, the shape and the words that are written there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import MOMENT, SESSION, SESSIONS, answered, refused
from tests.api.envelope.flows import SECRET, conversation, events, failed, flow, held_back, meanwhile, running_in, send, sent, session, taken
from tests.api.envelope.shell import listening, needs_curl, run
from tests.api.v1 import rows
from tests.factories import Person, person
from tests.responders.upstream import Upstream, stall

# "API Endpoints"
ENDPOINTS = """
# Get user's chat sessions
GET /api/chat-sessions?status=ACTIVE&limit=50&offset=0

# Get specific session details
GET /api/chat-sessions/:sessionId

# Cancel active session
PATCH /api/chat-sessions/:sessionId/cancel

# Get session statistics
GET /api/chat-sessions/stats?personaId=persona123

# Clean up expired sessions (Admin only)
POST /api/chat-sessions/cleanup

# Get active sessions for a conversation
GET /api/conversations/:conversationId/chat-sessions
"""
# "PersonaService Integration"
PAYLOAD = """
{
  "message": "Hello, how are you?",
  "conversationId": "conv123",
  "personaId": "persona456",
  "userId": "user789",
  "sessionId": "abc123def456" // New session identifier
}
"""
# "Getting Session Statistics"
STATS = "{ total: 150, active: 5, byStatus: { ACTIVE: 5, COMPLETED: 140, FAILED: 5 } }"
# "Environment Variables"
SETTINGS = {"CHAT_SESSION_CLEANUP_INTERVAL": "6", "CHAT_SESSION_TIMEOUT_HOURS": "24", "ENABLE_CHAT_SESSIONS": "true"}
# "Debug Commands"
ACTIVE_SESSIONS = r"""
curl -H "Authorization: Bearer TOKEN" \
  "http://localhost:3000/api/chat-sessions?status=ACTIVE"
"""
STATISTICS = r"""
curl -H "Authorization: Bearer TOKEN" \
  "http://localhost:3000/api/chat-sessions/stats"
"""
MANUAL_CLEANUP = r"""
curl -X POST -H "Authorization: Bearer ADMIN_TOKEN" \
  "http://localhost:3000/api/chat-sessions/cleanup" \
  -d '{"maxAgeHours": 24}'
"""


@pytest.fixture
def persona_456(admin: Person, n8n: Upstream) -> dict[str, Any]:
    """A persona whose flow answers later, so that its exchanges are active until then."""
    n8n.script = lambda caller: caller.answer(b"", status=202)
    return flow(admin, n8n, secret=SECRET, answers="callback")


@pytest.fixture
def talk(owner: Person, persona_456: dict[str, Any]) -> str:
    return conversation(owner, persona_456)


@pytest.fixture
def active(owner: Person, talk: str) -> str:
    return str(taken(send(owner, talk))["sessionId"])


def asked(who: Person, name: str, **ids: str) -> Any:
    """What the endpoint under this heading answers."""
    line = ENDPOINTS.split(f"# {name}\n")[1].splitlines()[0]
    method, path = line.split(" ")
    for placeholder, value in ids.items():
        assert placeholder in path
        path = path.replace(f":{placeholder}" if f":{placeholder}" in path else placeholder, value)
    return who.call(method, path)


def test_get_a_users_chat_sessions(owner: Person, active: str) -> None:
    found = answered(asked(owner, "Get user's chat sessions"), 200, "Sessions retrieved successfully")
    assert [one["sessionId"] for one in found["sessions"]] == [active]
    assert list(found["sessions"][0]) == SESSION
    assert found["pagination"] == {"limit": 50, "offset": 0, "total": 1, "nextCursor": None}


def test_get_the_details_of_a_session(owner: Person, talk: str, persona_456: dict[str, Any], active: str) -> None:
    found = answered(asked(owner, "Get specific session details", sessionId=active), 200, "Session retrieved successfully")
    assert (found["sessionId"], found["conversationId"], found["personaId"], found["status"]) == (active, talk, persona_456["personaId"], "ACTIVE")
    assert (found["endedAt"], found["errorMessage"]) == (None, None)
    assert all(MOMENT.fullmatch(found[name]) for name in ("startedAt", "lastActivityAt"))


def test_cancel_an_active_session(owner: Person, active: str) -> None:
    found = answered(asked(owner, "Cancel active session", sessionId=active), 200, "Session cancelled successfully")
    assert (found["sessionId"], found["status"]) == (active, "CANCELLED")
    assert MOMENT.fullmatch(found["endedAt"])
    refused(asked(owner, "Cancel active session", sessionId=active), 409)


def test_get_statistics(owner: Person, persona_456: dict[str, Any], active: str) -> None:
    found = answered(asked(owner, "Get session statistics", persona123=persona_456["personaId"]), 200, "Statistics retrieved successfully")
    assert (found["total"], found["active"], found["byStatus"]) == (1, 1, {"ACTIVE": 1})
    refused(asked(owner, "Get session statistics"), 400, "personaId")


def test_clean_up_as_an_admin_alone(owner: Person, admin: Person, active: str) -> None:
    name = "Clean up expired sessions (Admin only)"
    assert answered(asked(admin, name), 200, "Cleanup completed successfully") == {"timedOut": 0}
    refused(asked(owner, name), 403)


def test_get_the_active_sessions_of_a_conversation(owner: Person, talk: str, active: str) -> None:
    found = answered(asked(owner, "Get active sessions for a conversation", conversationId=talk), 200, "Sessions retrieved successfully")
    assert [(one["sessionId"], one["status"]) for one in found["sessions"]] == [(active, "ACTIVE")]


def test_every_endpoint_needs_a_token(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    for line in (line for line in ENDPOINTS.splitlines() if line.startswith(("GET", "POST", "PATCH"))):
        method, path = line.split(" ")
        response = client.open(path, method=method)
        assert (response.status_code, list(response.json or {})) == (401, ["success", "message"])


# Service integration


def test_the_payload_that_is_sent_to_n8n(owner: Person, talk: str, persona_456: dict[str, Any], n8n: Upstream) -> None:
    written = json.loads(re.sub(r" //.*", "", PAYLOAD))
    exchange = taken(send(owner, talk, written["message"]))
    raw = json.loads(n8n.callers[0].raw)
    assert list(raw) == list(written)
    ids = {"conversationId": talk, "personaId": persona_456["personaId"], "userId": "owner", "sessionId": exchange["sessionId"]}
    assert raw == {**written, **ids}


def test_the_session_is_there_before_anything_is_sent(app: Flask, owner: Person, talk: str, n8n: Upstream) -> None:
    seen: list[Any] = []

    def script(caller: Any) -> None:
        seen.extend(rows.run(app, "SELECT s.status, count(m.id) FROM chat_sessions s JOIN chat_messages m ON m.session_id = s.id GROUP BY s.status"))
        caller.answer(b'{"output": "Fine"}')

    n8n.script = script
    done = sent(owner, talk, "Hello, how are you?")
    assert [tuple(row) for row in seen] == [("ACTIVE", 2)]
    assert [one["sessionId"] for one in (done["userMessage"], done["reply"])] == [done["sessionId"]] * 2


def test_creating_a_session_keeps_what_is_known_of_the_client(owner: Person, talk: str) -> None:
    """`{userAgent: req.headers["user-agent"], ipAddress: req.ip, deviceInfo: req.headers["sec-ch-ua"]}`"""
    exchange = taken(send(owner, talk, headers={"User-Agent": "Mozilla/5.0", "Sec-CH-UA": '"Chromium";v="140"'}))
    wanted = {"userAgent": "Mozilla/5.0", "ipAddress": "127.0.0.1", "deviceInfo": '"Chromium";v="140"'}
    assert session(owner, exchange["sessionId"])["meta"] == wanted


def test_a_status_with_its_error_message(owner: Person, admin: Person, n8n: Upstream) -> None:
    """`updateChatSessionStatus(sessionId, "FAILED", "Webhook timeout after 10 seconds")`, of a persona whose time is one second."""
    talk = conversation(owner, flow(admin, n8n, timeoutMs=1000))
    n8n.script = stall
    _, exchange = failed(send(owner, talk), 504)
    shown = session(owner, exchange["sessionId"])
    assert (shown["status"], shown["errorKind"]) == ("FAILED", "timeout")
    assert shown["errorMessage"].startswith("Webhook timeout after 1 second")
    (noted,) = events(admin, "webhook.failed")
    assert noted["details"]["kind"] == "timeout"


def test_the_statistics_have_these_names(app: Flask, owner: Person) -> None:
    wanted = json.loads(re.sub(r"(\w+):", r'"\1":', STATS))
    for status, amount in wanted["byStatus"].items():
        for _ in range(amount):
            rows.exchange(app, status=status)
    found = answered(owner.get(f"{SESSIONS}/stats"))
    assert {name: found[name] for name in wanted} == wanted


def test_every_end_that_the_flow_shows_is_reached_from_active(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    talk = conversation(owner, flow(admin, n8n))
    n8n.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    reached = {"COMPLETED": sent(owner, talk)["sessionId"]}
    n8n.script = lambda caller: caller.answer(b"", status=500)
    reached["FAILED"] = failed(send(owner, talk), 502)[1]["sessionId"]
    for status, ending in (("CANCELLED", "PATCH"), ("TIMEOUT", "POST")):
        gate = held_back(n8n)
        with meanwhile(lambda: send(owner, talk)) as running:
            reached[status] = running_in(owner, talk)
            if ending == "PATCH":
                answered(owner.call("PATCH", f"{SESSIONS}/{reached[status]}/cancel"))
            else:
                rows.run(app, "UPDATE chat_sessions SET last_message_at = '2026-01-01 00:00:00.000000+00:00' WHERE status = 'ACTIVE'")
                assert answered(admin.post(f"{SESSIONS}/cleanup")) == {"timedOut": 1}
            gate.set()
        failed(running.result(), 409 if ending == "PATCH" else 504, status)
    assert {status: session(owner, one)["status"] for status, one in reached.items()} == {status: status for status in reached}
    for one in reached.values():
        refused(owner.call("PATCH", f"{SESSIONS}/{one}/cancel"), 409)


# Configuration


def test_the_settings_as_they_are_written(make_app: Callable[..., Flask], n8n: Upstream) -> None:
    app = make_app(**SETTINGS)
    config = app.extensions["chatsvc.settings"]
    assert (config.cleanup_interval, config.session_timeout_hours, config.chat_sessions) == (6, 24, True)
    sent(person(app, "owner"), conversation(person(app, "owner"), flow(person(app, "admin", role="ADMIN"), n8n)))


# Debug commands


@needs_curl
def test_the_debug_commands(app: Flask, owner: Person, admin: Person, active: str) -> None:
    rows.run(app, "UPDATE chat_sessions SET created_at = '2026-01-01 00:00:00.000000+00:00', last_message_at = '2026-01-01 00:00:00.000000+00:00'")
    with listening(app) as address:
        replaced = {"http://localhost:3000": address, "TOKEN": owner.token, "ADMIN_TOKEN": admin.token}
        status, body = run(ACTIVE_SESSIONS, **replaced)
        assert (status, body["success"], [one["sessionId"] for one in body["data"]["sessions"]]) == (200, True, [active])
        status, body = run(STATISTICS, **replaced)
        assert (status, body["data"]["active"], body["data"]["byStatus"]) == (200, 1, {"ACTIVE": 1})
        assert run(MANUAL_CLEANUP, **{**replaced, "ADMIN_TOKEN": owner.token})[0] == 403
        status, body = run(MANUAL_CLEANUP, **replaced)
        assert (status, body) == (200, {"success": True, "message": "Cleanup completed successfully", "data": {"timedOut": 1}})
    assert session(owner, active)["status"] == "TIMEOUT"
