"""What tests of exchanges share: a persona that a server on loopback answers for, and what comes of a message to it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from chatsvc.extensions import db
from chatsvc.responders.signing import sign
from tests.api.envelope.calls import SESSIONS, Body, answered, read
from tests.factories import Person, person
from tests.responders.upstream import Caller, Script

SECRET = "whsec-Bv5nCm2xZq9wTz4kQ9v"
LOOPBACK = {"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
QUESTION = "Which plants like shade?"


def answers(body: bytes | str, status: int = 200, content_type: str = "application/json", **headers: str) -> Script:
    return lambda caller: caller.answer(body if isinstance(body, bytes) else body.encode(), status, content_type, **headers)


FINE: Script = answers('{"output": "Ferns"}')


def accepted(caller: Caller) -> None:
    caller.answer(b"", 202)


@dataclass
class Line:
    """Somebody's conversation with one persona."""

    app: Flask
    who: Person
    admin: Person
    persona_id: str
    conversation_id: str

    def send(self, message: str = QUESTION, *, headers: dict[str, str] | None = None, who: Person | None = None, **rest: Any) -> TestResponse:
        return (who or self.who).post(f"/api/conversations/{self.conversation_id}/messages", {"message": message, **rest}, headers=headers)

    def later(self, message: str = QUESTION, **rest: Any) -> str:
        """The id of an exchange that goes on by itself."""
        response = self.send(message, headers={"Prefer": "respond-async"}, **rest)
        assert response.status_code == 202, response.text
        return cast("str", cast("Body", response.json)["data"]["sessionId"])

    def session(self, session_id: str) -> Body:
        return read(self.who, session_id)

    def ended(self, session_id: str, seconds: float = 30) -> Body:
        """The exchange, once it has ended."""
        until = time.monotonic() + seconds
        while (found := self.session(session_id))["status"] == "ACTIVE":
            assert time.monotonic() < until, found
            time.sleep(0.02)
        return found

    def newest(self) -> Body:
        """The exchange that was begun last."""
        found = answered(self.who.get(f"/api/conversations/{self.conversation_id}/chat-sessions?status=ALL&limit=1"))
        return cast("Body", found["sessions"][0])

    def messages(self) -> list[Body]:
        return cast("list[Body]", answered(self.who.get(f"/api/conversations/{self.conversation_id}/messages?limit=100"))["messages"])

    def change(self, **fields: Any) -> None:
        answered(self.admin.put(f"/api/personas/{self.persona_id}", fields))

    def circuit(self) -> Body:
        """As an admin sees it."""
        return cast("Body", answered(self.admin.get(f"/api/personas/{self.persona_id}"))["circuit"])

    def callback(self, session_id: str, output: str = "Ferns", *, headers: dict[str, str] | None = None) -> TestResponse:
        body = json.dumps({"output": output}).encode()
        headers = signed(body) if headers is None else headers
        return self.app.test_client().post(f"{SESSIONS}/{session_id}/callback", data=body, content_type="application/json", headers=headers)


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    return {"X-Chatsvc-Timestamp": stamp, "X-Chatsvc-Signature": sign(secret, stamp, body)}


def line(app: Flask, url: str, *, user: str = "owner", **fields: Any) -> Line:
    """A conversation with a persona of kind webhook at this address."""
    who, admin = person(app, user), person(app, "admin", role="ADMIN")
    given = {"name": "Gardener", "kind": "webhook", "webhookUrl": url, "timeoutMs": 1000, "secret": SECRET, **fields}
    made = answered(admin.post("/api/personas", given), 201)
    return another(Line(app, who, admin, made["personaId"], ""), user)


def another(first: Line, user: str = "owner", app: Flask | None = None) -> Line:
    """Another conversation with the same persona."""
    app = app or first.app
    who = person(app, user)
    begun = answered(who.post("/api/conversations", {"personaId": first.persona_id}), 201)
    return Line(app, who, person(app, "admin", role="ADMIN"), first.persona_id, begun["conversationId"])


def run(app: Flask, statement: str, **values: Any) -> list[Any]:
    with app.app_context(), db.engine.begin() as connection:
        result = connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []
