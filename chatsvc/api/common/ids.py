"""Ids in a path. One that cannot be an id is treated as one that does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatsvc.core.errors import NotFound

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
MAX_NUMBER = 2**63 - 1


def message_id(text: str) -> int:
    if not NUMBER.fullmatch(text) or int(text) > MAX_NUMBER:
        raise NotFound("Message")
    return int(text)


def reply_id(text: str) -> int:
    try:
        return message_id(text)
    except NotFound:
        raise NotFound("Reply") from None


def _uuid(noun: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not UUID.fullmatch(text):
            raise NotFound(noun)
        return text.lower()

    return read


def user_id(text: str) -> str:
    """Whatever the `sub` of a token may be."""
    if not 1 <= len(text) <= 255 or "\0" in text:
        raise NotFound("User")
    return text


READERS: dict[str, Callable[[str], Any]] = {
    "session_id": _uuid("Session"),
    "conversation_id": _uuid("Conversation"),
    "persona_id": _uuid("Persona"),
    "key_id": _uuid("API key"),
    "message_id": message_id,
    "reply_id": reply_id,
    "erasure_id": _uuid("Erasure"),
    "user_id": user_id,
}


def read(path: dict[str, Any]) -> dict[str, Any]:
    return {name: READERS[name](text) for name, text in path.items()}
