"""Products that call with a key, for users whom the service has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsvc.core import api_keys
from tests.api.v1 import rows

KEYS = "/api/api-keys"


@dataclass
class Product:
    """A back end with a key."""

    client: FlaskClient
    key_id: str
    key: str

    def headers(self, whom: str | None) -> dict[str, str]:
        # As bytes on the wire, which the server hands on letter by letter.
        return {"X-API-Key": self.key, **({} if whom is None else {"X-On-Behalf-Of": whom.encode().decode("latin-1")})}

    def call(self, method: str, path: str, whom: str | None = "owner", *, headers: dict[str, str] | None = None, **rest: Any) -> TestResponse:
        given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in {**self.headers(whom), **(headers or {})}.items()}
        return self.client.open(path, method=method, environ_overrides=given, **rest)

    def get(self, path: str, whom: str | None = "owner", **rest: Any) -> TestResponse:
        return self.call("GET", path, whom, **rest)

    def post(self, path: str, json: Any = None, whom: str | None = "owner", **rest: Any) -> TestResponse:
        return self.call("POST", path, whom, json=json, **rest)

    def delete(self, path: str, whom: str | None = "owner", **rest: Any) -> TestResponse:
        return self.call("DELETE", path, whom, **rest)


def product(app: Flask, *scopes: str, **given: Any) -> Product:
    """A new key of these scopes, made as `flask keys create` makes it."""
    with app.app_context():
        row, text = api_keys.create(None, name="Shop", scopes=scopes or ("read", "write"), **given)
    return Product(app.test_client(use_cookies=False), str(row.id), text)


def revoke(app: Flask, who: Product) -> None:
    """As another process does it: nothing in this one hears of it."""
    with app.app_context():
        api_keys.revoke(None, who.key_id)


def expire(app: Flask, who: Product) -> None:
    rows.run(app, "UPDATE api_keys SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = :id", id=who.key_id)


def forget(app: Flask) -> None:
    """The row is gone, as somebody with psql might have it."""
    rows.run(app, "DELETE FROM api_keys")


def spoilt(key: str) -> str:
    """The same with another letter in it."""
    return key[:20] + ("a" if key[20] != "a" else "b") + key[21:]


def unknown() -> str:
    """A key of the right form, which nobody has made."""
    return api_keys.new_text()
