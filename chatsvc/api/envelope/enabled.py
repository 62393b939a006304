"""Conversations and personas can be switched off as a whole."""

from __future__ import annotations

from chatsvc.core.errors import Unavailable
from chatsvc.extensions import settings


def only_if_enabled() -> None:
    if not settings().chat_sessions:
        raise Unavailable("Conversations and personas are switched off here (ENABLE_CHAT_SESSIONS is false)")
