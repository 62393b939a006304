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
REFUSAL = "success message"


def said(message: str, **values: Any) -> dict[str, Any]:
    """What every good answer of this face says, and these values of its data."""
    return {"success": True, "message": message, **{f"data.{path}": value for path, value in values.items()}}


def refused(message: str = "") -> dict[str, Any]:
    """What a refusal says; with no message, in whatever words."""
    return {"success": False, **({"message": message} if message else {})}


def kept(**names: str) -> dict[str, str]:
    """Variables, each with what the answer's data holds under the name given."""
    return {variable: f"body.data.{name}" for variable, name in names.items()}
