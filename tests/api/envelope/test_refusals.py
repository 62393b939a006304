"""Every refusal under `/api/` has the shape of this face, whatever refuses: the door, the limits, the database that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.extensions import db
from tests.api.envelope.calls import SESSIONS, answered, refused
from tests.factories import person, settings, unknown_id


@pytest.fixture
def without_database() -> Iterator[Flask]:
    """The service while nothing listens where its database should be."""
    app = create_app(settings("postgresql://nobody@127.0.0.1:1/nothing"))
    yield app
    with app.app_context():
        db.engine.dispose()


def test_too_often(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="2/minute")
    owner = person(app, "owner")
    for _ in range(2):
        answered(owner.get(SESSIONS))
    for response in (owner.get(SESSIONS), owner.post(SESSIONS, json={}), owner.call("PATCH", f"{SESSIONS}/{unknown_id()}/cancel")):
        refused(response, 429)
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert response.headers["RateLimit"]


def test_a_database_that_is_away(without_database: Flask) -> None:
    owner, path = person(without_database, "owner"), f"{SESSIONS}/{unknown_id()}"
    for method, where, body in (
        ("GET", SESSIONS, None),
        ("GET", path, None),
        ("POST", SESSIONS, {}),
        ("DELETE", path, None),
        ("PATCH", f"{path}/cancel", None),
    ):
        response = owner.call(method, where, json=body)
        refused(response, 503)
        assert response.headers["Retry-After"]


def test_a_cookie_needs_its_companion_here_too(app: Flask) -> None:
    client = app.test_client()
    client.post("/auths/register", json={"username": "alice", "password": "alicepass123"})
    signed_in = client.post("/auths/login", json={"username": "alice", "password": "alicepass123"}, headers={"X-Session": "cookie"}).json
    assert signed_in is not None
    answered(client.get(SESSIONS))
    refused(client.post(SESSIONS, json={}), 403)
    session_id = answered(client.post(SESSIONS, json={}, headers={"X-CSRF-Token": signed_in["csrf_token"]}), 201)["sessionId"]
    refused(client.patch(f"{SESSIONS}/{session_id}/cancel"), 403)
    refused(client.delete(f"{SESSIONS}/{session_id}"), 403)
    answered(client.get(f"{SESSIONS}/{session_id}"))
