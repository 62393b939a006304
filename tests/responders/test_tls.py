"""The same waits under TLS, where a socket may have data that cannot be read yet. Run again under gevent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsvc.responders.base import Question, Stop, Stopped, Turn
from chatsvc.responders.http import Client
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import asked
from tests.responders.upstream import Upstream, chunk, completion, drip, in_pieces, running, stall
from tests.stopwatch import Stopwatch


@pytest.fixture
def secure(certificate: Path) -> Iterator[Upstream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as upstream:
        yield upstream


@pytest.fixture
def trusting(certificate: Path) -> Iterator[Client]:
    client = Client(ssl_context=ssl.create_default_context(cafile=certificate))
    yield client
    client.close()


def test_a_stream_over_tls_and_its_connection_used_again(secure: Upstream, trusting: Client) -> None:
    secure.script = lambda caller: caller.stream(completion("Hel", "lo"), sizes=[9])
    responder = OpenAI(base_url=secure.url, model="x" * 3_000_000, client=trusting)
    for _ in range(3):
        assert asked(responder).text == "Hello"
    assert len(secure.callers) == 1


def test_slow_over_tls(secure: Upstream, trusting: Client) -> None:
    secure.script = in_pieces(chunk("Hi"), then=stall)
    told = asked(OpenAI(base_url=secure.url, model="parrot", client=trusting, idle_timeout=0.3))
    assert (told.text, told.kind) == ("Hi", "timeout")
    assert told.own_seconds < 1


def test_cancelled_over_tls(secure: Upstream, trusting: Client) -> None:
    secure.script = in_pieces(chunk("Hi"), then=drip)
    wanted = threading.Event()
    answer = OpenAI(base_url=secure.url, model="parrot", client=trusting).reply(Question([Turn("user", "?")]), Stop(asked=wanted.is_set))
    assert next(answer) == "Hi"
    watch = Stopwatch()
    wanted.set()
    with pytest.raises(Stopped):
        next(answer)
    assert watch.own_seconds < 1
    assert secure.hung_up.wait(20)


def test_a_certificate_that_nobody_vouches_for(secure: Upstream, client: Client) -> None:
    told = asked(OpenAI(base_url=secure.url, model="parrot", client=client))
    assert told.error
    assert (told.error.kind, told.error.message) == ("unreachable", "The model could not be reached: its certificate is not trusted.")
    assert secure.requests == []


def test_a_certificate_of_another_name(secure: Upstream, trusting: Client) -> None:
    told = asked(OpenAI(base_url=secure.url.replace("127.0.0.1", "localhost"), model="parrot", client=trusting))
    assert told.error
    assert "certificate is not trusted" in told.error.message
