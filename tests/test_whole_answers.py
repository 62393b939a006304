"""What the server sends is the same as ever, in fewer pieces."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import FileWrapper

from whole_answers import WholeAnswer

CONFIG = Config()
JSON = ("Content-Type", "application/json")
Pair = tuple[socket.socket, socket.socket]


class Watched(socket.socket):
    """Notes each piece that leaves."""

    pieces: list[bytes]

    most: int | None = None  # of what is sent, as much leaves at once

    def send(self, data: bytes, *flags: int) -> int:  # type: ignore[override]
        self.pieces.append(bytes(data[: self.most]))
        return super().send(data[: self.most], *flags)

    def sendall(self, data: bytes, *flags: int) -> None:  # type: ignore[override]
        self.pieces.append(bytes(data))
        super().sendall(data, *flags)


@pytest.fixture
def pair() -> Iterator[tuple[Watched, socket.socket]]:
    """The server's end, and the client's."""
    one, client = socket.socketpair()
    server = Watched(fileno=one.detach())
    server.pieces = []
    with server, client:
        yield server, client


def answer(kind: type[wsgi.Response], pair: tuple[Watched, socket.socket], method: str = "GET", version: str = "1.1") -> wsgi.Response:
    server, client = pair
    client.sendall(f"{method} / HTTP/{version}\r\nHost: here\r\n\r\n".encode())
    return kind(Request(CONFIG, SocketUnreader(server), ("127.0.0.1", 1)), server, CONFIG)


def test_an_answer_is_one_piece(pair: tuple[Watched, socket.socket]) -> None:
    response = answer(WholeAnswer, pair)
    response.start_response("200 OK", [JSON, ("Content-Length", "2")])
    response.write(b"{}")
    response.close()
    assert len(pair[0].pieces) == 1
    assert pair[0].pieces[0].endswith(b"\r\n\r\n{}")


def test_a_stream_says_at_once_that_it_has_begun(pair: tuple[Watched, socket.socket]) -> None:
    response = answer(WholeAnswer, pair)
    response.start_response("200 OK", [("Content-Type", "text/event-stream")])
    response.write(b"")
    assert pair[0].pieces[-1].startswith(b"HTTP/1.1 200 OK\r\n")
    response.write(b"data: 1\n\n")
    assert pair[0].pieces[-1] == b"9\r\ndata: 1\n\n\r\n"


EACH = pytest.mark.parametrize(
    ("method", "version", "status", "headers", "pieces"),
    [
        ("GET", "1.1", "200 OK", [JSON, ("Content-Length", "4")], [b"ab", b"cd"]),
        ("GET", "1.1", "200 OK", [JSON, ("Content-Length", "2")], [b"abcd"]),
        ("GET", "1.1", "200 OK", [JSON], [b"ab", b"", b"cd"]),
        ("GET", "1.1", "200 OK", [JSON], []),
        ("GET", "1.0", "200 OK", [JSON], [b"ab", b"cd"]),
        ("HEAD", "1.1", "200 OK", [JSON, ("Content-Length", "2")], [b"ab"]),
        ("GET", "1.1", "204 No Content", [], []),
        ("GET", "1.1", "304 Not Modified", [("ETag", '"1"')], [b""]),
        ("POST", "1.1", "201 Created", [("Location", "/é"), ("Content-Length", "0")], [b""]),
    ],
)


@pytest.mark.parametrize("most", [None, 3])
@EACH
def test_every_byte_is_as_the_server_by_itself_sends_it(
    method: str, version: str, status: str, headers: list[tuple[str, str]], pieces: list[bytes], most: int | None
) -> None:
    found = []
    for kind in (wsgi.Response, WholeAnswer):
        one, client = socket.socketpair()
        server = Watched(fileno=one.detach())
        server.pieces = []
        server.most = most
        with server, client:
            response = answer(kind, (server, client), method, version)
            response.start_response(status, headers)
            for piece in pieces:
                response.write(piece)
            response.close()
            found.append(re.sub(rb"Date: [^\r]*", b"", b"".join(server.pieces)))
    assert found[0] == found[1]


def test_a_file_comes_after_its_head(pair: tuple[Watched, socket.socket], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"what is in it")
    response = answer(WholeAnswer, pair)
    response.start_response("200 OK", [("Content-Length", "13")])
    with (tmp_path / "file").open("rb") as file:
        response.write_file(FileWrapper(file))
        response.close()
    assert pair[1].recv(4096).endswith(b"\r\n\r\nwhat is in it")


def test_it_is_what_the_server_as_shipped_uses() -> None:
    shipped = (Path(__file__).parent.parent / "gunicorn.conf.py").read_text()
    assert "whole_answers.install()" in shipped
