"""What the paths that everybody walks cost: statements, the interpreter's instructions and calls, held against what is kept in cost.json.

No clock is read, so a busy machine changes nothing. After a change that is worth its price: CHAT_TEST_KEEP_COSTS=1 make test ARGS=tests/api/test_cost.py
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from chatsvc import create_app
from chatsvc.core import messages, sessions
from chatsvc.extensions import db
from tests import factories, tables
from tests.api import cost
from tests.api.v1 import rows
from tests.factories import Person

KEPT = Path(__file__).with_name("cost.json")
MORE = 1.2
PYTHON = "{}.{}".format(*sys.version_info)
PATHS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "v1 list": ("GET", "/api/v1/chat-sessions?page=1&page_size=20", None),
    "v1 read": ("GET", "/api/v1/chat-sessions/{id}?message_limit=50", None),
    "v1 messages": ("GET", "/api/v1/chat-sessions/{id}/messages?page_size=50", None),
    "v1 append": ("POST", "/api/v1/chat-sessions/{id}/messages", {"message_type": "user", "content": "x" * 120}),
    "app list": ("GET", "/chat/sessions", None),
    "app messages": ("GET", "/chat/sessions/{id}/messages", None),
    "app append": ("POST", "/chat/sessions/{id}/messages", {"content": "x" * 120}),
    "envelope list": ("GET", "/api/chat-sessions?page=1&limit=20", None),
    "envelope read": ("GET", "/api/chat-sessions/{id}", None),
}


@pytest.fixture
def measured(app: Flask, database_url: str) -> Iterator[Flask]:
    """The service as people run it, with its limits on; not watched, since watching costs too."""
    made = tables.open_to_tests(create_app(factories.settings(database_url, RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="1000000/minute")))
    yield made
    made.extensions["chatsvc.runtime"].stop(wait=True)
    with made.app_context():
        db.engine.dispose()


def request(app: Flask, person: Person, method: str, path: str, body: dict[str, Any] | None) -> Callable[[], bytes]:
    """What the server hands to the application, and the application's answer."""
    environ = EnvironBuilder(path, method=method, headers=[("Authorization", f"Bearer {person.token}")], json=body).get_environ()
    raw = environ["wsgi.input"].read()

    def send() -> bytes:
        said: list[str] = []
        answer = b"".join(app.wsgi_app({**environ, "wsgi.input": io.BytesIO(raw)}, lambda status, headers, trouble=None: said.append(status)))  # type: ignore[arg-type]
        assert said[0].startswith("2"), (said, answer)
        return answer

    return send


def kept() -> dict[str, dict[str, dict[str, dict[str, int]]]]:
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_everybody_walks_costs_no_more_than_it_did(measured: Flask, owner: Person, engine_name: str, path: str) -> None:
    with measured.app_context():
        session, *_ = [sessions.create(owner.user_id, title=f"Chat {number}", agent_type="primary") for number in range(20)]
        for number in range(50):
            messages.append(owner.user_id, session.id, role="assistant" if number % 2 else "user", content=f"Message {number}")
    method, where, body = PATHS[path]
    send = request(measured, owner, method, where.format(id=session.id), body)
    for _ in range(3):
        send()
    with rows.statements(measured) as sent:
        send()
    found = {"statements": len(sent), "instructions": cost.instructions(send), "calls": cost.calls(send)}
    if os.environ.get("CHAT_TEST_KEEP_COSTS"):
        keep(engine_name, path, found)
    of_this_python = kept().get(PYTHON)
    if of_this_python is None:
        pytest.skip(f"what a request costs is not kept for Python {PYTHON}: CHAT_TEST_KEEP_COSTS=1 makes it")
    before = of_this_python[engine_name][path]
    assert found["statements"] <= before["statements"]
    assert {name: amount for name, amount in found.items() if amount > MORE * before[name]} == {}, before


def test_no_path_that_everybody_walks_takes_more_than_two_statements() -> None:
    assert {amounts["statements"] for engines in kept().values() for paths in engines.values() for amounts in paths.values()} == {2}


def keep(engine_name: str, path: str, found: dict[str, int]) -> None:
    costs = kept() if KEPT.exists() else {}
    costs.setdefault(PYTHON, {}).setdefault(engine_name, {})[path] = found
    KEPT.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")
