"""A database that is away."""

from __future__ import annotations

import socket
import time

import pytest

from chatsvc import create_app
from tests import factories
from tests.factories import Person, person


@pytest.fixture
def somebody() -> Person:
    """A caller of a service whose database server is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return person(create_app(factories.settings(f"postgresql://postgres@127.0.0.1:{port}/nothing")), "owner")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/chat-sessions"), ("POST", "/api/v1/chat-sessions"), ("POST", "/api/v1/chat"), ("GET", "/readyz")]
)
def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(somebody: Person, method: str, path: str) -> None:
    began = time.monotonic()
    response = somebody.call(method, path, json={"message": "Hello"} if path.endswith("/chat") else {} if method == "POST" else None)
    assert (response.status_code, int(response.headers["Retry-After"]) >= 1) == (503, True)
    assert time.monotonic() - began < 2
    assert "nothing" not in response.text


def test_the_process_itself_is_alive(somebody: Person) -> None:
    assert somebody.get("/healthz").status_code == 200
