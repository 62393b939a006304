"""Those who follow a reply: one who is signed out or disabled meanwhile hears no more of it, and nobody takes all the room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.core import runtime, users
from tests.api.app.accounts import account, sign_in
from tests.api.keys import Product, expire, product, revoke
from tests.api.v1.streams import CHAT, HandedOut, follow, text_of
from tests.api.v1.test_chat_stream import begin, until
from tests.factories import Person, person


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(runtime, "NUDGE_SECONDS", 0.05)


@pytest.fixture
def alice(app: Flask) -> Person:
    account(app)
    return sign_in(app).person


@pytest.fixture
def patience(handed: HandedOut) -> Iterator[None]:
    """Nobody is dismissed all the same? Then the reply ends one day, and so does the test."""
    late = threading.Timer(20, handed.say, (" unheard", None))
    late.start()
    yield
    late.cancel()
    handed.say(None)


def disable(app: Flask, _: Person) -> None:
    with app.app_context():
        users.disable("alice")


def sign_out(_: Flask, alice: Person) -> None:
    assert alice.post("/auths/logout").status_code == 204


def change_password(app: Flask, _: Person) -> None:
    with app.app_context():
        users.change_password("alice", "another password of alice")


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("end", [disable, sign_out, change_password])
def test_an_open_stream_ends_with_the_sign_in(app: Flask, alice: Person, handed: HandedOut, end: Callable[[Flask, Person], None]) -> None:
    first, stream = begin(alice)
    following = follow(alice, f"{CHAT}/stream/{first.data['reply_id']}", "GET")
    handed.say("heard")
    assert [next(stream).data["content"], next(following).data["content"]] == ["heard", "heard"]
    end(app, alice)
    assert (list(stream), list(following)) == ([], []), "no word more, and no end"


@pytest.mark.usefixtures("patience")
def test_not_even_in_the_midst_of_a_flood(app: Flask, alice: Person, handed: HandedOut) -> None:
    _, stream = begin(alice)
    flood = threading.Event()

    def pour() -> None:
        while not flood.wait(0.001):
            handed.say("drop ")

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        next(stream)
        disable(app, alice)
        heard = list(stream)
    finally:
        flood.set()
        pouring.join()
    assert {event.name for event in heard} <= {"delta"}


@pytest.mark.usefixtures("patience")
def test_who_waits_for_the_whole_reply_is_refused(app: Flask, alice: Person, handed: HandedOut) -> None:
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(alice.post(CHAT, json={"message": "Hello"})))
    waiting.start()
    until(lambda: bool(handed.questions))
    disable(app, alice)
    waiting.join(30)
    assert [(answer.status_code, answer.json) for answer in answers] == [(401, {"detail": "Not signed in, or the sign-in is no longer good"})]
    handed.say("unheard", None)


@pytest.fixture
def shop(app: Flask) -> Product:
    return product(app)


def as_person(app: Flask, shop: Product) -> Person:
    """Streams read a person's; this one's token is a key."""

    class OfProduct(Person):
        def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any) -> TestResponse:
            return self.client.open(path, method=method, headers={**shop.headers("customer 1"), **(headers or {})}, **rest)

    return OfProduct(app.test_client(use_cookies=False), "customer 1", "")


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("end", [revoke, expire])
def test_an_open_stream_ends_with_its_key(app: Flask, shop: Product, handed: HandedOut, end: Callable[[Flask, Product], None]) -> None:
    first, stream = begin(as_person(app, shop))
    other = product(app)
    following = follow(as_person(app, other), f"{CHAT}/stream/{first.data['reply_id']}", "GET")
    handed.say("heard")
    assert [next(stream).data["content"], next(following).data["content"]] == ["heard", "heard"]
    end(app, shop)
    assert list(stream) == [], "no word more, and no end"
    handed.say(" on", None)
    assert text_of(list(following)) == " on", "with another key of the same product it goes on"


@pytest.mark.usefixtures("patience")
def test_who_waits_with_a_key_for_the_whole_reply_is_refused_once_it_is_revoked(app: Flask, shop: Product, handed: HandedOut) -> None:
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(shop.post(CHAT, json={"message": "Hello"})))
    waiting.start()
    until(lambda: bool(handed.questions))
    revoke(app, shop)
    waiting.join(30)
    assert [answer.status_code for answer in answers] == [401]
    handed.say("unheard", None)


def test_another_user_and_another_sign_in_hear_on(app: Flask, alice: Person, owner: Person, handed: HandedOut) -> None:
    other = sign_in(app).person
    first, stream = begin(alice)
    following = follow(other, f"{CHAT}/stream/{first.data['reply_id']}", "GET")
    handed.say("heard")
    next(stream), next(following)
    sign_out(app, alice)
    assert list(stream) == []
    handed.say(" on", None)
    assert text_of(list(following)) == " on"


def test_one_user_does_not_take_all_the_room_by_following(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_STREAMS_PER_USER="1", RATELIMIT_ENABLED="true")
    app.extensions["chatsvc.responder"] = handed = HandedOut()
    owner = person(app, "owner")
    first, stream = begin(owner)
    path = f"{CHAT}/stream/{first.data['reply_id']}"
    second = owner.get(path, buffered=False)
    refused = owner.get(path)
    assert (second.status_code, refused.status_code, refused.json) == (200, 429, {"detail": "At most 2 streams at once"})
    assert refused.headers["Retry-After"] == "5"
    second.close()
    again = follow(owner, path, "GET")
    handed.say("x", None)
    assert text_of(list(again)) == text_of(list(stream)) == "x"
