"""A flow that misbehaves, seen through the whole product: the right end and words, in time, nothing lost, and the next message answered."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask

from bench.streams import free_port
from chatsvc.responders.webhook import guarded
from tests.api.envelope.calls import Body, cancel
from tests.api.envelope.webhooks import FINE, LOOPBACK, QUESTION, Line, accepted, answers, line
from tests.api.v1 import rows
from tests.responders.conftest import certificate  # noqa: F401 - a fixture
from tests.responders.standins import Connector, Resolver
from tests.responders.upstream import Caller, Script, Upstream, deaf, flow, plain_talker, running, stall

MEGABYTE = 1024 * 1024
BAD, STATUS, GONE, LATE = "bad_response", "bad_status", "unreachable", "timeout"


def begins(body: bytes, then: Script = lambda caller: None, **headers: str) -> Script:
    def script(caller: Caller) -> None:
        caller.head(200, "application/json", **headers)
        caller.send(body)
        then(caller)
        caller.sock.close()

    return script


def a_byte_a_second(caller: Caller) -> None:
    while not caller.wait_for_hang_up(1):
        caller.send(b"x")


def endless(caller: Caller) -> None:
    caller.head(200, "application/json")
    for _ in range(5 * 1024):
        caller.send(b"x" * MEGABYTE)


# What the flow does, the status, the kind of error, words of the message.
FAULTS: dict[str, tuple[Script, int, str, str]] = {
    "hang before headers": (stall, 504, LATE, "Webhook timeout after 1 second: it did not begin to answer"),
    "hang in the body": (begins(b'{"output"', stall), 504, LATE, "did not finish its answer"),
    "a byte a second": (begins(b"x", a_byte_a_second), 504, LATE, "did not finish its answer"),
    "301 to a private address": (answers("", 301, Location="http://10.0.0.1/"), 502, STATUS, "redirect, which is not followed (301)"),
    "500": (answers('{"message": "Error in workflow"}', 500), 502, STATUS, "has a fault (500)"),
    "404 of a flow that is off": (answers("{}", 404), 502, STATUS, "does not exist at the configured address (404)"),
    "429": (answers("", 429), 502, STATUS, "is busy (429)"),
    "a web page": (answers("<!doctype html><p>Sign in", content_type="text/html"), 502, BAD, "web page"),
    "empty": (answers(""), 502, BAD, "empty answer"),
    "no content": (lambda caller: caller.head(204), 502, BAD, "empty answer"),
    "a gzip bomb": (answers(gzip.compress(b" " * 50 * MEGABYTE), Content_Encoding="gzip"), 502, BAD, "compressed"),
    "endless": (endless, 502, BAD, "sent more than"),
    "deep": (answers("[" * 200_000), 502, BAD, "too large or too deep"),
    "a list of none": (answers("[]"), 502, BAD, "a list of no answers"),
    "a number for a text": (answers('{"output": 42}'), 502, BAD, "no text under"),
    "a list for a text": (answers('{"output": ["a"]}'), 502, BAD, "no text under"),
    "broken JSON": (answers('{"output": "Fe'), 502, BAD, "broken"),
    "no HTTP": (lambda caller: caller.send(b"SSH-2.0-OpenSSH\r\n\r\n"), 502, BAD, "not HTTP"),
    "a reset": (Caller.reset, 502, GONE, "closed the connection without an answer"),
    "cut off": (begins(b"{", Content_Length="99"), 502, BAD, "broke off"),
    "a stream without end": (begins(flow("Fe")[:-60]), 502, BAD, "The webhook"),
    "an error in a stream": (begins(b'{"type":"begin"}\n{"type":"error"}\n'), 502, BAD, "reported an error of its flow"),
    "an acknowledgement": (answers('{"message": "Workflow was started"}'), 502, BAD, "gave no answer"),
}


@pytest.fixture
def product(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service, with nothing behind it but loopback: no name is looked up elsewhere, no packet leaves."""
    wires = guarded(False, (ip_network("127.0.0.0/8"),))._wires
    monkeypatch.setattr(wires, "_look_up", Resolver())
    monkeypatch.setattr(wires, "_connect", Connector())
    return make_app(**LOOPBACK, PUBLIC_URL="https://chat.example.com")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as server:
        yield server


