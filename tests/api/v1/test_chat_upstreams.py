"""A model that misbehaves, seen through the whole product: the right answer, nothing of what was said lost, nothing told that is secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.extensions import db
from chatsvc.responders import model
from tests import factories, openapi_check, quicker, tables
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, Body, answered, body_of
from tests.api.v1.streams import CHAT, follow, text_of
from tests.factories import Person, person
from tests.responders.memory import growth
from tests.responders.upstream import DONE, Caller, Script, Upstream, chunk, completion, event, in_pieces, running, stall

KEY = "sk-proj-Tz4kQ9vYb2mXw7LrN1"
SECRETS = (KEY, KEY[:9], KEY[-7:], "pa55word", "secret-query", "me:")
HALF = "Half an "
MEGABYTE = 1024 * 1024
TOLD = f"Incorrect API key provided: {KEY}, at http://me:pa55word@127.0.0.1/v1?version=secret-query"


def refusal(status: int, **headers: str) -> Script:
    """An answer of this status whose words hold everything that must not get out."""
    return lambda caller: caller.answer(b'{"error": {"message": "%b"}}' % TOLD.encode(), status=status, **headers)


def flood(piece: bytes, amount: int, *, before: bytes = b"") -> Script:
    """Some text, and then the same piece over and over."""

    def script(caller: Caller) -> None:
        caller.head(Content_Length=str(5 * 1024**3))
        caller.send(chunk(HALF) + before)
        for _ in range(amount):
            caller.send(piece)

    return script


def reset_later(caller: Caller) -> None:
    stall(caller, 0.1)  # a reset overtakes what was sent just before it
    caller.reset()


ENDLESS = flood((b": nothing yet" + b"." * 100_000 + b"\n") * 10, 5 * 1024)
EMPTY_LINES = flood(b"\n" * MEGABYTE, 5 * 1024)
LONG_LINE = flood(b"x" * MEGABYTE, 10, before=b"data: ")
LONG_TEXT = flood(chunk("z" * 10_000) * 100, 5 * 1024)

# What the model does, the status, the text that had come, what people are told.
BAD: dict[str, tuple[Script, int, str, str]] = {
    "no first byte": (stall, 504, "", "The model did not begin to answer within 1 s."),
    "a stall": (in_pieces(chunk(HALF), then=stall), 504, HALF, "The model stopped in the middle of its answer: nothing came for 1 s."),
    "a stall within an event": (in_pieces(chunk(HALF), chunk("answer")[:20], then=stall), 504, HALF, "nothing came for 1 s"),
    "cut between events": (in_pieces(chunk(HALF)), 502, HALF, "The model broke off in the middle of its answer."),
    "cut within an event": (in_pieces(chunk(HALF), chunk("answer")[:-20]), 502, HALF, "The model"),
    "a reset": (
        in_pieces(chunk(HALF), then=reset_later),
        502,
        HALF,
        "The model broke off in the middle of its answer.",
    ),
    "garbage": (in_pieces(b"\x00\xff\xfe garbage \n\n" * 100), 502, "", "The model"),
    "garbage after text": (in_pieces(chunk(HALF), b"data: {\x00\xff]\n\n"), 502, HALF, "The model sent something that cannot be understood."),
    "an error among events": (in_pieces(chunk(HALF), event({"error": {"message": TOLD}}), DONE), 502, HALF, "The model reported an error."),
    "nothing at all": (in_pieces(), 502, "", "The model"),
    "no text": (in_pieces(chunk(finish="stop"), DONE), 502, "", "The model gave an empty answer."),
    "hung up": (lambda caller: caller.sock.close(), 502, "", "The model could not be reached"),
    "429": (refusal(429, Retry_After="60"), 502, "", "The model is busy (429)."),
    "500": (refusal(500), 502, "", "The model has a fault (500)."),
    "401": (refusal(401), 502, "", "The model did not accept the service's credentials (401)."),
    "a redirect": (refusal(302, Location="http://127.0.0.1:1/"), 502, "", "The model answered with a redirect"),
    "a web page": (
        lambda caller: caller.answer(b"<!doctype html><p>" + TOLD.encode(), content_type="text/html"),
        502,
        "",
        "The model answered with a web page.",
    ),
    "an image": (lambda caller: caller.answer(b"\x89PNG\r\n\x1a\n" * 100, content_type="image/png"), 502, "", "The model"),
    "5 GB": (ENDLESS, 502, HALF, "more than"),
    "5 GB of nothing": (EMPTY_LINES, 502, HALF, "more than"),
    "5 GB of text": (LONG_TEXT, 502, (HALF + "z" * 200_000)[:200_000], "longer than 200000 characters"),
    "a line of 10 MB": (LONG_LINE, 502, HALF, "more than"),
}


SLOW = ("no first byte", "a stall", "a stall within an event")


def begin_late(caller: Caller) -> None:
    stall(caller, 0.5)
    caller.stream(completion(*WORDS))


WORDS = ("Zwölf ", "𝄞 ", "👩‍👩‍👧", " \u2028e\u0301")
GOOD: dict[str, Script] = {
    "events split at every byte": lambda caller: caller.stream(completion(*WORDS), sizes=[1]),
    "a slow first byte": begin_late,
    "events under a wrong content type": lambda caller: caller.answer(completion(*WORDS), content_type="text/html"),
}


@pytest.fixture(scope="module")
def model_server() -> Iterator[Upstream]:
    with running() as server:
        yield server


@pytest.fixture
def upstream(model_server: Upstream) -> Upstream:
    """The model's server; nobody has asked it anything yet."""
    model_server.requests.clear()
    return model_server


