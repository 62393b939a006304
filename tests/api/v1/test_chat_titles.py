"""`CHAT_TITLE_MODEL`: a real model server names a chat after its first exchange, in the background and never in the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from chatsvc.core import titles
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, Body, body_of, change
from tests.api.v1.streams import CHAT, follow, told
from tests.factories import Person, person
from tests.responders.upstream import Caller, Script, Upstream, completion, document, in_pieces, running, stall

FIRST = "Which plants like shade, and how often do they need water?"
TRIGGERS = FIRST[:50]


class Models:
    """A server with two models: one talks, the other makes titles as the test says."""

    def __init__(self, server: Upstream) -> None:
        self.server = server
        self.titler: Script = says("Plants for shade")
        self.asked: list[str] = []
        server.script = self.answer

    def answer(self, caller: Caller) -> None:
        if caller.body["model"] == "titler":
            self.asked.append(caller.body["messages"][-1]["content"])
            self.titler(caller)
        else:
            caller.stream(completion("Ferns", " do."))


def says(title: str) -> Script:
    return lambda caller: caller.answer(completion(*title), content_type="text/event-stream")


@pytest.fixture
def models() -> Iterator[Models]:
    with running() as server:
        yield Models(server)


@pytest.fixture
def owner(make_app: Callable[..., Flask], models: Models, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody who talks to a service that has a model for titles; one that gives it a second."""
    monkeypatch.setattr("chatsvc.responders.TITLE_SECONDS", 1)
    monkeypatch.setattr("chatsvc.responders.model.BACKOFF", 0.01)
    address = {"OPENAI_BASE_URL": f"{models.server.url}/v1", "OPENAI_MODEL": "parrot"}
    return person(make_app(CHAT_RESPONDER="openai", CHAT_TITLE_MODEL="titler", **address), "owner")


