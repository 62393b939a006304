"""An upstream that is broken, hostile or gone: the right kind of error, nothing lost. Run again under gevent."""

from __future__ import annotations

import gzip
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable

import pytest

from chatsvc.responders.base import Question, ResponderError, Stop, Turn
from chatsvc.responders.http import Client
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import KEY, asked
from tests.responders.memory import growth
from tests.responders.upstream import (
    DONE,
    Caller,
    Script,
    Upstream,
    chunk,
    completion,
    document,
    event,
    in_pieces,
    plain_talker,
    running,
)

Make = Callable[..., OpenAI]

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        (in_pieces(chunk("Hi"), chunk("there")[:-20]), "bad_response", "Hi"),
        (in_pieces(chunk("Hi")), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), then=Caller.reset), "bad_response", "Hi"),
        (in_pieces(), "bad_response", ""),
        (in_pieces(chunk("Hi"), b"data: {]\n\n"), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), event([1, 2])), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), event({"error": {"message": "overloaded"}}), DONE), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), event({"error": "overloaded"}), DONE), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), event({"message": "overloaded"}, "error"), DONE), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), b"data: " + b"[" * 200_000 + b"\n\n"), "bad_response", "Hi"),
        (in_pieces(chunk("Hi"), b'data: {"a":' + b"9" * 10_000 + b"}\n\n"), "bad_response", "Hi"),
        (in_pieces(DONE), "bad_response", ""),
        (in_pieces(chunk(finish="content_filter"), DONE), "bad_response", ""),
        (in_pieces(b"\x00\xff\xfe garbage \n\n" * 100), "bad_response", ""),
        (lambda caller: caller.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad_response", ""),
        (lambda caller: caller.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000), "bad_response", ""),
        (lambda caller: caller.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "bad_response", ""),
        (Caller.reset, "unreachable", ""),
        (lambda caller: caller.sock.close(), "unreachable", ""),
        (lambda caller: caller.answer(b"", status=200), "bad_response", ""),
        (lambda caller: caller.answer(b"<!doctype html><p>Welcome", content_type="text/html"), "bad_response", ""),
        (lambda caller: caller.answer(b"\n <html>", content_type="text/event-stream"), "bad_response", ""),
        (lambda caller: caller.answer(b'{"choices": 1}'), "bad_response", ""),
        (lambda caller: caller.answer(b'{"choices": []}'), "bad_response", ""),
        (lambda caller: caller.answer(b'{"error": {"message": "no"}}'), "bad_response", ""),
        (lambda caller: caller.answer(b'{"choices": [' + b"[]," * 300_000 + b"1]}"), "bad_response", ""),
        (lambda caller: caller.answer(document("Hi")[:-1]), "bad_response", ""),
        (lambda caller: (caller.head(Content_Length="999999"), caller.send(chunk("Hi")), caller.sock.close()), "bad_response", "Hi"),
        (lambda caller: (caller.head(Content_Length="5"), caller.send(chunk("Hi"))), "bad_response", ""),
        (lambda caller: (caller.head(Content_Length="5", content_length="6"), caller.send(chunk("Hi"))), "bad_response", ""),
        (lambda caller: (caller.head(Transfer_Encoding="chunked"), caller.send(b"zz\r\n")), "bad_response", ""),
        (lambda caller: caller.answer(gzip.compress(completion("Hi")), content_type="text/event-stream", Content_Encoding="gzip"), "bad_response", ""),
        (lambda caller: caller.answer(b"", status=500), "bad_status", ""),
        (lambda caller: caller.answer(b"{}", status=401), "bad_status", ""),
        (lambda caller: caller.answer(b"<html>", status=404), "bad_status", ""),
        (lambda caller: caller.answer(b"", status=302, Location="http://127.0.0.1:1/"), "bad_status", ""),
    ],
)
def test_a_broken_answer_has_its_kind_and_keeps_what_came(upstream: Upstream, openai: Make, script: Script, kind: str, text: str) -> None:
    upstream.script = script
    told = asked(openai())
    assert (told.kind, told.text) == (kind, text)
    assert told.own_seconds < 2
    assert told.error
    assert told.error.message.endswith(".")
    assert str(upstream.port) not in told.error.message


