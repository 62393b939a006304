"""Head and body of an answer leave together."""

from __future__ import annotations

import socket

from gunicorn.http import wsgi


class WholeAnswer(wsgi.Response):  # type: ignore[misc]
    """The server sends the head by itself, then the body. Whoever waits is woken by the first, finds half an answer and sleeps again: on
    busy processors that costs more than all the rest of the server. Here the head waits for the first piece of the body, which is at hand."""

    headers_sent: bool
    _head = b""

    def write(self, arg: bytes) -> None:
        super().write(arg)
        self._send_head()  # nothing came after it: the piece was empty, or the answer has no body

    def send_headers(self) -> None:
        if self.headers_sent:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        _send(self.sock, head + data)

    def sendfile(self, respiter: object) -> bool:
        """A file is copied by the kernel: the head goes before it."""
        self.send_headers()
        self._send_head()
        sent: bool = super().sendfile(respiter)
        return sent

    def close(self) -> None:
        self.send_headers()
        self._send_head()
        super().close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            _send(self.sock, head)


def _send(sock: socket.socket, data: bytes) -> None:
    """Nearly always all of it goes at once; the way of those that have to wait costs more than that."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(data[sent:])


def install() -> None:
    """Makes all answers of this server such ones."""
    wsgi.Response = WholeAnswer
