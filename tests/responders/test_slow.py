"""An upstream that is slow, and a person who no longer waits: everything ends in time. Run again under gevent."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable

import pytest

from chatsvc.responders import model
from chatsvc.responders.base import Question, ResponderError, Stop, Stopped, Turn
from chatsvc.responders.http import Call, Client, Limits, address
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import Told, asked
from tests.responders.upstream import (
    DONE,
    Caller,
    Script,
    Upstream,
    chunk,
    deaf,
    drip,
    in_pieces,
    stall,
)
from tests.stopwatch import Stopwatch

Make = Callable[..., OpenAI]

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("script", "limits", "text", "words"),
    [
        (stall, {"first_byte_timeout": 0.2}, "", "did not begin to answer within 0.2 s"),
        (in_pieces(then=stall), {"first_byte_timeout": 0.2}, "", "did not begin to answer within 0.2 s"),
        (in_pieces(chunk("Hi"), then=stall), {"idle_timeout": 0.2}, "Hi", "nothing came for 0.2 s"),
        (in_pieces(chunk("Hi"), chunk("Ho")[:20], then=stall), {"idle_timeout": 0.2}, "Hi", "nothing came for 0.2 s"),
        (in_pieces(chunk("Hi"), then=drip), {"timeout": 1.2, "idle_timeout": 0.8}, "Hi", "did not finish within 1.2 s"),
        (stall, {"timeout": 0.2}, "", "did not finish within 0.2 s"),
    ],
)
def test_a_slow_answer_ends_in_time(upstream: Upstream, openai: Make, script: Script, limits: dict[str, float], text: str, words: str) -> None:
    upstream.script = script
    told = asked(openai(**limits))
    assert (told.kind, told.text) == ("timeout", text)
    assert told.error
    assert words in told.error.message
    assert told.own_seconds < min(limits.values()) + 1
    assert upstream.hung_up.wait(20)  # and the other side is told


def test_an_answer_that_has_ended_is_not_waited_for(upstream: Upstream, openai: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "AFTERWARDS", 0.2)
    upstream.script = in_pieces(chunk("Hi", finish="stop"), then=stall)
    told = asked(openai())
    assert (told.text, told.error) == ("Hi", None)
    assert told.own_seconds < 1
    upstream.script = in_pieces(chunk("Hi", finish="stop"), then=drip)
    assert asked(openai()).own_seconds < 1


def test_a_listener_that_takes_its_time_is_no_idle_server(upstream: Upstream, openai: Make) -> None:
    def script(caller: Caller) -> None:
        caller.head()
        for piece in (chunk("a"), chunk("b"), chunk("c"), DONE):
            caller.send(piece)
            time.sleep(0.03)

    upstream.script = script
    answer = openai(idle_timeout=0.3).reply(Question([Turn("user", "Hello?")]), Stop())
    heard = []
    for piece in answer:
        heard.append(piece)
        time.sleep(0.45)
    assert "".join(heard) == "abc"


# No longer wanted


class Asker:
    """Asks in a thread, and measures how long a cancel takes."""

    def __init__(self, responder: OpenAI) -> None:
        self.cancelled = threading.Event()
        self.told: Told | None = None
        self.stopped = False
        self.pieces: list[str] = []
        self.thread = threading.Thread(target=self._ask, args=(responder,), daemon=True)
        self.thread.start()

    def _ask(self, responder: OpenAI) -> None:
        answer = responder.reply(Question([Turn("user", "Hello?")]), Stop(asked=self.cancelled.is_set))
        try:
            for piece in answer:
                self.pieces.append(piece)
        except Stopped:
            self.stopped = True

    def until(self, there: Callable[[], bool]) -> None:
        """Waits until it has come so far, and a little longer."""
        until = time.monotonic() + 20
        while not there():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.05)

    def cancel(self) -> float:
        watch = Stopwatch()
        self.cancelled.set()
        self.thread.join(20)
        assert self.stopped
        return watch.own_seconds


@pytest.mark.parametrize(
    ("script", "pieces"),
    [
        (stall, 0),
        (in_pieces(then=stall), 0),
        (in_pieces(chunk("Hi"), then=stall), 1),
        (in_pieces(chunk("Hi"), then=drip), 1),
        (lambda caller: caller.answer(b"{}", status=503, Retry_After="4"), 0),
        (lambda caller: (caller.head(500, Content_Length="9"), stall(caller)), 0),
    ],
)
def test_a_cancel_is_heard_within_a_second_wherever_it_waits(upstream: Upstream, openai: Make, script: Script, pieces: int) -> None:
    upstream.script = script
    asker = Asker(openai(timeout=30))
    asker.until(lambda: bool(upstream.requests) and len(asker.pieces) == pieces)
    took = asker.cancel()
    assert took < 1, took
    assert len(asker.pieces) == pieces
    upstream.callers[-1].sock.close()


def test_a_cancel_is_heard_in_the_midst_of_a_flood(upstream: Upstream, openai: Make) -> None:
    def script(caller: Caller) -> None:
        caller.head()
        while True:
            caller.send(chunk("z" * 1000) * 10)

    upstream.script = script
    asker = Asker(openai(timeout=30))
    time.sleep(0.15)
    assert asker.cancel() < 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_cancel_is_heard_while_connecting(client: Client, scheme: str) -> None:
    with deaf() as port:
        asker = Asker(OpenAI(base_url=f"{scheme}://127.0.0.1:{port}", model="parrot", client=client))
        time.sleep(0.15)
        assert asker.cancel() < 1


def test_connecting_is_given_up_in_time(client: Client) -> None:
    with deaf() as port:
        url, watch = address(f"http://127.0.0.1:{port}/"), Stopwatch()
        with pytest.raises(ResponderError, match=r"could not be reached within 0\.4 s") as caught:
            client.post(url, b"{}", {}, Call(Stop(), Limits(total=9, connect=0.4)))
        assert caught.value.kind == "timeout"
        assert watch.own_seconds < 1


def test_a_cancel_is_heard_during_a_tls_handshake(upstream: Upstream, client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asker = Asker(OpenAI(base_url=f"https://127.0.0.1:{silent.getsockname()[1]}", model="parrot", client=client))
        time.sleep(0.15)
        assert asker.cancel() < 1


def test_a_cancel_is_heard_while_a_name_is_looked_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: select.select([], [], [], 3))
    asker = Asker(OpenAI(base_url="http://slow-name.invalid", model="parrot", client=client))
    time.sleep(0.15)
    assert asker.cancel() < 1


def test_a_cancel_is_heard_while_a_long_question_is_sent(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        responder = OpenAI(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", model="x" * 20 * MEGABYTE, client=client)
        asker = Asker(responder)
        time.sleep(0.15)
        assert asker.cancel() < 1


def test_a_listener_that_leaves_hangs_up(upstream: Upstream, openai: Make) -> None:
    upstream.script = in_pieces(chunk("Hi"), then=stall)
    answer = openai().reply(Question([Turn("user", "Hello?")]), Stop())
    next(answer)
    answer.close()
    assert upstream.hung_up.wait(20)