@pytest.fixture(scope="module")
def product(shared_app: Flask, database_url: str, model_server: Upstream) -> Iterator[Flask]:
    """The product as it is configured for a model; nobody waits long for it."""
    settings = {
        "CHAT_RESPONDER": "openai",
        "OPENAI_BASE_URL": f"http://me:pa55word@127.0.0.1:{model_server.port}/v1?version=secret-query",
        "OPENAI_API_KEY": KEY,
        "OPENAI_MODEL": "parrot",
        "CHAT_FIRST_BYTE_TIMEOUT": "1",
        "CHAT_IDLE_TIMEOUT": "1",
    }
    made = openapi_check.watch(quicker.trust_the_machine(tables.open_to_tests(create_app(factories.settings(database_url, **settings)))))
    yield made
    made.extensions["chatsvc.runtime"].stop(wait=True)
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def served(app: Flask, product: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The product on an empty database; where a model is not slow on purpose, a busy machine does not make it so."""
    monkeypatch.setattr(model, "BACKOFF", 0.01)
    responder = product.extensions["chatsvc.responder"]._responder
    if getattr(request.node, "callspec", None) is None or request.node.callspec.params.get("how") not in SLOW:
        monkeypatch.setattr(responder, "limits", replace(responder.limits, first_byte=30, idle=30))
    return product


def sent(who: Person, **asked: Any) -> tuple[int, Body, str]:
    """Status, body and raw text of a send."""
    response = who.post(CHAT, json=asked)
    return response.status_code, answered(response, response.status_code), response.text


def streamed(who: Person, **asked: Any) -> tuple[int, Body, str]:
    """The same of a stream, put together as `/chat` would have said it."""
    heard = list(follow(who, json=asked))
    first, last = heard[0].data, heard[-1].data
    assert [heard[0].name, *{event.name for event in heard[1:-1]} - {"delta"}] == ["session"]
    assert last["assistant_message"]["id"] == first["reply_id"]
    assert last["assistant_message"]["content"] == text_of(heard)
    again = list(follow(who, f"{CHAT}/stream/{first['reply_id']}", "GET", headers={"Last-Event-ID": "3"}))
    assert (text_of(again), again[-1].data) == (text_of(heard)[3:], last)
    body = {"session_id": first["session_id"], "user_message": first["user_message"], **last}
    kind = last["assistant_message"]["metadata"].get("error", {}).get("kind")
    status = {"done": 200, "error": 504 if kind == "timeout" else 502}[heard[-1].name]
    return status, body, "".join(str(event) for event in heard)


WAYS = {"chat": sent, "stream": streamed}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", BAD)
def test_whatever_a_model_does_the_question_and_what_had_come_are_kept(
    served: Flask, upstream: Upstream, caplog: pytest.LogCaptureFixture, how: str, way: str
) -> None:
    caplog.set_level("DEBUG")
    owner, send = person(served, "owner"), WAYS[way]
    upstream.script, wanted, text, words = BAD[how]
    with growth() as grown:
        status, body, raw = send(owner, message="What grows in the shade?")
    assert grown.megabytes < 64, grown
    assert (status, set(body)) == (wanted, {"detail", "session_id", "user_message", "assistant_message"})
    question, reply = body["user_message"], body["assistant_message"]
    assert (question["content"], reply["content"], reply["status"]) == ("What grows in the shade?", text, "failed")
    assert words in body["detail"]
    read = body_of(owner, f"{SESSIONS}/{body['session_id']}")
    assert (read["messages"], read["message_count"], read["title"]) == ([question, reply], 2, "What grows in the shade?")
    seen = raw + str(rows.dump(served)) + caplog.text
    assert [secret for secret in SECRETS if secret in seen] == []
    assert str(upstream.port) not in body["detail"]
    upstream.script = lambda caller: caller.stream(completion("Ferns", " do"))
    status, body, _ = send(owner, message="And?", session_id=body["session_id"])
    assert (status, body["assistant_message"]["content"]) == (200, "Ferns do")
    assert rows.breaches(served) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", GOOD)
def test_what_can_be_understood_is_an_answer(served: Flask, upstream: Upstream, how: str, way: str) -> None:
    upstream.script = GOOD[how]
    status, body, _ = WAYS[way](person(served, "owner"), message="What grows in the shade?")
    assert (status, body["assistant_message"]["content"], body["assistant_message"]["status"]) == (200, "".join(WORDS), "complete")
    assert body["assistant_message"]["metadata"]["finish_reason"] == "stop"


def test_a_model_that_is_busy_is_asked_again_and_nobody_notices(served: Flask, upstream: Upstream) -> None:
    busy = refusal(429, Retry_After="0")
    upstream.script = lambda caller: busy(caller) if len(upstream.requests) < 3 else caller.stream(completion("At last"))
    status, body, _ = sent(person(served, "owner"), message="Hello")
    assert (status, body["assistant_message"]["content"], len(upstream.requests)) == (200, "At last", 3)


def test_nobody_is_asked_before_the_question_is_kept(served: Flask, upstream: Upstream) -> None:
    kept: list[Any] = []

    def script(caller: Caller) -> None:
        kept.extend(rows.run(served, "SELECT role, content, status FROM chat_messages ORDER BY id"))
        caller.stream(completion("Ferns"))

    upstream.script = script
    sent(person(served, "owner"), message="Hello")
    assert [tuple(row) for row in kept] == [("user", "Hello", "complete"), ("assistant", "", "streaming")]


@pytest.mark.parametrize("way", WAYS)
def test_a_reply_that_failed_can_be_asked_for_again(served: Flask, upstream: Upstream, way: str) -> None:
    owner, send = person(served, "owner"), WAYS[way]
    upstream.script = in_pieces(chunk(HALF))
    _, first, _ = send(owner, message="Hello")
    upstream.script = lambda caller: caller.stream(completion("Whole"))
    status, again, _ = send(owner, retry=first["assistant_message"]["id"])
    assert (status, again["user_message"]) == (200, first["user_message"])
    assert body_of(owner, f"{SESSIONS}/{first['session_id']}")["messages"] == [first["user_message"], again["assistant_message"]]


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
def test_a_retry_of_a_failed_send_asks_nobody_a_second_time(served: Flask, upstream: Upstream, path: str) -> None:
    owner = person(served, "owner")
    upstream.script = in_pieces(chunk(HALF))
    first, again = (owner.post(path, json={"message": "Hello"}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (first.status_code, "true")
    assert again.data == first.data if path == CHAT else again.data.split(b"event: error")[1] == first.data.split(b"event: error")[1]
    assert len(upstream.requests) == 1
