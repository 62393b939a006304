"""Who did what, and what befell the personas. Never changed; purged when it is old."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import Json, Key, Moment
from chatsvc.extensions import Model


class AuditEvent(Model):
    __tablename__ = "audit_events"
    __table_args__ = (
        Index("idx_audit_events_action", "action", "id"),
        Index("idx_audit_events_actor", "actor_id", "id"),
        Index("idx_audit_events_subject", "subject", "id"),
        Index("idx_audit_events_created_at", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    actor_id: Mapped[str | None] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column(Json, server_default="{}")