def failed(who: Line, status: int, kind: str, words: str, *, seconds: float = 1.0) -> Body:
    """Sends; the exchange fails so, in time, with everything kept."""
    before = len(who.messages())
    response = who.send()
    body = cast("Body", response.json)
    assert response.status_code == status, response.text
    assert list(body) == ["success", "message", "data"]
    assert body["success"] is False
    assert words in body["message"]
    data = body["data"]
    assert (list(data), data["status"], data["reply"]) == (["sessionId", "status", "userMessage", "reply"], "FAILED", None)
    found = who.session(data["sessionId"])
    assert (found["status"], found["errorKind"], found["errorMessage"]) == ("FAILED", kind, body["message"])
    assert (seconds - 0.1 if kind == LATE else 0) < found["durationMs"] / 1000 < seconds + 1
    said = who.messages()[before:]
    assert [(one["role"], one["status"]) for one in said] == [("user", "complete"), ("assistant", "failed")]
    assert said[0] == data["userMessage"]
    assert said[0]["content"] == QUESTION
    return body


def answered_again(who: Line) -> None:
    response = who.send("And now?")
    assert response.status_code == 201, response.text
    assert (cast("Body", response.json)["data"]["status"], who.newest()["status"]) == ("COMPLETED", "COMPLETED")


def test_there_are_enough_ways() -> None:
    assert len(FAULTS) + 9 >= 20


def one_fault(app: Flask, name: str) -> str:
    """Nothing, or what was wrong."""
    script, status, kind, words = FAULTS[name]
    with running() as upstream:
        upstream.script = script
        who = line(app, f"{upstream.url}/webhook/chat?key=hidden-query")
        try:
            body = failed(who, status, kind, words)
            assert "hidden-query" not in str(body)
            assert len(upstream.requests) == 1  # a flow may have acted: it is never asked again
            upstream.script = FINE
            answered_again(who)
        except AssertionError as wrong:
            return f"{name}: {wrong}"
    return ""


def test_each_fault_has_its_end_and_the_next_message_its_answer(product: Flask) -> None:
    with ThreadPoolExecutor(4) as pool:
        wrong = [found for found in pool.map(lambda name: one_fault(product, name), FAULTS) if found]
    assert wrong == []
    assert rows.breaches(product) == []


def test_where_nobody_is(product: Flask, upstream: Upstream, certificate: Path) -> None:  # noqa: F811
    upstream.script = FINE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ExitStack() as held:
        ways = (
            (f"http://127.0.0.1:{free_port()}/", 502, GONE, "connection refused"),
            ("http://n8n.invalid/webhook", 502, GONE, "its name is not known"),
            (f"https://127.0.0.1:{held.enter_context(plain_talker())}/", 502, GONE, "no secure connection could be made"),
            (held.enter_context(running(context)).url, 502, GONE, "its certificate is not trusted"),
            ("http://10.0.0.1/", 502, GONE, "is a private address, which is not allowed"),
            (f"http://127.0.0.1:{held.enter_context(deaf())}/", 504, LATE, "it could not be reached"),
        )
        for url, status, kind, words in ways:
            who = line(product, url)
            failed(who, status, kind, words)
            who.change(webhookUrl=upstream.url)
            answered_again(who)


def test_an_answer_with_what_no_text_holds_is_kept_without_it(product: Flask, upstream: Upstream) -> None:
    who = line(product, upstream.url)
    for body in (b'{"output": "Fe\\u0000rns"}', b"Fe\x00rns", b'{"output": "Fe\xffrns"}', b"Fe\xe9rns", b'{"output": "Fe\\ud800rns"}'):
        upstream.script = answers(body, content_type="text/plain")
        response = who.send()
        assert response.status_code == 201, response.text
        assert cast("Body", response.json)["data"]["reply"]["content"] == "Fe\ufffdrns"
        assert who.messages()[-1]["content"] == "Fe\ufffdrns"
    upstream.script = FINE
    answered_again(who)


def meanwhile(who: Line, upstream: Upstream, do: Callable[[str], Any]) -> tuple[int, Body]:
    """What a send is told that waits for its answer while something else happens to its exchange."""
    told: list[Any] = []
    asked = len(upstream.requests)
    sender = threading.Thread(target=lambda: told.append(who.send()))
    sender.start()
    until = time.monotonic() + 30
    while len(upstream.requests) == asked:
        assert time.monotonic() < until
        time.sleep(0.01)
    do(who.newest()["sessionId"])
    sender.join(30)
    return told[0].status_code, cast("Body", told[0].json)


