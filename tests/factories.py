"""What tests need made, with keyword defaults; the cast is always the same: an owner, a stranger, an admin."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, cast

import jwt
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import config

SECRET = "a-secret-of-the-tests-0123456789-abcdefgh"
ENCRYPTION_KEY = "a-key-of-the-tests-zyxwvuts-9876543210"
METRICS_TOKEN = "a-token-of-the-tests-4Rk9-wq27-bvNm-xx01"


def settings(database_url: str, **changes: str) -> config.Settings:
    """The settings of a test: those of the environment's defaults, with rate limits off."""
    environ = {
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": SECRET,
        "CHAT_ENCRYPTION_KEY": ENCRYPTION_KEY,
        "METRICS_TOKEN": METRICS_TOKEN,
        "METRICS_DIR": "instance/metrics-of-tests",  # nobody makes it, so that commands count for themselves
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",  # what stands for n8n here is on this machine, and nothing may be sent elsewhere
        "RATELIMIT_ENABLED": "false",
        "CHAT_THREADS": "48",
        "LOG_LEVEL": "warning",
        **changes,
    }
    return config.load(environ)


def token(user_id: str = "owner", *, secret: str = SECRET, algorithm: str = "HS256", lifetime: float = 3600, **claims: Any) -> str:
    """A token as an outside issuer would make it; a claim of None is left out."""
    body = {"sub": user_id, "exp": int(time.time() + lifetime), **claims}
    return jwt.encode({name: value for name, value in body.items() if value is not None}, secret, algorithm)


def unknown_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Person:
    """Somebody who calls with a bearer token."""

    client: FlaskClient
    user_id: str
    token: str

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any) -> TestResponse:
        return self.client.open(path, method=method, headers={"Authorization": f"Bearer {self.token}", **(headers or {})}, **rest)

    def get(self, path: str, **rest: Any) -> TestResponse:
        return self.call("GET", path, **rest)

    def post(self, path: str, json: Any = None, **rest: Any) -> TestResponse:
        return self.call("POST", path, json=json, **rest)

    def put(self, path: str, json: Any = None, **rest: Any) -> TestResponse:
        return self.call("PUT", path, json=json, **rest)

    def delete(self, path: str, **rest: Any) -> TestResponse:
        return self.call("DELETE", path, **rest)

    def session(self, **fields: Any) -> dict[str, Any]:
        """A new session through the v1 face."""
        response = self.post("/api/v1/chat-sessions", json=fields)
        assert response.status_code == 201, response.text
        return cast("dict[str, Any]", response.json)

    def message(self, session_id: str, content: str = "Hello", message_type: str = "user", **fields: Any) -> dict[str, Any]:
        """A new message through the v1 face."""
        response = self.post(f"/api/v1/chat-sessions/{session_id}/messages", json={"content": content, "message_type": message_type, **fields})
        assert response.status_code == 201, response.text
        return cast("dict[str, Any]", response.json)


def person(app: Flask, user_id: str, **claims: Any) -> Person:
    # Without a cookie jar: what one call leaves behind must not help the next.
    return Person(app.test_client(use_cookies=False), user_id, token(user_id, **claims))