def done_thinking() -> None:
    """Until no reply is written any more, nor a title."""
    until = time.monotonic() + 30
    while any(thread.name.startswith("reply-") for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


def first_exchange(owner: Person) -> Body:
    """The session of a first message that was answered, as it was at once."""
    session_id = told(owner.post(CHAT, json={"message": FIRST}))["session_id"]
    return body_of(owner, f"{SESSIONS}/{session_id}")


def now_of(owner: Person, before: Body) -> Body:
    return body_of(owner, f"{SESSIONS}/{before['id']}")


def test_a_first_exchange_gets_a_better_title_and_nothing_else_moves(owner: Person, models: Models) -> None:
    before = first_exchange(owner)
    done_thinking()
    assert now_of(owner, before) == {**before, "title": "Plants for shade"}
    assert len(models.asked) == 1
    assert FIRST in models.asked[0]
    assert "Ferns do." in models.asked[0]
    assert body_of(owner, f"{SESSIONS}?search=for shade")["total"] == 1
    assert rows.breaches(owner.client.application) == []


def test_a_stream_gets_one_too_and_the_second_exchange_none(owner: Person, models: Models) -> None:
    session_id = list(follow(owner, json={"message": FIRST}))[0].data["session_id"]  # noqa: RUF015 - to its end
    done_thinking()
    models.titler = says("Something else")
    owner.post(CHAT, json={"message": "And sun?", "session_id": session_id})
    done_thinking()
    assert (body_of(owner, f"{SESSIONS}/{session_id}")["title"], len(models.asked)) == ("Plants for shade", 1)


def test_a_title_of_ones_own_stays(owner: Person, models: Models) -> None:
    session = owner.session(title="Mine")
    owner.post(CHAT, json={"message": FIRST, "session_id": session["id"]})
    done_thinking()
    assert (now_of(owner, session)["title"], models.asked) == ("Mine", [])


def test_whoever_names_it_while_the_model_thinks_is_not_overruled(owner: Person, models: Models) -> None:
    asked, named = threading.Event(), threading.Event()

    def think(caller: Caller) -> None:
        asked.set()
        assert named.wait(30)
        says("The model's")(caller)

    models.titler = think
    before = first_exchange(owner)
    assert asked.wait(30)
    change(owner, before["id"], title="Mine after all")
    after = now_of(owner, before)
    named.set()
    done_thinking()
    assert len(models.asked) == 1
    assert now_of(owner, before) == after
    assert after["title"] == "Mine after all"


def test_a_session_that_goes_while_the_model_thinks_is_left_alone(owner: Person, models: Models) -> None:
    asked, gone = threading.Event(), threading.Event()

    def think(caller: Caller) -> None:
        asked.set()
        assert gone.wait(30)
        says("Too late")(caller)

    models.titler = think
    before = first_exchange(owner)
    assert asked.wait(30)
    assert owner.delete(f"{CHAT}/sessions/{before['id']}").status_code == 204
    gone.set()
    done_thinking()
    assert [row.title for row in rows.run(owner.client.application, "SELECT title FROM chat_sessions")] == [TRIGGERS]


NO_TITLE: dict[str, Script] = {
    "hung": stall,
    "cut": in_pieces(),
    "a stall": in_pieces(completion("Half a")[:300], then=stall),
    "500": lambda caller: caller.answer(b"{}", status=500),
    "429": lambda caller: caller.answer(b"{}", status=429, Retry_After="60"),
    "hung up": lambda caller: caller.sock.close(),
    "garbage": lambda caller: caller.answer(b"\x00\xff garbage"),
    "a web page": lambda caller: caller.answer(b"<!doctype html><title>Sign in</title>", content_type="text/html"),
    "empty": says(""),
    "blank": says(" \n\t\u2028 \u200b"),
    "quotation marks alone": says("\"'\u201c\u201d'\""),
    "tags alone": says("<p></p>"),
    "thoughts alone": says("<think>The person asks about plants"),
    "control characters alone": says("\x00\x1b\x07\u202e"),
}


@pytest.mark.parametrize("how", NO_TITLE)
def test_without_a_good_answer_the_title_stays_and_nobody_waits(owner: Person, models: Models, caplog: pytest.LogCaptureFixture, how: str) -> None:
    models.titler = NO_TITLE[how]
    before = first_exchange(owner)
    began = time.monotonic()
    assert told(owner.post(CHAT, json={"message": "And?", "session_id": before["id"]}))["assistant_message"]["content"] == "Ferns do."
    assert time.monotonic() - began < 0.9
    second = now_of(owner, before)
    done_thinking()
    assert now_of(owner, before) == second
    assert second["title"] == TRIGGERS
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


TITLES = [
    ('"Plants for shade"', "Plants for shade"),
    ("\u201cPlants for shade\u201d", "Plants for shade"),
    ("**Plants for shade**", "Plants for shade"),
    ("# Plants for shade", "Plants for shade"),
    ("\n\n  Plants\tfor   shade \r\nand some explanation", "Plants for shade"),
    ("Plants\u2028for shade", "Plants"),
    ("<title>Plants for shade</title>", "Plants for shade"),
    ("<p><b>Plants</b> for shade</p>\n", "Plants for shade"),
    ("When is a < b?", "When is a < b?"),
    ("Centring a <div>", "Centring a <div>"),
    ("<think>\nThey ask about\nplants\n</think>\n\nPlants for shade", "Plants for shade"),
    ("Plants\x00 for\x1b[31m shade", "Plants for [31m shade"),
    ("Plants \u202efor\u2066 shade", "Plants for shade"),
    ("Gärten 👩‍🌾 im Schatten", "Gärten 👩‍🌾 im Schatten"),
    ("word " * 2000, ("word " * 12).strip()),
    ("x" * 10_000, "x" * titles.LONGEST),
    ("\ud83d", ""),
]


@pytest.mark.parametrize(("said", "title"), TITLES)
def test_whatever_a_model_says_becomes_one_clean_line(said: str, title: str) -> None:
    assert titles.cleaned(json.loads(json.dumps(said)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")) == title


def test_a_title_of_10000_characters_is_cut_and_an_endless_one_not_read_to_its_end(owner: Person, models: Models) -> None:
    models.titler = lambda caller: caller.answer(document("x" * 10_000))
    before = first_exchange(owner)
    done_thinking()
    assert now_of(owner, before)["title"] == "x" * titles.LONGEST
    sent = []

    def endless(caller: Caller) -> None:
        caller.head()
        for _ in range(1000):
            caller.send(completion("y" * 10_000).split(b"data: [DONE]")[0].replace(b'"stop"', b"null"))
            sent.append(caller)

    models.titler = endless
    before = first_exchange(owner)
    done_thinking()
    assert now_of(owner, before)["title"] == "y" * titles.LONGEST
    assert len(sent) < 1000