@pytest.mark.parametrize("way", ["cancel", "cleanup"])
def test_an_answer_after_the_end_changes_nothing(product: Flask, upstream: Upstream, way: str) -> None:
    go_on = threading.Event()

    def script(caller: Caller) -> None:
        go_on.wait(5)
        FINE(caller)

    def end(session_id: str) -> None:
        if way == "cancel":
            assert cancel(who.who, session_id).status_code == 200
        else:
            assert who.admin.post("/api/chat-sessions/cleanup", {"maxAgeHours": 0.000001}).json["data"] == {"timedOut": 1}  # type: ignore[index]
        go_on.set()

    upstream.script = script
    who = line(product, upstream.url, timeoutMs=8000)
    status, body = meanwhile(who, upstream, end)
    final, kind = ("CANCELLED", None) if way == "cancel" else ("TIMEOUT", "cleanup")
    assert (status, body["success"], body["data"]["status"], body["data"]["reply"]) == (409 if way == "cancel" else 504, False, final, None)
    found = who.session(body["data"]["sessionId"])
    assert (found["status"], found["errorKind"]) == (final, kind)
    assert found["endedAt"]
    assert found["errorMessage"] == (None if way == "cancel" else body["message"])
    said = who.messages()
    assert [(one["role"], one["content"]) for one in said] == [("user", QUESTION), ("assistant", "")]
    assert said[1]["status"] == ("cancelled" if way == "cancel" else "failed")
    answered_again(who)
    assert who.session(found["sessionId"]) == found


@pytest.mark.parametrize("way", ["cancel", "cleanup"])
def test_where_no_messages_are_kept_an_answer_after_the_end_changes_nothing_either(make_app: Callable[..., Flask], upstream: Upstream, way: str) -> None:
    go_on = threading.Event()

    def script(caller: Caller) -> None:
        go_on.wait(5)
        FINE(caller)

    def end(session_id: str) -> None:
        if way == "cancel":
            assert cancel(who.who, session_id).status_code == 200
        else:
            assert who.admin.post("/api/chat-sessions/cleanup", {"maxAgeHours": 0.000001}).status_code == 200
        go_on.set()

    upstream.script = script
    who = line(make_app(**LOOPBACK, CHAT_ENABLE_MESSAGE_HISTORY="false"), upstream.url, timeoutMs=8000)
    status, body = meanwhile(who, upstream, end)
    final = "CANCELLED" if way == "cancel" else "TIMEOUT"
    assert (status, body["data"]["status"], body["data"]["reply"]) == (409 if way == "cancel" else 504, final, None)
    assert who.newest()["status"] == final
    upstream.script = answers("", 500)
    assert who.send().status_code == 502
    assert (who.newest()["status"], who.newest()["errorKind"]) == ("FAILED", STATUS)
    upstream.script = FINE
    assert who.send().status_code == 201
    assert (who.newest()["status"], who.newest()["messagesCount"]) == ("COMPLETED", 0)


@pytest.mark.parametrize("way", ["twice", "cancel", "cleanup"])
def test_a_callback_counts_once_and_not_after_the_end(product: Flask, upstream: Upstream, way: str) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    response = who.send()
    assert response.status_code == 202, response.text
    session_id = cast("Body", response.json)["data"]["sessionId"]
    if way == "twice":
        assert who.callback(session_id).status_code == 200
        assert who.session(session_id)["status"] == "COMPLETED"
    elif way == "cancel":
        assert cancel(who.who, session_id).status_code == 200
    else:
        assert who.admin.post("/api/chat-sessions/cleanup", {"maxAgeHours": 0.000001}).status_code == 200
    before = who.session(session_id), who.messages()
    assert before[0]["status"] == {"twice": "COMPLETED", "cancel": "CANCELLED", "cleanup": "TIMEOUT"}[way]
    assert before[1][-1]["status"] == {"twice": "complete", "cancel": "cancelled", "cleanup": "failed"}[way]
    for output in ("Ferns", "Mosses"):
        late = who.callback(session_id, output)
        assert (late.status_code, cast("Body", late.json)["success"]) == (409, False)
    assert (who.session(session_id), who.messages()) == before
    upstream.script = FINE
    answered_again(who)


def test_an_answer_and_a_callback_for_the_same_question(product: Flask, upstream: Upstream) -> None:
    who = line(product, upstream.url, answers="callback")

    def script(caller: Caller) -> None:
        assert who.callback(caller.body["sessionId"], "By callback").status_code == 200
        FINE(caller)

    upstream.script = script
    response = who.send()
    assert response.status_code == 201, response.text
    assert cast("Body", response.json)["data"]["reply"]["content"] == "By callback"
    assert who.messages()[-1]["content"] == "By callback"
    assert who.callback(cast("Body", response.json)["data"]["sessionId"]).status_code == 409
