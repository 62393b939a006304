"""Local accounts and their sign-ins, made the way people make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from chatsvc.core import users
from chatsvc.extensions import db
from tests.factories import Person

PASSWORD = "alicepass123"
NOBODY = b'{"detail":"Not signed in, or the sign-in is no longer good"}'


@dataclass
class SignIn:
    """What one sign-in handed out."""

    app: Flask
    access: str
    refresh: str

    @property
    def person(self) -> Person:
        return bearer(self.app, self.access)

    def me(self) -> int:
        return self.person.get("/auths/me").status_code

    def renew(self) -> TestResponse:
        return self.app.test_client(use_cookies=False).post("/auths/refresh", json={"refresh_token": self.refresh})

    def renewed(self) -> SignIn:
        response = self.renew()
        assert response.status_code == 200, response.text
        return handed_out(self.app, response)


def account(app: Flask, name: str = "alice", *, password: str = PASSWORD, role: str = "USER") -> str:
    """A new account; its id."""
    with app.app_context():
        return str(users.create(name, password, role=role).id)


def login(app: Flask, name: str = "alice", password: str = PASSWORD, *, address: str = "192.0.2.1", **rest: Any) -> TestResponse:
    """A try to sign in, as spec 2 shows it, from this address."""
    client = rest.pop("client", None) or app.test_client(use_cookies=False)
    response: TestResponse = client.post("/auths/login", data={"username": name, "password": password}, environ_base={"REMOTE_ADDR": address}, **rest)
    return response


def sign_in(app: Flask, name: str = "alice", password: str = PASSWORD, **rest: Any) -> SignIn:
    response = login(app, name, password, **rest)
    assert response.status_code == 200, response.text
    return handed_out(app, response)


def handed_out(app: Flask, response: TestResponse) -> SignIn:
    body = response.json
    assert body is not None
    return SignIn(app, body["access_token"], body["refresh_token"])


def bearer(app: Flask, token: str) -> Person:
    return Person(app.test_client(use_cookies=False), "", token)


def page(app: Flask, name: str = "alice", password: str = PASSWORD, **rest: Any) -> tuple[FlaskClient, str]:
    """A browser that has signed in by cookie, and the value it has to send along with writes."""
    client = app.test_client()
    response = login(app, name, password, client=client, headers={"X-Session": "cookie"}, **rest)
    assert response.status_code == 200, response.text
    assert response.json is not None
    return client, response.json["csrf_token"]


def set_in_database(app: Flask, assignment: str, **values: Any) -> None:
    """What an operator does with a database client: changes every account."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(f"UPDATE users SET {assignment}"), values)
