"""Signing in against the server as it is shipped: two processes, real sockets, and bytes that no client library would send."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_migrate import upgrade

from chatsvc import create_app
from chatsvc.extensions import db
from config import ROOT
from tests import factories, tables
from tests.api.app.accounts import NOBODY, PASSWORD, account

LONG = 60.0


class Server:
    """gunicorn with the shipped configuration."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = {"DATABASE_URL": f"sqlite:///{folder / 'served.db'}", "JWT_SECRET_KEY": factories.SECRET, "PORT": str(self.port)}
        app = tables.open_to_tests(create_app(factories.settings(settings["DATABASE_URL"])))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        account(app)
        with app.app_context():
            db.engine.dispose()
        environ = {**os.environ, **settings, "WEB_CONCURRENCY": "2", "CHAT_THREADS": "4", "CHAT_INSTANCE_PATH": str(folder), "LOG_LEVEL": "debug"}
        command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
        self.log, self.handed_out = folder / "log", list[Any]()
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file)
        deadline = time.monotonic() + LONG
        while time.monotonic() < deadline:
            try:
                if self.request("GET", "/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LONG)

    def exchange(self, raw: bytes) -> bytes:
        """Everything the server says to these bytes."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONG) as connection:
            try:
                connection.sendall(raw)
                while piece := connection.recv(65536):
                    said += piece
            except ConnectionError:
                pass  # it had heard enough
        return said

    def request(self, method: str, path: str, *headers: bytes, body: bytes = b"") -> tuple[int, bytes]:
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close", b"Content-Length: %d" % len(body), *headers]
        head, _, rest = self.exchange(b"\r\n".join(lines) + b"\r\n\r\n" + body).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), rest

    def sign_in(self, *headers: bytes) -> dict[str, Any]:
        form = f"username=alice&password={PASSWORD}".encode()
        status, body = self.request("POST", "/auths/login", b"Content-Type: application/x-www-form-urlencoded", *headers, body=form)
        assert status == 200, body
        self.handed_out += json.loads(body).values()
        return dict(json.loads(body))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("served"))
    try:
        yield running
    finally:
        running.stop()


def bearer(token: str) -> bytes:
    return f"Authorization: Bearer {token}".encode()


def test_a_sign_in_that_ended_has_ended_in_every_process(server: Server) -> None:
    here = bearer(server.sign_in()["access_token"])
    assert {server.request("GET", "/auths/me", here)[0] for _ in range(12)} == {200}
    assert server.request("POST", "/auths/logout", here) == (204, b"")
    assert {server.request("GET", "/auths/me", here) for _ in range(12)} == {(401, NOBODY)}


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_token_of_any_size_is_nobody(server: Server, size: int) -> None:
    assert server.request("GET", "/auths/me", bearer("A" * size)) == (401, NOBODY)


def test_two_authorization_headers_are_nobody_in_either_order(server: Server) -> None:
    good, bad = bearer(factories.token()), bearer("nonsense")
    for headers in ((good, bad), (bad, good), (good, good), (b"Authorization: Basic x", good)):
        assert server.request("GET", "/auths/me", *headers)[0] in (400, 401)
    assert server.request("GET", "/auths/me", good)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [b"Authorization_: Bearer %s"],
        [b"Authorization : Bearer %s"],
        [b"X-Authorization: Bearer %s"],
        [b"Authorization:\r\n Bearer %s"],
        [b"X: y\r\n Authorization: Bearer %s"],
        [b"X: y\nAuthorization: Bearer %s"],
        [b"X: y\rAuthorization: Bearer %s"],
        [b"Authorization: Bearer %s\0"],
        [b"HTTP_AUTHORIZATION: Bearer %s"],
        [b"Proxy-Authorization: Bearer %s"],
    ],
)
def test_a_header_that_only_looks_like_the_right_one_lets_nobody_in(server: Server, headers: list[bytes]) -> None:
    token = factories.token().encode()
    status, body = server.request("GET", "/auths/me", *(line % token for line in headers))
    assert status in (400, 401)
    assert b"owner" not in body


def test_the_csrf_value_is_taken_from_its_own_header_alone(server: Server) -> None:
    form = f"username=alice&password={PASSWORD}".encode()
    lines = [b"Content-Type: application/x-www-form-urlencoded", b"X-Session: cookie"]
    head = b"\r\n".join([b"POST /auths/login HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Length: %d" % len(form), *lines])
    said = server.exchange(head + b"\r\n\r\n" + form)
    cookies = [line.split(b": ", 1)[1].split(b";")[0] for line in said.split(b"\r\n") if line.lower().startswith(b"set-cookie:")]
    csrf = json.loads(said.partition(b"\r\n\r\n")[2])["csrf_token"].encode()
    cookie = b"Cookie: " + b"; ".join(cookies)
    write = ("POST", "/api/v1/chat-sessions", b"Content-Type: application/json", cookie)
    for header in (b"X_CSRF_Token: " + csrf, b"X-CSRF_Token: " + csrf, b"X-XSRF-Token: " + csrf, b"X-CSRF-Token: " + csrf + b"," + csrf):
        assert server.request(*write, header, body=b"{}")[0] in (400, 403)
    assert server.request(*write, b"x-csrf-token: " + csrf, body=b"{}")[0] == 201


def test_a_body_whose_length_is_said_twice_is_not_two_requests(server: Server) -> None:
    inner = b"GET /auths/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % factories.token().encode()
    for lengths in (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Content-Length: 4\r\nContent-Length: 40", b"Transfer-Encoding: xchunked"):
        said = server.exchange(b"POST /auths/refresh HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n\r\n0\r\n\r\n" + inner)
        assert b"owner" not in said
        assert said.count(b"HTTP/1.1 ") <= 1


def test_who_is_not_behind_a_proxy_cannot_say_where_they_are(server: Server) -> None:
    statuses = []
    for number in range(14):
        form = b"username=nobody%d&password=wrong-password" % number
        spoofed = b"X-Forwarded-For: 203.0.113.%d" % number
        statuses.append(server.request("POST", "/auths/login", b"Content-Type: application/x-www-form-urlencoded", spoofed, body=form)[0])
    assert 429 in statuses or statuses == [401] * 14
    # Each of the two processes counts for itself, ten a minute: the two together let no more than twenty through.
    more = [server.request("POST", "/auths/login", b"Content-Type: application/x-www-form-urlencoded", body=b"username=a&password=b")[0] for _ in range(8)]
    assert 429 in statuses + more


def test_more_headers_than_any_client_sends_are_refused(server: Server) -> None:
    assert server.request("GET", "/healthz", *(b"X-%d: x" % number for number in range(40)))[0] == 200
    assert server.request("GET", "/healthz", *(b"X-%d: x" % number for number in range(60)))[0] == 431


def test_even_who_debugs_finds_no_secret_in_the_log(server: Server) -> None:
    """The last test of this file: all that the others did is in this log, with everything that anybody has to say."""
    token = factories.token()
    server.request("GET", f"/auths/me?token={token}", bearer(token))
    server.request("GET", "/chat/sessions?search=what-a-person-searched-for", bearer(token))
    server.request("POST", "/auths/login", b"Content-Type: application/json", body=b'{"username": "alice", "password": "not-her-password"}')
    log = server.log.read_text(errors="replace")
    assert "GET /auths/me" in log, "it does say what is asked for"
    private = [*server.handed_out, token, PASSWORD, "not-her-password", factories.SECRET, "what-a-person-searched-for", "$argon2id$"]
    assert [secret for secret in private if isinstance(secret, str) and len(secret) > 8 and secret in log] == []
    assert "eyJ" not in log
