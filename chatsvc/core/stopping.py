"""Whoever ends or removes a session also asks its running reply to stop; its producer does the rest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection as Unit
from sqlalchemy import update

from chatsvc.core.models import ChatMessage
from chatsvc.core.models.types import now
from chatsvc.core.rows import changed


def stop_replies(tx: Unit, session_ids: Sequence[str]) -> None:
    if session_ids:
        running = update(ChatMessage).where(
            ChatMessage.session_id.in_(session_ids), ChatMessage.status == "streaming", ChatMessage.cancel_requested_at.is_(None)
        )
        changed(tx, running.values(cancel_requested_at=now()))
