"""Something breaks in every view: the caller is told where to ask and nothing of what broke, and so is the log."""

from __future__ import annotations

import itertools
import logging
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from psycopg2 import errors as postgresql
from sqlalchemy.exc import DBAPIError, IntegrityError
from werkzeug.test import TestResponse

from chatsvc.api.common import door as doors
from chatsvc.api.common.door import Allow, route_of
from chatsvc.core import users
from chatsvc.extensions import db
from log_lines import Lines
from tests.api.test_authorization import FILES, TABLE
from tests.factories import token, unknown_id
from tests.secrecy import WATCH

WORDS = "what a person wrote, in confidence"
TOLD = re.compile(r"Something went wrong here\. If it goes on, report request ([0-9a-f]{16})")
FAILURES = [
    RuntimeError(WORDS),
    KeyError(WORDS),
    UnicodeEncodeError("utf-8", WORDS, 0, 1, WORDS),
    RecursionError(WORDS),
    DBAPIError.instance("SELECT 1", {"content": WORDS}, postgresql.NotNullViolation(f"null value\nDETAIL:  Failing row contains ({WORDS})."), postgresql.Error),
    DBAPIError.instance("SELECT 1", {"content": WORDS}, sqlite3.IntegrityError(f"CHECK constraint failed: {WORDS}"), sqlite3.Error),
]


class Kept(logging.Handler):
    """The lines as the service writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Lines("%(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[list[str]]:
    handler = Kept()
    logging.getLogger("chatsvc").addHandler(handler)
    yield handler.lines
    logging.getLogger("chatsvc").removeHandler(handler)


def everywhere(app: Flask) -> Iterator[tuple[str, str, TestResponse]]:
    """Every route, asked by somebody who may."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}) if rule.endpoint != FILES else ():
            route = route_of(app, rule.endpoint)
            assert route
            path = re.sub(r"<(\w+)>", lambda found: "7" if found[1] in ("message_id", "reply_id") else unknown_id(), rule.rule)
            headers = {"Authorization": f"Bearer {token('owner', role='ADMIN' if route.allow is Allow.ADMIN else None)}"}
            yield method, rule.rule, app.test_client(use_cookies=False).open(path, method=method, headers=headers, json=TABLE[method, rule.rule].body)


def test_every_route_says_the_same_of_every_failure(app: Flask, monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    turns = itertools.cycle(FAILURES)
    failure: Exception

    def broken(*_: Any, **__: Any) -> None:
        nonlocal failure
        failure = next(turns)
        raise failure

    monkeypatch.setattr(doors, "_let_in", broken)
    WATCH.hide(WORDS)
    for method, rule, response in everywhere(app):
        told = TOLD.search(response.text)
        assert response.status_code == 500
        assert told is not None, (method, rule)
        assert told[1] == response.headers["X-Request-ID"]
        if rule.startswith("/chat-ui"):
            assert response.content_type == "text/html; charset=utf-8"
        else:
            assert response.json is not None
            assert set(response.json) == ({"success", "message"} if rule.startswith("/api/") and not rule.startswith("/api/v1/") else {"detail"})
        assert response.headers["Cache-Control"] == "no-store"
        assert WORDS not in response.text
        line = log.pop()
        assert line.startswith(f"request {told[1]} failed: {method} {rule}\n")
        assert WORDS not in line
        assert type(getattr(failure, "orig", None) or failure).__name__ in line
    assert log == []


def test_what_a_database_says_of_a_row_stays_out_of_the_log(app: Flask, log: list[str]) -> None:
    """A real refusal of a real database: PostgreSQL quotes the whole row, where it holds none back."""
    with app.app_context(), pytest.raises(IntegrityError) as caught:
        users._insert(WORDS[:64], "a hash", "NOBODY")
    logging.getLogger("chatsvc").error("failed", exc_info=caught.value)
    assert WORDS not in log[-1]
    assert "IntegrityError" in log[-1]
    assert (WORDS in str(caught.value.orig)) is (db_is_postgresql(app))


def db_is_postgresql(app: Flask) -> bool:
    with app.app_context():
        return db.engine.dialect.name == "postgresql"
