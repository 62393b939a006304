"""What tests of personas and exchanges say again and again."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

from flask import Flask
from werkzeug.test import TestResponse

from tests.api.envelope.calls import SESSIONS, Body, answered
from tests.factories import Person
from tests.responders.upstream import Caller, Upstream

PERSONAS = "/api/personas"
CONVERSATIONS = "/api/conversations"
EVENTS = "/api/audit-events"
SECRET = "a-secret-between-two-Kd82hfGq"
EXCHANGE = ["sessionId", "status", "userMessage", "reply"]


def persona(admin: Person, **fields: Any) -> Body:
    """A new persona; echo, unless it is said otherwise."""
    made = admin.post(PERSONAS, json={"name": "Gardener", "kind": "echo", **fields})
    return cast("Body", answered(made, 201, "Persona created successfully"))


def flow(admin: Person, n8n: Upstream, **fields: Any) -> Body:
    """A new persona that this server answers for."""
    return persona(admin, **{"kind": "webhook", "webhookUrl": f"{n8n.url}/webhook/chat", "timeoutMs": 5000, **fields})


def change(admin: Person, made: Body, **fields: Any) -> Body:
    return cast("Body", answered(admin.call("PATCH", f"{PERSONAS}/{made['personaId']}", json=fields), 200, "Persona updated successfully"))


def conversation(who: Person, made: Body, **fields: Any) -> str:
    """A new conversation with this persona; its id."""
    begun = answered(who.post(CONVERSATIONS, json={"personaId": made["personaId"], **fields}), 201, "Conversation created successfully")
    return str(begun["conversationId"])


def send(who: Person, conversation_id: str, message: str = "Which plants like shade?", *, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    return who.post(f"{CONVERSATIONS}/{conversation_id}/messages", json={"message": message, **fields}, headers=headers)


def sent(who: Person, conversation_id: str, message: str = "Which plants like shade?", **fields: Any) -> Body:
    """The exchange of a send that was answered."""
    return cast("Body", answered(send(who, conversation_id, message, **fields), 201, "Message sent successfully"))


def failed(response: TestResponse, status: int, state: str = "FAILED") -> tuple[str, Body]:
    """The words and the exchange of a send that was not answered."""
    assert response.status_code == status, response.text
    body = cast("Body", response.json)
    assert list(body) == ["success", "message", "data"]
    assert body["success"] is False
    assert list(body["data"]) == EXCHANGE
    assert (body["data"]["status"], body["data"]["reply"]) == (state, None)
    return body["message"], body["data"]


def taken(response: TestResponse) -> Body:
    """The exchange of a send whose answer comes later."""
    data = answered(response, 202, "Message accepted; the answer comes later")
    assert list(data) == EXCHANGE
    assert (data["status"], data["reply"]) == ("ACTIVE", None)
    return cast("Body", data)


def session(who: Person, session_id: str) -> Body:
    return cast("Body", answered(who.get(f"{SESSIONS}/{session_id}"), 200, "Session retrieved successfully"))


def said(who: Person, session_id: str) -> list[tuple[str, str, str]]:
    """Role, content and status of each message of a session."""
    found = answered(who.get(f"{SESSIONS}/{session_id}/messages"), 200, "Messages retrieved successfully")
    return [(one["role"], one["content"], one["status"]) for one in found["messages"]]


def signature(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """The headers of somebody who knows the secret, made as the documents say and not by the service's own code."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Chatsvc-Timestamp": timestamp, "X-Chatsvc-Signature": f"v1={digest}"}


def call_back(app: Flask, session_id: str, output: Any = "Ferns, later", *, headers: dict[str, str] | None = None, secret: str = SECRET) -> TestResponse:
    """What n8n sends once its flow has an answer."""
    body = json.dumps({"output": output}).encode()
    headers = signature(secret, body) if headers is None else headers
    client = app.test_client(use_cookies=False)
    return client.post(f"{SESSIONS}/{session_id}/callback", data=body, content_type="application/json", headers=headers)


def events(admin: Person, action: str) -> list[Body]:
    """The audit events of this kind, newest first."""
    found = answered(admin.get(f"{EVENTS}?action={action}"), 200, "Audit events retrieved successfully")
    assert all(list(one) == ["eventId", "action", "actorId", "subject", "details", "createdAt"] for one in found["events"])
    return cast("list[Body]", found["events"])


def until(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What this comes to, once it comes to anything."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)
    return found


def ended(who: Person, session_id: str) -> Body:
    """The session, once it has ended."""
    return cast("Body", until(lambda: (one := session(who, session_id))["status"] != "ACTIVE" and one))


def held_back(n8n: Upstream, answer: bytes = b'{"output": "Too late"}') -> threading.Event:
    """From now on answers once the test lets it go, or after half a minute."""
    gate = threading.Event()

    def script(caller: Caller) -> None:
        gate.wait(30)
        caller.answer(answer)

    n8n.script = script
    return gate


@contextmanager
def meanwhile(work: Callable[[], TestResponse]) -> Any:
    """Does this while the block runs; what it came to can be asked for afterwards."""
    with ThreadPoolExecutor(1) as pool:
        running: Future[TestResponse] = pool.submit(work)
        yield running


def running_in(who: Person, conversation_id: str) -> str:
    """The exchange that is under way in this conversation, once there is one."""
    path = f"{CONVERSATIONS}/{conversation_id}/chat-sessions"
    return str(until(lambda: answered(who.get(path))["sessions"])[0]["sessionId"])
