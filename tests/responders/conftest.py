"""What the tests of the telephones share: a server that misbehaves, and a patient listener."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chatsvc.responders import model
from chatsvc.responders.base import Outcome, Question, Responder, ResponderError, Stop, Turn
from chatsvc.responders.http import Client
from chatsvc.responders.openai import OpenAI
from chatsvc.responders.webhook import Webhook
from tests.responders.upstream import Upstream, running
from tests.stopwatch import Stopwatch

KEY = "sk-proj-Tz4kQ9vYb2mXw7LrN1"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "BACKOFF", 0.01)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as server:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture
def openai(upstream: Upstream, client: Client) -> Callable[..., OpenAI]:
    """A responder that asks the misbehaving server, with any keyword changed."""

    def make(**keywords: Any) -> OpenAI:
        defaults: dict[str, Any] = {"base_url": f"{upstream.url}/v1", "api_key": KEY, "model": "parrot", "timeout": 5, "client": client}
        return OpenAI(**{**defaults, **keywords})

    return make


@pytest.fixture
def webhook(upstream: Upstream) -> Callable[..., Webhook]:
    """A responder that posts to the misbehaving server, with any keyword changed."""

    def make(**keywords: Any) -> Webhook:
        defaults: dict[str, Any] = {"url": f"{upstream.url}/webhook/chat", "timeout": 5, "allow_private": True}
        return Webhook(**{**defaults, **keywords})

    return make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    key, name, now = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "parrot")]),
        datetime.datetime.now(datetime.UTC),
    )
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@dataclass
class Told:
    """What came of a question."""

    pieces: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    error: ResponderError | None = None
    seconds: float = 0.0
    own_seconds: float = 0.0  # those in which nobody else had the processor

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def kind(self) -> str | None:
        return self.error.kind if self.error else None


def asked(responder: Responder, text: str = "Hello?", *, stop: Stop | None = None, system: str = "", history: list[Turn] | None = None) -> Told:
    """Asks and listens to the end, whichever it is."""
    told, watch = Told(), Stopwatch()
    answer = responder.reply(Question(history or [Turn("user", text)], system_prompt=system), stop or Stop())
    try:
        while True:
            told.pieces.append(next(answer))
    except StopIteration as end:
        told.outcome = end.value
    except ResponderError as error:
        told.error = error
    finally:
        answer.close()
    told.seconds, told.own_seconds = watch.seconds, watch.own_seconds
    assert all(told.pieces)
    return told
