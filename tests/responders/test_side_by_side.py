"""Several calls with one client. Run again under gevent."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from chatsvc.responders.base import Stop
from chatsvc.responders.http import Client, Limits
from chatsvc.responders.net import Wires
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import Told, asked
from tests.responders.upstream import (
    DONE,
    Caller,
    Upstream,
    chunk,
    completion,
    deaf,
    stall,
)

Make = Callable[..., OpenAI]

MEGABYTE = 1024 * 1024


def test_what_one_call_allows_is_nothing_to_the_next_on_its_connection(upstream: Upstream, openai: Make) -> None:
    wanted = threading.Event()
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    told = asked(openai(timeout=0.5), stop=Stop(asked=wanted.is_set))
    assert told.text == "Yes"
    wanted.set()  # too late: that call is over
    time.sleep(0.5)  # as is its time
    upstream.script = lambda caller: (stall(caller, 0.3), caller.answer(completion("Yes")))
    assert asked(openai()).text == "Yes"
    assert len(upstream.callers) == 1


def test_many_at_once_share_a_client_and_nothing_else(upstream: Upstream, openai: Make) -> None:
    def script(caller: Caller) -> None:
        said = caller.body["messages"][-1]["content"]
        caller.head()
        for letter in said:
            caller.send(chunk(letter))
            time.sleep(0.02)
        if said.startswith("stall"):
            stall(caller)
        caller.send(chunk(finish="stop") + DONE)
        caller.sock.close()

    upstream.script = script
    results: dict[str, Told] = {}

    def ask(text: str) -> None:
        results[text] = asked(openai(idle_timeout=0.5), text)

    texts = [f"{word}{number}" for word in ("fine", "stall") for number in range(15)]
    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == sorted(texts)
    for text, told in results.items():
        assert told.text == text
        assert told.kind == ("timeout" if text.startswith("stall") else None)


def test_only_addresses_that_are_let_through_are_connected_to(upstream: Upstream) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    for host in ("127.0.0.1", "localhost"):
        strict = Client(wires=Wires(lambda address: "a loopback address" if address.is_loopback else ""))
        told = asked(OpenAI(base_url=f"http://{host}:{upstream.port}", model="parrot", client=strict))
        assert told.kind == "unreachable"
        assert told.error
        assert "not allowed" in told.error.message
    assert upstream.callers == []


def test_the_second_address_of_a_name_is_tried(upstream: Upstream, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    with deaf() as deaf_port:
        ports = (1, deaf_port, upstream.port)  # refused, silent, there
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        responder = OpenAI(base_url="http://three.invalid", model="parrot", client=client)
        responder.limits = Limits(total=9, connect=0.6)
        told = asked(responder)
    assert told.text == "Yes"
    assert told.own_seconds < 1


def test_connections_do_not_survive_a_fork(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = client._connections()
    assert client._connections() is before
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert client._connections() is not before


def test_wires_are_not_for_others() -> None:
    with pytest.raises(TypeError, match="chatsvc"):
        Wires().connect_tcp("127.0.0.1", 1, timeout=1.0)
