"""Text from outside, made harmless: for the conversation, and for the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")
PARTS = 250_000  # of one JSON document; a reply of the greatest length has fewer

UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffc]+")
ADDRESS = re.compile(r"\S*[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
KEY = re.compile(r"(?=[\w+/=.~%-]*\d)[\w+/=.~%-]{24,}")
KEY_BEGINNING = re.compile(r"\b(?:sk|pk|key|bearer|basic|token)[-_ :=]+\S+", re.IGNORECASE)


def parse(raw: bytes | str) -> Any:
    """JSON, at a bounded cost; ValueError for anything else."""
    said = raw if isinstance(raw, str) else raw.decode("utf-8-sig", "replace")
    if sum(map(said.count, "[{,")) > PARTS:
        raise ValueError("too many parts")
    try:
        return json.loads(said)
    except RecursionError:
        raise ValueError("too deep") from None


def whole(text: str) -> str:
    """NUL and lone halves of a surrogate pair replaced, two halves that belong together joined."""
    if SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\x00", REPLACEMENT)


class Joiner:
    """Cleans pieces of one text. A character that was cut in two by its sender is put together again."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        text, self._half = self._half + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return whole(text)

    def rest(self) -> str:
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""


def label(value: Any) -> str | None:
    """A short name (a model's, an id) that is safe to keep."""
    return whole(value)[:200] if isinstance(value, str) and value else None


def count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def plain(content: Any) -> str:
    """The text of a message's content, which some servers send in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def excerpt_of(body: bytes | str, secrets: Iterable[str] = ()) -> str:
    """What an error's body says, short, on one line, without keys or addresses: for logs only."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if text.lstrip().startswith("<"):
        return "(a web page)"
    try:
        said = parse(text)
    except ValueError:
        said = text
    for name in ("error", "message", "detail"):
        said = said.get(name, said) if isinstance(said, dict) else said
    text = said if isinstance(said, str) else json.dumps(said)
    return without_secrets(UNPRINTABLE.sub(" ", text), secrets)[:200].strip()


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Whatever is, resembles or holds six letters of a secret goes, and so do addresses. What has less than four letters is no secret."""
    pieces = {secret[at : at + 6] for secret in secrets if len(secret) > 3 for at in range(max(1, len(secret) - 5))}
    text = KEY.sub("[...]", KEY_BEGINNING.sub("[...]", ADDRESS.sub("[address]", text)))
    return " ".join("[...]" if any(piece in word for piece in pieces) else word for word in text.split())
