"""A webhook that misbehaves: the right kind of failure in words for people, in time, within bounds. Run again under gevent."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable

import pytest

from chatsvc.responders.addresses import rule
from chatsvc.responders.base import Question, ResponderError, Stop, Stopped, Turn
from chatsvc.responders.http import Client
from chatsvc.responders.net import Wires
from chatsvc.responders.webhook import Webhook
from tests.responders.conftest import asked
from tests.responders.memory import growth
from tests.responders.standins import Connector, Resolver
from tests.responders.upstream import Caller, Script, Upstream, deaf, flow, plain_talker, running, stall
from tests.stopwatch import Stopwatch

Make = Callable[..., Webhook]

JSON = "application/json; charset=utf-8"
MEGABYTE = 1024 * 1024
SECRET = "whsec-Tz4kQ9vYb2mXw7LrN1"
BEGIN = b'{"type":"begin","metadata":{}}\n'
ITEM = b'{"type":"item","content":"Hi","metadata":{}}\n'
END = b'{"type":"end","metadata":{}}\n'


def answers(body: bytes | str, status: int = 200, content_type: str = JSON, **headers: str) -> Script:
    return lambda caller: caller.answer(body if isinstance(body, bytes) else body.encode(), status, content_type, **headers)


def sends(*pieces: bytes, then: Script = lambda caller: None, **headers: str) -> Script:
    def script(caller: Caller) -> None:
        caller.head(200, JSON, **headers)
        for piece in pieces:
            caller.send(piece)
        then(caller)
        caller.sock.close()

    return script


def drips(piece: bytes, seconds: float) -> Script:
    def script(caller: Caller) -> None:
        while not caller.wait_for_hang_up(seconds):
            caller.send(piece)

    return script


BAD, STATUS, GONE = "bad_response", "bad_status", "unreachable"

# What the server does, the kind of failure, what had been told by then, and words of the message.
BROKEN: list[tuple[str, Script, str, str, str]] = [
    ("500", answers('{"message":"Error in workflow"}', 500), STATUS, "", "has a fault (500)"),
    ("404 of a flow that is not active", answers('{"code":404,"message":"not registered"}', 404), STATUS, "", "(404)"),
    ("403", answers("", 403), STATUS, "", "(403)"),
    ("429", answers("", 429, Retry_After="7"), STATUS, "", "is busy (429)"),
    ("502 as a web page", answers("<html>Bad Gateway", 502, "text/html"), STATUS, "", "(502)"),
    ("418", answers("", 418), STATUS, "", "(418)"),
    ("301 to a private address", answers("", 301, Location="http://10.0.0.1/"), STATUS, "", "redirect, which is not followed (301)"),
    ("307 to itself", answers("", 307, Location="/webhook/chat"), STATUS, "", "redirect, which is not followed (307)"),
    ("304", answers("", 304), STATUS, "", "(304)"),
    ("200 with a web page", answers("<!DOCTYPE html><html>Welcome", content_type="text/html"), BAD, "", "web page"),
    ("a web page called JSON", answers('\n<html lang="en">'), BAD, "", "web page"),
    ("a web page after comments", answers("<?xml version='1.0'?>\n<!-- a --><!-- b -->\n<HTML>", content_type="text/plain"), BAD, "", "web page"),
    ("a web page without its frame", answers("<title>Sign in</title><form>", content_type="text/html"), BAD, "", "web page"),
    ("empty", answers(""), BAD, "", "empty answer"),
    ("blank", answers(" \r\n\t"), BAD, "", "empty answer"),
    ("no content", lambda caller: caller.head(204), BAD, "", "empty answer"),
    ("a gzip bomb", answers(gzip.compress(b" " * 50 * MEGABYTE), Content_Encoding="gzip"), BAD, "", "compressed"),
    ("deep lists", answers("[" * 200_000), BAD, "", "too large or too deep"),
    ("deep objects", answers('{"output":' * 100_000), BAD, "", "too large or too deep"),
    ("deep under text", answers("[" * 200_000, content_type="text/plain"), BAD, "", "too large or too deep"),
    ("many parts", answers('{"output": [' + "[]," * 300_000 + "1]}"), BAD, "", "too large or too deep"),
    ("a number of many digits", answers('{"output": ' + "9" * 10_000 + "}"), BAD, "", "too large or too deep"),
    ("a list of none", answers("[]"), BAD, "", "a list of no answers"),
    ("a list of two", answers('[{"output":"a"},{"output":"b"}]'), BAD, "", "a list of 2 answers"),
    ("a list of a list", answers('[[{"output":"a"}]]'), BAD, "", "is no answer"),
    ("a list of a word", answers('["a"]'), BAD, "", "is no answer"),
    ("no known name", answers('{"result":"a"}'), BAD, "", "no text under output, reply, response, text, content or message"),
    ("an empty object", answers("{}"), BAD, "", "no text under"),
    ("a number for a text", answers('{"output":42}'), BAD, "", "no text under"),
    ("a list for a text", answers('{"output":["a"]}'), BAD, "", "no text under"),
    ("an object for a text", answers('{"output":{"text":"a"}}'), BAD, "", "no text under"),
    ("null for a text", answers('{"output":null}'), BAD, "", "no text under"),
    ("NaN for a text", answers('{"output":NaN}'), BAD, "", "no text under"),
    ("a blank text", answers('{"output":" \\n"}'), BAD, "", "no text under"),
    ("null", answers("null"), BAD, "", "is no answer"),
    ("true", answers("true"), BAD, "", "is no answer"),
    ("an empty string", answers('""'), BAD, "", "empty answer"),
    ("JSON cut off", answers('{"output":"Hi'), BAD, "", "JSON that is broken"),
    ("n8n's acknowledgement", answers('{"message":"Workflow was started"}'), BAD, "", "gave no answer: let the flow answer"),
    ("202", answers('{"output":"Hi"}', 202), BAD, "", "gave no answer: let the flow answer"),
    ("a streamed error with text", sends(BEGIN, ITEM, b'{"type":"error","content":"No credit"}\n'), BAD, "Hi", "error of its flow; the log has its words"),
    ("a streamed error without text", sends(BEGIN, b'{"type":"error"}\n'), BAD, "", "error of its flow, without saying which"),
    ("a streamed error of another type", sends(b'{"type":"error","content":{"a":1}}'), BAD, "", "error of its flow, without saying which"),
    ("streamed without end", sends(BEGIN, ITEM), BAD, "Hi", "broke off"),
    ("streamed, its last part without end", sends(BEGIN, ITEM, END, BEGIN), BAD, "Hi", "broke off"),
    ("streamed, cut within a line", sends(BEGIN, ITEM, END[:-9]), BAD, "Hi", "cannot be understood"),
    ("streamed, one of two parts without end", sends(BEGIN, BEGIN, ITEM, END), BAD, "Hi", "broke off"),
    ("streamed nothing", sends(BEGIN, END), BAD, "", "empty answer"),
    ("streamed blanks", sends(BEGIN, ITEM.replace(b"Hi", b" "), END), BAD, " ", "empty answer"),
    ("streamed, then no JSON", sends(BEGIN, ITEM, b"oops\n", END), BAD, "Hi", "cannot be understood"),
    ("streamed, then a list", sends(BEGIN, ITEM, b"[1]\n", END), BAD, "Hi", "cannot be understood"),
    ("streamed, a number for a text", sends(BEGIN, b'{"type":"item","content":7}\n', END), BAD, "", "is no answer"),
    ("streamed deep", sends(BEGIN, b"[" * 200_000 + b"\n", END), BAD, "", "cannot be understood"),
    ("reset in the body", sends(BEGIN, ITEM, then=Caller.reset), BAD, "Hi", "broke off"),
    (
        "fewer bytes than promised",
        sends(b"{", Content_Length="99"),
        BAD,
        "",
        "broke off",
    ),
    ("chunks that are none", sends(b"zz\r\n", Transfer_Encoding="chunked"), BAD, "", "broke off"),
    ("two lengths", sends(b"hello!", Content_Length="5", content_length="6"), BAD, "", "not HTTP"),
    ("no HTTP", lambda caller: caller.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), BAD, "", "not HTTP"),
    ("a head without end", lambda caller: caller.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000), BAD, "", "not HTTP"),
    ("reset at once", Caller.reset, GONE, "", "closed the connection without an answer"),
    ("closed at once", lambda caller: caller.sock.close(), GONE, "", "closed the connection without an answer"),
]


def test_there_are_enough_ways() -> None:
    assert len(BROKEN) >= 22


@pytest.mark.parametrize(("script", "kind", "text", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_answer(upstream: Upstream, webhook: Make, script: Script, kind: str, text: str, words: str) -> None:
    upstream.script = script
    with growth() as grown:
        told = asked(webhook(secret=SECRET))
    assert told.error
    assert (told.kind, told.text) == (kind, text)
    assert words in told.error.message
    assert told.error.message.startswith("The webhook ")
    assert told.error.message.endswith(".")
    assert len(told.error.message) < 255
    assert told.own_seconds < 2
    assert len(upstream.requests) == 1  # a webhook may have acted: it is never asked again
    assert grown.megabytes < 48
    upstream.script = answers('{"output":"Fine"}')
    assert asked(webhook()).text == "Fine"


@pytest.mark.parametrize(
    ("script", "text", "words"),
    [
        (stall, "", "it did not begin to answer"),
        (drips(b"H", 0.1), "", "it did not begin to answer"),
        (sends(then=stall), "", "it did not begin to answer"),
        (sends(b'{"output"', then=stall), "", "it did not finish its answer"),
        (sends(BEGIN, ITEM, then=stall), "Hi", "it did not finish its answer"),
        (sends(BEGIN, ITEM, then=drips(b" ", 0.1)), "Hi", "it did not finish its answer"),
        (sends(then=drips(b"x", 0.1)), "", "it did not finish its answer"),
        (sends(BEGIN, then=drips(ITEM, 0.2)), "HiHi", "it did not finish its answer"),
    ],
    ids=["silent", "dripping head", "after the head", "in a document", "in a stream", "dripping stream", "dripping text", "items without end"],
)
def test_a_slow_answer_ends_at_the_deadline(upstream: Upstream, webhook: Make, script: Script, text: str, words: str) -> None:
    upstream.script = script
    told = asked(webhook(timeout=1))
    assert told.error
    assert told.kind == "timeout"
    assert told.text.startswith(text) if text else not told.text
    assert told.error.message == f"Webhook timeout after 1 second: {words}."
    assert told.seconds > 0.9
    assert told.own_seconds < 2
    assert upstream.hung_up.wait(20)  # and the other side is told


def test_a_byte_a_second_keeps_nobody_beyond_the_deadline(upstream: Upstream, webhook: Make) -> None:
    upstream.script = sends(then=drips(b"x", 1))
    told = asked(webhook(timeout=3))
    assert told.error
    assert (told.kind, told.error.message) == ("timeout", "Webhook timeout after 3 seconds: it did not finish its answer.")
    assert told.seconds > 2.9
    assert told.own_seconds < 4


def test_a_host_that_neither_refuses_nor_accepts(webhook: Make) -> None:
    with deaf() as port:
        told = asked(webhook(url=f"http://127.0.0.1:{port}/", timeout=0.5))
    assert told.error
    assert (told.kind, told.error.message) == ("timeout", "Webhook timeout after 0.5 seconds: it could not be reached.")
    assert told.own_seconds < 1.5


def test_a_stream_that_has_ended_is_whole_whatever_follows(upstream: Upstream, webhook: Make) -> None:
    for then in (Caller.reset, stall):
        upstream.script = sends(flow("Hel", "lo"), then=then)
        told = asked(webhook(timeout=1))
        assert (told.text, told.error) == ("Hello", None)
        assert told.own_seconds < 2


def test_a_refused_connection(webhook: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = asked(webhook(url=f"http://127.0.0.1:{port}/?key=hidden"))
    assert told.error
    assert (told.kind, told.error.message) == ("unreachable", "The webhook could not be reached: connection refused.")
    assert told.own_seconds < 1


def test_a_name_that_is_not_known() -> None:
    client = Client(wires=Wires(rule(), Resolver(), Connector()))
    told = asked(Webhook(url="http://n8n.example/", client=client))
    assert told.error
    assert (told.kind, told.error.message) == ("unreachable", "The webhook could not be reached: its name is not known.")


def test_a_resolver_that_does_not_answer() -> None:
    waiting = threading.Event()

    def silent(host: str, port: int) -> list[tuple[object, ...]]:
        waiting.wait(5)
        return []

    told = asked(Webhook(url="http://n8n.example/", client=Client(wires=Wires(rule(), silent, Connector())), timeout=0.5))
    waiting.set()
    assert told.error
    assert (told.kind, told.error.message) == ("timeout", "Webhook timeout after 0.5 seconds: it could not be reached.")
    assert told.own_seconds < 1.5


def test_no_tls(webhook: Make) -> None:
    with plain_talker() as port:
        told = asked(webhook(url=f"https://127.0.0.1:{port}/"))
    assert told.error
    assert (told.kind, told.error.message) == ("unreachable", "The webhook could not be reached: no secure connection could be made.")


def test_tls_that_nobody_vouches_for(webhook: Make, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as secure:
        told = asked(webhook(url=f"{secure.url}/"))
        assert secure.requests == []
    assert told.error
    assert (told.kind, told.error.message) == ("unreachable", "The webhook could not be reached: its certificate is not trusted.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_followed_to_where_it_redirects(upstream: Upstream, webhook: Make, status: int) -> None:
    with running() as canary:
        upstream.script = answers("", status, Location=f"{canary.url}/")
        told = asked(webhook())
        assert told.kind == "bad_status"
        assert canary.callers == []


@pytest.mark.parametrize("what", ["text", "document", "lines", "items", "padded items", "blank lines", "blank items", "one line"])
def test_an_endless_answer_is_cut_and_costs_no_memory(upstream: Upstream, webhook: Make, what: str) -> None:
    flood = {
        "text": b"x" * MEGABYTE,
        "document": b'{"output":"' + b"y" * MEGABYTE,
        "lines": b'{"type":"begin"}\n' * 10_000,
        "items": ITEM * 10_000,
        "padded items": ITEM.replace(b"{}", b'{"node":"%s"}' % (b"n" * 200)) * 5_000,
        "blank lines": b"\n" * MEGABYTE,
        "blank items": ITEM + b"\n" * MEGABYTE,
        "one line": b'{"type":"item","content":"' + b"z" * MEGABYTE,
    }[what]

    def script(caller: Caller) -> None:
        caller.head(content_type=JSON, Content_Length=str(5 * 1024**3))
        for _ in range(5 * 1024):
            caller.send(flood)

    upstream.script = script
    with growth() as grown:
        told = asked(webhook(timeout=60))
    assert told.error
    most = {"lines": "100000 lines", "items": "100000 lines", "blank items": "100000 lines", "padded items": "8388608 bytes"}.get(what, "1048576 bytes")
    assert (told.kind, told.error.message) == ("bad_response", f"The webhook sent more than {most}.")
    assert len(told.text) <= MEGABYTE
    assert grown.megabytes < 64


def test_the_longest_answer_there_may_be(upstream: Upstream, webhook: Make) -> None:
    words = "x" * (MEGABYTE - len('{"output":""}'))
    upstream.script = answers(json.dumps({"output": words}, separators=(",", ":")))
    assert asked(webhook()).text == words
    upstream.script = answers(json.dumps({"output": words + "x"}, separators=(",", ":")))
    assert asked(webhook()).kind == "bad_response"
    upstream.script = answers("x" * 100)
    assert asked(webhook(max_bytes=100)).text == "x" * 100
    assert asked(webhook(max_bytes=99)).kind == "bad_response"


def test_a_long_stream_is_measured_by_what_it_says(upstream: Upstream, webhook: Make) -> None:
    upstream.script = answers(flow(*["word "] * 20_000))
    assert len(flow(*["word "] * 20_000)) > 3 * MEGABYTE
    assert asked(webhook()).text == "word " * 20_000
    upstream.script = answers(flow(*["w" * 1000] * 1050))
    told = asked(webhook())
    assert told.error
    assert (told.kind, told.error.message) == ("bad_response", "The webhook sent more than 1048576 bytes.")
    assert len(told.text) == 1048 * 1000


@pytest.mark.parametrize(
    "body", [b"<!--" * 250_000, b"<!-- -->" * 120_000 + b"x", b"<?" * 500_000, b" " * 1_000_000 + b"<x", b"[" + b" " * 1_000_000, b'{"a":1,' * 100_000]
)
def test_no_answer_takes_long_to_judge(upstream: Upstream, webhook: Make, body: bytes) -> None:
    upstream.script = answers(body, content_type="text/html")
    assert asked(webhook(timeout=4)).kind != "timeout"


@pytest.mark.parametrize("script", [stall, sends(BEGIN, ITEM, then=stall), sends(BEGIN, ITEM, then=drips(b" ", 0.05)), sends(b"text", then=stall)])
def test_it_stops_when_the_answer_is_no_longer_wanted(upstream: Upstream, webhook: Make, script: Script) -> None:
    upstream.script = script
    wanted = threading.Event()
    threading.Timer(0.4, wanted.set).start()
    watch = Stopwatch()
    with pytest.raises(Stopped):
        list(webhook().reply(Question([Turn("user", "?")]), Stop(asked=wanted.is_set)))
    assert watch.own_seconds < 1.4
    assert upstream.hung_up.wait(20)


@pytest.mark.parametrize(
    "script",
    [
        answers(f'{{"message":"bad secret {SECRET}, see https://h/?key=hidden-query"}}', 500),
        sends(BEGIN, f'{{"type":"error","content":"bad secret {SECRET} at hidden-query"}}\n'.encode()),
        answers(f'{{"nothing":"{SECRET} hidden-query"}}'),
        answers(f'{{"broken":"{SECRET} hidden-query'),
    ],
)
def test_no_secret_gets_out(upstream: Upstream, webhook: Make, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.script = script
    told = asked(webhook(secret=SECRET, url=f"{upstream.url}/webhook/a-path-that-is-a-secret?key=hidden-query"))
    assert isinstance(told.error, ResponderError)
    seen = told.error.message + repr(vars(told.error)) + caplog.text
    for secret in (SECRET, SECRET[6:14], "hidden-query", "a-path-that-is-a-secret", "Traceback"):
        assert secret not in seen
    assert str(upstream.port) not in told.error.message


def test_what_a_flow_says_of_its_error_is_in_the_log(upstream: Upstream, webhook: Make, caplog: pytest.LogCaptureFixture) -> None:
    upstream.script = sends(BEGIN, b'{"type":"error","content":"The model has\\nno credit left"}\n')
    assert asked(webhook()).kind == "bad_response"
    assert "The model has no credit left" in caplog.text
