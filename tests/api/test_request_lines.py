"""Lines of the log say for which request, user and session they are, and a request has one of its own where that is wanted; no words of anybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from flask import Flask

from chatsvc.core import about
from log_lines import JsonLines, Lines
from tests import factories
from tests.api.v1.streams import CHAT
from tests.factories import Person, unknown_id

WORDS = "what a person wrote"


class Kept(logging.Handler):
    """Keeps what is logged, as the service writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines("%(message)s", fields=about.fields))
        self.console = Lines("%(levelname)s %(message)s", fields=about.fields)
        self.lines: list[dict[str, Any]] = []
        self.plain: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(orjson.loads(self.format(record)))
        self.plain.append(self.console.format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, log = Kept(), logging.getLogger("chatsvc")
    before = log.level
    log.setLevel("INFO")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


@pytest.fixture
def talking(make_app: Callable[..., Flask]) -> Person:
    return factories.person(make_app(LOG_REQUESTS="true"), "owner")


def test_a_request_has_a_line_that_says_what_and_whose_it_was(talking: Person, kept: Kept) -> None:
    session = talking.session(title="A title of mine")
    kept.lines.clear()
    talking.get(f"/api/v1/chat-sessions/{session['id']}?include_messages=false", headers={"X-Request-ID": "r-1"})
    (line,) = kept.lines
    assert 0 < line.pop("ms") < 60_000
    assert line.pop("time").endswith("Z")
    route = "/api/v1/chat-sessions/<session_id>"
    wanted = {"level": "info", "logger": "chatsvc.requests", "message": f"GET {route} 200", "method": "GET", "route": route, "face": "v1", "status": 200}
    assert line == {**wanted, "request": "r-1", "user": "owner", "session": session["id"]}


def test_what_was_refused_has_one_too(talking: Person, kept: Kept) -> None:
    talking.get(f"/api/v1/chat-sessions/{unknown_id()}")
    talking.post("/api/v1/chat-sessions", json={"title": 1})
    talking.get("/api/audit-events")
    Person(talking.client, "", "nonsense").get("/auths/me")
    told = [(line["status"], line["route"], line.get("user")) for line in kept.lines]
    sessions = "/api/v1/chat-sessions"
    assert told == [(404, f"{sessions}/<session_id>", "owner"), (400, sessions, "owner"), (403, "/api/audit-events", "owner"), (401, "/auths/me", None)]


def test_on_a_terminal_the_same_stands_in_one_line(talking: Person, kept: Kept) -> None:
    talking.get("/chat/sessions?search=my+illness", headers={"X-Request-ID": "r-2"})
    (line,) = kept.plain
    assert line.startswith("INFO GET /chat/sessions 200 ms=")
    assert line.endswith(" request=r-2 user=owner")


def test_it_holds_no_words_no_path_and_no_token(talking: Person, kept: Kept) -> None:
    session = talking.session(title="An unmistakable title")
    talking.message(session["id"], "An unmistakable message")
    talking.get("/chat/sessions?search=unmistakable")
    talking.get("/unmistakable/path")
    talking.post(CHAT, json={"message": "Say something unmistakable", "session_id": session["id"]})
    text = orjson.dumps(kept.lines).decode() + "".join(kept.plain)
    assert len(kept.lines) >= 5
    assert "unmistakable" not in text
    assert talking.token not in text


def test_without_being_wanted_there_is_none(make_app: Callable[..., Flask], kept: Kept) -> None:
    factories.person(make_app(), "owner").get("/chat/sessions")
    assert kept.lines == []


def test_what_goes_on_in_the_background_names_the_request_that_began_it(make_app: Callable[..., Flask], kept: Kept) -> None:
    nobody_there = make_app(CHAT_RESPONDER="openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_MODEL="parrot")

    class Broken:
        def reply(self, question: object, stop: object) -> Any:
            raise ZeroDivisionError(WORDS)

    nobody_there.extensions["chatsvc.responder"] = Broken()
    sent = factories.person(nobody_there, "owner").post(CHAT, json={"message": "Hello"}, headers={"X-Request-ID": "r-3"})
    (line,) = kept.lines
    assert (line["request"], line["user"], line["session"], line["level"]) == ("r-3", "owner", sent.json["session_id"], "error")  # type: ignore[index]
    assert "ZeroDivisionError" in line["failure"]
    assert WORDS not in str(line)


def test_a_user_id_cannot_make_a_line_of_its_own(make_app: Callable[..., Flask], kept: Kept) -> None:
    factories.person(make_app(LOG_REQUESTS="true"), "x\nERROR all is lost").get("/chat/sessions")
    (line,) = kept.plain
    assert "\n" not in line
    assert kept.lines[0]["user"] == "x\\nERROR all is lost"
