"""Groups the exchanges of one user with one persona."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import LongText, Moment, Uuid
from chatsvc.extensions import Model


class Conversation(Model):
    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("id", "user_id", name="uq_conversations_id_user_id"),
        Index("idx_conversations_user_id_updated", "user_id", "updated_at", "id"),
        Index(None, "persona_id"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    persona_id: Mapped[str] = mapped_column(Uuid, ForeignKey("personas.id"))
    title: Mapped[str | None] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
