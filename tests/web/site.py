"""A service for browsers: the real application behind a real socket, with a responder that a test hands out piece by piece."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert
from werkzeug.serving import WSGIRequestHandler, make_server

from chatsvc import create_app
from chatsvc.core import messages, personas, sessions, users
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.extensions import db
from chatsvc.responders.base import Answer, Question, ResponderError, Stop
from chatsvc.responders.echo import Echo
from tests import factories, quicker
from tests.api.v1.streams import HandedOut

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    password: str = PASSWORD


class EachItsOwn:
    """Answers each person as their test wishes: by echo, or with pieces handed out one by one."""

    def __init__(self) -> None:
        self.echo = Echo(delay_ms=0)
        self.by_user: dict[str, HandedOut] = {}
        self.failing: dict[str, ResponderError] = {}

    def reply(self, question: Question, stop: Stop) -> Answer:
        own = self.by_user.get(question.user_id)
        if own is not None:
            return (yield from own.reply(question, stop))
        if question.user_id in self.failing:
            raise self.failing.pop(question.user_id)
        return (yield from self.echo.reply(question, stop))


@dataclass
class Site:
    app: Flask
    address: str
    responder: EachItsOwn
    split: bool = False

    def account(self, name: str = "") -> Account:
        with self.app.app_context():
            made = users.create(name or f"p{uuid.uuid4().hex[:10]}", PASSWORD)
        return Account(made.id, made.username)

    def admin(self) -> Account:
        who = self.account()
        with self.app.app_context():
            users.promote(who.name)
        return who

    def persona(self, name: str, **given: Any) -> str:
        """A persona that says again what it is told."""
        with self.app.app_context():
            return str(personas.create("operator", name=name, **{"kind": "echo", **given}).id)

    def switch(self, persona_id: str, *, on: bool) -> None:
        with self.app.app_context():
            personas.change("operator", persona_id, is_active=on)

    def handed(self, who: Account) -> HandedOut:
        """From now on this person's replies are what the test hands out."""
        return self.responder.by_user.setdefault(who.id, HandedOut())

    def chat(self, who: Account, title: str | None = None, said: Iterable[str] = ()) -> str:
        """A chat with these messages, the person's and the assistant's in turn."""
        with self.app.app_context():
            made = sessions.create(who.id, title=title)
            for number, content in enumerate(said):
                messages.append(who.id, made.id, role="assistant" if number % 2 else "user", content=content)
        return str(made.id)

    def long_chat(self, who: Account, amount: int) -> str:
        """A chat of so many messages."""
        chat_id = self.chat(who, f"{amount} messages")
        line = "Line {n}: some words that fill a line or two of the conversation, with **bold** and `code`."
        rows = [
            {"session_id": chat_id, "user_id": who.id, "role": "assistant" if n % 2 else "user", "content": line.format(n=n), "created_at": datetime.now(UTC)}
            for n in range(amount)
        ]
        with self.app.app_context(), db.engine.begin() as connection:
            connection.execute(insert(ChatMessage), rows)
        return chat_id

    def many_chats(self, who: Account, amount: int) -> None:
        moment = datetime.now(UTC)
        rows = [
            {"id": str(uuid.uuid4()), "user_id": who.id, "title": f"Chat {n:04}", "title_from": "person", "created_at": moment, "updated_at": moment}
            for n in range(amount)
        ]
        with self.app.app_context(), db.engine.begin() as connection:
            connection.execute(insert(ChatSession), rows)

    def expire(self, who: Account) -> None:
        """Ends every sign-in of this person, as an admin or another device may."""
        with self.app.app_context():
            users.disable(who.name)
            self.app.extensions["chatsvc.tokens"].clear()
            self.app.extensions["chatsvc.refused"].clear()

    def let_in(self, who: Account) -> None:
        with self.app.app_context():
            users.enable(who.name)


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Says nothing; a test that fails has better words."""


def byte_by_byte(site: Callable[[], Site], wrapped: Any) -> Any:
    """While the site says so, a stream's bytes are sent one at a time."""

    def answer(environ: Any, start: Any) -> Iterable[bytes]:
        streams: list[bool] = []

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            streams.append(any(name.lower() == "content-type" and value.startswith("text/event-stream") for name, value in headers))
            return start(status, headers, *rest)

        body = wrapped(environ, begin)
        return _single(body) if streams and streams[0] and site().split else body

    return answer


def _single(body: Any) -> Iterator[bytes]:
    try:
        for chunk in body:
            for byte in chunk:
                yield bytes((byte,))
    finally:
        body.close()


@contextmanager
def serving(folder: Path, **changes: str) -> Iterator[Site]:
    app = quicker.trust_the_machine(create_app(factories.settings(f"sqlite:///{folder / 'page.db'}", CHAT_INSTANCE_PATH=str(folder), **changes)))
    with app.app_context():
        upgrade()
    with at(app) as site:
        yield site
    app.extensions["chatsvc.runtime"].stop(wait=True)
    with app.app_context():
        db.engine.dispose()


@contextmanager
def at(app: Flask) -> Iterator[Site]:
    """This application where a browser can reach it."""
    before = app.extensions["chatsvc.responder"], app.wsgi_app
    app.extensions["chatsvc.responder"] = responder = EachItsOwn()
    app.wsgi_app = byte_by_byte(lambda: site, app.wsgi_app)  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    site = Site(app, f"http://127.0.0.1:{server.server_port}", responder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["chatsvc.responder"], app.wsgi_app = before  # type: ignore[method-assign]
