"""The watch over the suite sees what it is there for: with a leak built in, it finds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from chatsvc.core import acting, messages, sessions
from tests.api.app.accounts import account, sign_in
from tests.api.conftest import handed as handed
from tests.api.keys import product
from tests.api.v1.streams import HandedOut
from tests.factories import SECRET, Person, person
from tests.secrecy import WATCH

WORDS = "a thing that is nobody else's business"


@pytest.fixture
def found() -> Iterator[Callable[[], list[str]]]:
    """What has been found until now; it is forgotten, or this test would fail of it."""

    def look() -> list[str]:
        WATCH.look_at_lines()
        seen = list(dict.fromkeys(WATCH.found))
        WATCH.forget()
        return seen

    yield look
    WATCH.forget()


def test_without_a_leak_it_finds_nothing(owner: Person, stranger: Person, found: Callable[[], list[str]]) -> None:
    session = owner.session(title=WORDS)
    owner.message(session["id"], WORDS)
    assert WORDS in owner.get("/api/v1/chat-sessions").text
    assert stranger.get(f"/api/v1/chat-sessions/{session['id']}").status_code == 404
    assert found() == []


def test_a_route_that_forgets_whose_it_is(app: Flask, owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch, found: Callable[[], list[str]]) -> None:
    session = owner.session(title=WORDS)
    reading = sessions.get

    def anybodys(user_id: str, session_id: str) -> object:
        with acting.acting_for(acting.EVERYBODY):  # PostgreSQL would hold it back
            return reading("owner", session_id)

    monkeypatch.setattr(sessions, "get", anybodys)
    assert WORDS in stranger.get(f"/chat/sessions/{session['id']}").text
    assert [line.partition(": ")[2] for line in found()] == [f"what owner wrote, told to stranger: {WORDS.encode()!r}"]


def test_an_event_of_a_stream(owner: Person, stranger: Person, handed: HandedOut, found: Callable[[], list[str]]) -> None:
    owner.session(title=WORDS)
    handed.say(WORDS, None)
    assert WORDS in stranger.post("/api/v1/chat/stream", json={"message": "Hello"}).text
    assert [line.partition(": ")[2] for line in found()] == [f"what owner wrote, told to stranger: {WORDS.encode()!r}"]


def test_a_secret_in_an_answer(owner: Person, found: Callable[[], list[str]]) -> None:
    assert SECRET in owner.post("/chat/sessions", json={"title": SECRET}).text
    assert [line.partition(": ")[2] for line in found()] == [f"a secret: {SECRET.encode()!r}"]


def test_a_password_in_a_log_line(app: Flask, found: Callable[[], list[str]]) -> None:
    account(app, password="grauer Esel 17")
    sign_in(app, password="grauer Esel 17")
    logging.getLogger("chatsvc").warning("looked at %s", "grauer Esel 17")
    assert any("a secret in a log line: b'grauer Esel 17'" in line for line in found())


def test_a_key_in_an_answer_and_in_a_log_line(app: Flask, admin: Person, found: Callable[[], list[str]]) -> None:
    shop = product(app)
    assert shop.post("/chat/sessions", json={"title": f"My key: {shop.key}"}).status_code == 201
    assert [line.partition(": ")[2] for line in found()] == [f"a secret: {shop.key.encode()!r}", f"a token or a hash: {shop.key[:24].encode()!r}"]
    made = (admin.post("/api/api-keys", json={"name": "Shop", "scopes": ["read"]}).json or {})["data"]["key"]
    assert found() == [], "it is handed out there, once"
    assert made in admin.post("/chat/sessions", json={"title": made}).text
    assert any("a token or a hash" in line for line in found()), "by its form alone"
    logging.getLogger("chatsvc").warning("came with %s", "_".join(made.split("_")))
    assert not any(made in line for line in found()), "the log leaves it out by its form"


def test_what_somebody_wrote_in_a_log_line(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, found: Callable[[], list[str]]) -> None:
    append = messages.append

    def chatty(*args: object, content: str, **rest: object) -> object:
        logging.getLogger("chatsvc.core").error("appending %s", content)
        return append(*args, content=content, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "append", chatty)
    owner.message(owner.session()["id"], WORDS)
    assert any("what owner wrote in a log line" in line for line in found())


@pytest.mark.parametrize(
    "inside", ["Traceback (most recent call last)", "psycopg2.errors.UniqueViolation", "SELECT chat_sessions.id FROM", "$argon2id$v=19$m=1"]
)
def test_the_inside_of_the_service(app: Flask, inside: str, found: Callable[[], list[str]]) -> None:
    WATCH.look(inside.encode(), "GET /x 500", None, hands_out=False, all_users=False)
    assert len(found()) == 1
    assert person(app, "owner").get("/api/v1/chat-sessions").status_code == 200
    assert found() == []
