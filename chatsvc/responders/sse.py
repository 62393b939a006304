"""Server-sent events, read from bytes that may be cut anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatsvc.responders.base import ResponderError

LINE_END = re.compile(rb"\r\n|\r|\n")
BOM = b"\xef\xbb\xbf"
LIMIT = 1024 * 1024
LINES = 1_000_000  # three times what the longest reply needs, a letter at a time


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is empty where the sender gave none."""

    name: str
    data: str


class Parser:
    """Takes bytes, gives events. Lines end at ASCII bytes, which are never part of another character, so only whole lines are decoded."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._began = False
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._lines = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes. Ask for all of them before feeding the next one."""
        if not piece:
            return
        if self._after_cr and piece[:1] == b"\n":
            piece = piece[1:]
            self._after_cr = False
            if not piece:
                return
        self._after_cr = piece.endswith(b"\r")
        *lines, rest = LINE_END.split(piece)
        self._lines += len(lines)
        if self._lines > LINES:
            raise ResponderError("bad_response", f"The answer has more than {LINES} lines.")
        for line in lines:
            self._grow(line)
            yield from self._take()
        self._grow(rest)

    def finish(self) -> Iterator[Event]:
        """The event that was left without its empty line, if any. Whoever reads it finds out whether it is whole."""
        if self._line:
            yield from self._take()
        yield from self._dispatch()

    def _grow(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._limit:
            raise ResponderError("bad_response", f"The answer has a line of more than {self._limit} bytes.")
        self._line += part

    def _take(self) -> Iterator[Event]:
        line = bytes(self._line)
        self._line.clear()
        if not self._began:
            self._began = True
            line = line.removeprefix(BOM)
        if not line:
            yield from self._dispatch()
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise ResponderError("bad_response", f"The answer has an event of more than {self._limit} bytes.")
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        elif field == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")

    def _dispatch(self) -> Iterator[Event]:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        if data:
            yield Event(name, "\n".join(data))


def events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """All events of a body."""
    parser = Parser()
    for piece in pieces:
        yield from parser.feed(piece)
    yield from parser.finish()
