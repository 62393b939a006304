"""What the golden paths of the envelope face share: its fields, and what every answer of it says."""

from __future__ import annotations

from typing import Any

SESSION = (
    "data: sessionId title meta status messagesCount lastMessage lastMessageAt lastActivityAt conversationId personaId "
    "startedAt endedAt durationMs errorMessage errorKind createdAt updatedAt"
)
STATS = "data: total active byStatus successRate averageResponseTimeMs p95ResponseTimeMs failures"
SESSIONS = "/api/chat-sessions"
ONE = f"{SESSIONS}/{{session_id}}"


def said(message: str, **values: Any) -> dict[str, Any]:
    """What every good answer of this face says, and these values of its data."""
    return {"success": True, "message": message, **{f"data.{path}": value for path, value in values.items()}}


def refused(message: str) -> dict[str, Any]:
    return {"success": False, "message": message}