def test_nothing_is_followed_to_where_it_redirects(upstream: Upstream, openai: Make) -> None:
    with running() as canary:
        for status in (301, 302, 303, 307, 308):
            upstream.script = lambda caller, status=status: caller.answer(b"", status=status, Location=f"{canary.url}/")  # type: ignore[misc]
            told = asked(openai())
            assert told.kind == "bad_status"
            assert told.error
            assert "redirect" in told.error.message
        assert canary.callers == []


def test_a_refused_connection(openai: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = asked(openai(base_url=f"http://127.0.0.1:{port}"))
    assert told.kind == "unreachable"
    assert told.error
    assert told.error.message == "The model could not be reached: connection refused."


def test_an_unknown_name(openai: Make) -> None:
    told = asked(openai(base_url="http://no-such-host.invalid"))
    assert told.kind == "unreachable"
    assert told.error
    assert "not known" in told.error.message


def test_a_plain_answer_to_a_tls_greeting(client: Client) -> None:
    with plain_talker() as port:
        told = asked(OpenAI(base_url=f"https://127.0.0.1:{port}", model="parrot", client=client))
    assert told.kind == "unreachable"
    assert told.error
    assert told.error.message == "The model could not be reached: no secure connection could be made."


# Again


@pytest.mark.parametrize(
    ("status", "header"), [(429, "0"), (500, "Thu, 01 Jan 1970 00:00:00 GMT"), (502, "soon"), (503, "-1"), (504, "Thu, 99 Jan 0000 00:00:00 GMT")]
)
def test_a_busy_server_is_asked_again(upstream: Upstream, openai: Make, status: int, header: str) -> None:
    def script(caller: Caller) -> None:
        if len(upstream.requests) < 3:
            caller.answer(b"{}", status=status, Retry_After=header)
        else:
            caller.stream(completion("At last"))

    upstream.script = script
    assert asked(openai()).text == "At last"
    assert len(upstream.requests) == 3
    assert len(upstream.callers) == 1


def test_retry_after_is_honoured_within_reason(upstream: Upstream, openai: Make) -> None:
    def script(caller: Caller) -> None:
        if len(upstream.requests) < 2:
            caller.answer(b"{}", status=429, Retry_After="1")
        else:
            caller.stream(completion("At last"))

    upstream.script = script
    told = asked(openai())
    assert told.text == "At last"
    assert told.seconds >= 1
    assert told.own_seconds < 3
    for header, limits in (("60", {"timeout": 300}), ("2", {"timeout": 1})):
        upstream.requests.clear()
        upstream.script = lambda caller, header=header: caller.answer(b"{}", status=429, Retry_After=header)  # type: ignore[misc]
        told = asked(openai(**limits))
        assert (told.kind, len(upstream.requests)) == ("bad_status", 1)
        assert told.error
        assert told.error.retry_after == float(header)
        assert told.own_seconds < 1


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (404, 1), (418, 1), (500, 3)])
def test_how_often_it_is_asked(upstream: Upstream, openai: Make, status: int, tries: int) -> None:
    upstream.script = lambda caller: caller.answer(b"{}", status=status)
    assert asked(openai()).kind == "bad_status"
    assert len(upstream.requests) == tries


def test_what_was_said_is_never_said_twice(upstream: Upstream, openai: Make) -> None:
    upstream.script = in_pieces(chunk("Hi"))
    asked(openai())
    assert len(upstream.requests) == 1


def test_a_connection_that_went_stale_costs_no_answer(upstream: Upstream, openai: Make) -> None:
    """The server closes a kept connection at the very moment when it is used again."""

    def script(caller: Caller) -> None:
        if caller.number == 0 and len(upstream.requests) > 1:
            caller.reset()
        else:
            caller.stream(completion("Yes"))

    upstream.script = script
    assert asked(openai()).text == "Yes"
    assert asked(openai()).text == "Yes"
    assert len(upstream.callers) == 2


