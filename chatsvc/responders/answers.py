"""What a webhook's answer says, in any of the forms that flows answer in: a document, plain text, or n8n's lines as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from chatsvc.responders import text

NAMES = ("output", "reply", "response", "text", "content", "message")
KINDS = ("begin", "item", "end", "error")
ACKNOWLEDGEMENT = "workflow was started"
LINES = 100_000  # of a streamed answer; one of the greatest length has half as many
MARKS = b"\xef\xbb\xbf \t\r\n"
# A page may begin with comments and an XML declaration. What is passed over is never given back: trying again would take for ever.
PAGE = re.compile(r"\ufeff?(?:\s++|(?><!--.*?-->)|(?><\?.*?\?>))*+<(?:!doctype\s+html|html|head|body|title|meta)\b", re.IGNORECASE | re.DOTALL)


class Unclear(Exception):
    """An answer that says nothing usable; the text goes on after "The webhook"."""


class Acknowledged(Exception):
    """An answer that says no more than that the question has arrived."""


class Reported(Exception):
    """The error that a flow told in the place of its answer; the text is its own, if it gave any."""


def of_document(said: Any) -> str:
    """The text of a JSON answer: an object or a list of one. Acknowledged when it is n8n's own word that the flow has begun."""
    one = said[0] if isinstance(said, list) and len(said) == 1 else said
    if isinstance(said, list) and len(said) != 1:
        raise Unclear(f"sent a list of {len(said) or 'no'} answers where one is wanted")
    if not isinstance(one, dict):
        raise Unclear("sent something that is no answer")
    for name in NAMES:
        words = one.get(name)
        if isinstance(words, str) and words.strip():
            return _worth(words) if name == "message" else words
    raise Unclear("sent an answer with no text under " + ", ".join(NAMES[:-1]) + f" or {NAMES[-1]}")


def _worth(words: str) -> str:
    if words.strip().rstrip(".").lower() == ACKNOWLEDGEMENT:
        raise Acknowledged
    return words


def of_body(body: bytes, content_type: str) -> str:
    """The text of a whole answer, which may be empty. What its beginning looks like tells more than its content type."""
    words = body.decode("utf-8-sig", "replace")
    if PAGE.match(words):
        raise Unclear("answered with a web page")
    as_json = content_type == "application/json" or content_type.endswith("+json")
    looks = words.lstrip()[:1]
    if looks not in ("{", "[") and not (looks and as_json):
        return _worth(words)
    try:
        said = text.parse(words)
    except json.JSONDecodeError:
        if as_json and looks in ("{", "["):
            raise Unclear("sent JSON that is broken") from None
        return _worth(words)  # text that only begins like JSON, or is called so
    except ValueError:
        raise Unclear("sent JSON that is too large or too deep") from None
    if looks in ("{", "["):
        return of_document(said)
    if not isinstance(said, str):
        raise Unclear("sent something that is no answer")
    return _worth(said)


def of_item(content: Any) -> str:
    """The text of one streamed item. A respond node's whole answer comes as JSON in a string; a model's words may only look like it."""
    if content is None:
        return ""
    if not isinstance(content, str):
        return of_document(content)
    if content.lstrip()[:1] not in ("{", "["):
        return content
    try:
        return of_document(text.parse(content))
    except (ValueError, Unclear):
        return content


class Reader:
    """Takes the bytes of an answer, cut anywhere, and gives its text: items as they come, anything else at the end."""

    def __init__(self, content_type: str = "", max_bytes: int = 1024 * 1024) -> None:
        self.ended = False  # every part that began has ended
        self._content_type = content_type
        self._max_bytes = max_bytes
        self._told = self._lines = 0
        self._streamed: bool | None = None
        self._rest = bytearray()
        self._line = 0  # where the line begins that has not ended yet, and how far it has been looked through
        self._seen = 0
        self._open = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """The text that this piece completes. Ask for all of it before feeding the next one."""
        self._rest += piece
        while self._streamed is not False:
            at = self._rest.find(b"\n", self._seen)
            if at < 0:
                self._seen = len(self._rest)
                break
            line = bytes(self._rest[self._line : at])
            self._line = self._seen = at + 1
            if self._streamed is None and line.strip(MARKS):
                self._streamed = _is_first(line)
            if self._streamed:
                del self._rest[: self._line]
                self._line = self._seen = 0
                yield from self._take(line)
        self._bound(len(self._rest))

    def finish(self) -> Iterator[str]:
        """What is left; raises when this was no whole answer."""
        rest = bytes(self._rest)
        if self._streamed is None:
            self._streamed = _is_first(rest)
        if not self._streamed:
            yield from filter(str.strip, [of_body(rest, self._content_type)])
            return
        yield from self._take(rest)
        if not self.ended:
            raise Unclear("broke off in the middle of its answer")

    def _bound(self, size: int) -> None:
        if size > self._max_bytes:
            raise Unclear(f"sent more than {self._max_bytes} bytes")

    def _take(self, line: bytes) -> Iterator[str]:
        self._lines += 1
        if self._lines > LINES:
            raise Unclear(f"sent more than {LINES} lines")
        if not line.strip(MARKS):
            return
        said = _line(line)
        if said is None:
            raise Unclear("sent a line that cannot be understood")
        kind = said.get("type")
        if kind == "error":
            raise Reported(said["content"] if isinstance(said.get("content"), str) else "")
        if kind == "item":
            words = of_item(said.get("content"))
            self._told += len(words.encode("utf-8", "replace"))
            self._bound(self._told)
            if words:
                yield words
        elif kind in ("begin", "end"):
            self._open = max(0, self._open + (1 if kind == "begin" else -1))
            self.ended = kind == "end" and not self._open


def _line(line: bytes) -> dict[str, Any] | None:
    try:
        said = text.parse(line.strip(MARKS))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _is_first(line: bytes) -> bool:
    """Whether an answer that begins with this line is streamed."""
    said = _line(line) if line.strip(MARKS)[:1] == b"{" else None
    return said is not None and said.get("type") in KINDS
