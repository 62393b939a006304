"""A server on loopback that misbehaves on demand: each test says, in raw bytes and sleeps, what a connection gets."""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Script = Callable[["Caller"], object]


class Caller:
    """One connection, seen from the server, after one request has been read from it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.method = self.target = ""
        self.headers: dict[str, str] = {}
        self.body: Any = None
        self.raw = b""
        self.buffer = b""

    def read_request(self) -> bool:
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return False
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        length = int(self.headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.buffer += self.sock.recv(65536)
        self.raw, self.buffer = self.buffer[:length], self.buffer[length:]
        self.body = json.loads(self.raw)
        return True

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Some words", f"Content-Type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> bool:
        """A whole answer; the connection can be used again."""
        self.head(status, content_type, Content_Length=str(len(body)), **headers)
        self.send(body)
        return True

    def stream(self, body: bytes, *, sizes: Sequence[int] = ()) -> None:
        """Headers, and the body in HTTP chunks of the sizes given (the last one repeated)."""
        self.head(Transfer_Encoding="chunked")
        left, at = list(sizes) or [len(body)], 0
        while at < len(body):
            size = left.pop(0) if len(left) > 1 else left[0]
            piece = body[at : at + size]
            self.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            at += size
        self.send(b"0\r\n\r\n")

    def wait_for_hang_up(self, seconds: float = 10.0) -> bool:
        """Whether the other side closed the connection in time."""
        readable, _, _ = select.select([self.sock], [], [], seconds)
        try:
            return bool(readable) and self.sock.recv(1) == b""
        except OSError:
            return True

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Upstream:
    """Runs a script for each request; notes every request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.script: Script = lambda caller: None
        self.callers: list[Caller] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            caller = Caller(sock, len(self.callers))
            self.callers.append(caller)
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: Caller) -> None:
        try:
            if self.tls:
                caller.sock = self.tls.wrap_socket(caller.sock, server_side=True)
            while caller.read_request():
                self.requests.append((caller.target, caller.headers, caller.body))
                self.script(caller)
        except (OSError, ValueError):
            pass  # the other side has gone, as many tests want
        finally:
            caller.sock.close()
            self.hung_up.set()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for caller in self.callers:
            caller.sock.close()


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    upstream = Upstream(tls)
    try:
        yield upstream
    finally:
        upstream.close()


def event(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chunk(content: str | None = None, *, finish: str | None = None, **delta: Any) -> bytes:
    """One event of Chat Completions."""
    words = delta if content is None else {"content": content, **delta}
    choice = {"index": 0, "delta": words, "finish_reason": finish}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "parrot-1", "choices": [choice]})


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
USAGE_CHUNK = event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "parrot-1", "choices": [], "usage": USAGE})
DONE = event("[DONE]")


def completion(*pieces: str, finish: str = "stop") -> bytes:
    """A whole, well-behaved stream of Chat Completions."""
    return b"".join([chunk("", role="assistant"), *map(chunk, pieces), chunk(finish=finish), USAGE_CHUNK, DONE])


def document(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "parrot-1", "choices": [choice], "usage": USAGE}).encode()


def message(*pieces: str, stop_reason: str = "end_turn") -> bytes:
    """A whole, well-behaved stream of the Messages API."""
    begun: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "parrot-2",
        "stop_reason": None,
        "stop_sequence": None,
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**begun, "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return b"".join(event(one, one["type"]) for one in events)


def flow(*pieces: str, parts: int = 1) -> bytes:
    """A whole answer as n8n streams it: lines with the place they come from."""
    place = {"nodeId": "5c0f8e52-8f0e-4a5e-9d7e-0f1f5b0a7c11", "nodeName": "AI Agent", "itemIndex": 0, "runIndex": 0, "timestamp": 1763640000000}
    said: list[dict[str, Any]] = []
    for _ in range(parts):
        said += [{"type": "begin"}, *({"type": "item", "content": piece} for piece in pieces), {"type": "end"}]
    return b"".join(json.dumps({**one, "metadata": place}).encode() + b"\n" for one in said)


# Ways to misbehave


def in_pieces(*pieces: bytes, then: Script = lambda caller: None) -> Script:
    """Sends headers and pieces, does something and hangs up."""

    def script(caller: Caller) -> None:
        caller.head()
        for piece in pieces:
            caller.send(piece)
        then(caller)
        caller.sock.close()

    return script


def stall(caller: Caller, seconds: float = 10.0) -> bool:
    return caller.wait_for_hang_up(seconds)


def drip(caller: Caller) -> None:
    while not caller.wait_for_hang_up(0.05):
        caller.send(b": still here\n\n")


@contextmanager
def plain_talker() -> Iterator[int]:
    """Answers whatever it hears in plain HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        yield listener.getsockname()[1]


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose queue is full: connecting neither works nor fails."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        time.sleep(0.05)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()