def test_a_connection_closed_while_idle_is_not_used(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    assert asked(openai()).text == "Yes"
    upstream.callers[0].sock.shutdown(socket.SHUT_RDWR)
    time.sleep(0.05)
    assert asked(openai()).text == "Yes"
    assert len(upstream.requests) == 2


# Hostile


@pytest.mark.parametrize("what", ["body", "line", "lines", "deltas"])
def test_an_endless_answer_is_cut_and_costs_no_memory(upstream: Upstream, openai: Make, what: str) -> None:
    flood = {"body": b"\n" * MEGABYTE, "line": b"x" * MEGABYTE, "lines": (b"data: " + b"y" * 1000 + b"\n") * 1000, "deltas": chunk("z" * 10_000) * 100}[what]

    def script(caller: Caller) -> None:
        caller.head(Content_Length=str(5 * 1024**3))
        caller.send(chunk("Hi") + (b"data: " if what == "line" else b""))
        for _ in range(5 * 1024):
            caller.send(flood)

    upstream.script = script
    answer = openai(timeout=20).reply(Question([Turn("user", "Hello?")]), Stop())
    assert next(answer) == "Hi"
    with growth() as grown, pytest.raises(ResponderError, match=r"more than") as caught:
        deque(answer, maxlen=0)
    assert caught.value.kind == "bad_response"
    assert grown.megabytes < 64, grown


def test_a_bomb_is_not_unpacked(upstream: Upstream, openai: Make) -> None:
    bomb = gzip.compress(b" " * 50 * MEGABYTE)
    for encoding in ("gzip", "br", "deflate", "zstd", "gzip, gzip", "GZIP"):
        upstream.script = lambda caller, encoding=encoding: caller.answer(bomb, Content_Encoding=encoding)  # type: ignore[misc]
        with growth() as grown:
            told = asked(openai())
        assert told.kind == "bad_response"
        assert told.error
        assert "compressed" in told.error.message
        assert grown.megabytes < 16


@pytest.mark.parametrize(
    "words",
    [
        f"Incorrect API key provided: {KEY}. See https://h/?key={KEY}",
        f"Incorrect API key provided: {KEY[:9]}...{KEY[-7:]}",
        f"Bearer {KEY}",
        "Authorization=" + "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        f"sk-another-{KEY[::-1]} is wrong; me:pa55word@h; version=secret-query",
    ],
)
def test_no_key_gets_out(upstream: Upstream, openai: Make, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    raw = words if "\\u" in words else words.replace('"', "'")
    body = b'{"error": {"message": "' + raw.encode() + b'", "type": "invalid_request_error"}}'
    address_with_secrets = f"http://me:pa55word@127.0.0.1:{upstream.port}/v1?version=secret-query"
    scripts: list[Script] = [
        lambda caller: caller.answer(body, status=401),
        lambda caller: caller.answer(raw.encode(), status=400, content_type="text/plain"),
        lambda caller: caller.answer(body),
        lambda caller: caller.answer(event({"error": {"message": words}}), content_type="text/event-stream"),
    ]
    for script in scripts:
        upstream.script = lambda caller, script=script: script(caller)  # type: ignore[misc]
        told = asked(openai(base_url=address_with_secrets))
        assert told.error
        seen = "".join(traceback.format_exception(told.error)) + repr(told.error) + repr(vars(told.error)) + caplog.text
        for secret in (KEY, KEY[:9], KEY[-7:], KEY[5:15], KEY[::-1], "pa55word", "secret-query"):
            assert secret not in seen


def test_what_the_server_says_is_for_the_log_only(upstream: Upstream, openai: Make, caplog: pytest.LogCaptureFixture) -> None:
    upstream.script = lambda caller: caller.answer(b'{"error": {"message": "no such\\nmodel:\\u001b[31m parrot"}}', status=404)
    told = asked(openai())
    assert told.error
    assert told.error.message == "The model does not exist at the configured address (404)."
    assert "no such model: [31m parrot" in caplog.text
