"""An outside issuer: a real HTTP server on loopback that hands out its key set, well or badly, and signs tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.api.common.forgery import claims

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
Answer = Callable[[BaseHTTPRequestHandler], None]


def jwk(kid: Any, key: PrivateKey, **more: Any) -> dict[str, Any]:
    """The public half as an entry of a key set; what is None is left out."""
    made = RSAAlgorithm.to_jwk(key.public_key()) if isinstance(key, RSAPrivateKey) else ECAlgorithm.to_jwk(key.public_key())
    entry = {**json.loads(made), "kid": kid, "use": "sig", **more}
    return {name: value for name, value in entry.items() if value is not None}


def token(key: PrivateKey, kid: str | None, algorithm: str | None = None, **more: Any) -> str:
    name = algorithm or ("RS256" if isinstance(key, RSAPrivateKey) else "ES256")
    return jwt.encode(claims(**more), key, name, headers={"kid": kid} if kid is not None else None)


def document(*entries: Any) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


def send(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An ordinary answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def raw(*pieces: bytes, pause: float = 0) -> Answer:
    """These bytes on the wire, whatever they mean, and then the end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause)

    return answer


class Issuer:
    """How it answers can be changed at any time; how often it was asked is counted."""

    def __init__(self) -> None:
        self.answer: Answer = send(document())
        self.pause = 0.0
        self.asked = 0
        self.headers: dict[str, str] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.headers = dict(self.headers)
                time.sleep(issuer.pause)
                with suppress(OSError):  # the other side has had enough
                    issuer.answer(self)
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys.json"

    def publish(self, *entries: Any) -> None:
        self.answer = send(document(*entries))


@contextmanager
def running() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        thread.join()
