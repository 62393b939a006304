"""A configured responder, and the circuit that keeps it from being asked while it fails."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, true
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import LongText, Moment, Uuid
from chatsvc.extensions import Model


class Persona(Model):
    __tablename__ = "personas"

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)

    # 010: what it is configured with; secrets are encrypted
    webhook_url: Mapped[str | None] = mapped_column(LongText)
    base_url: Mapped[str | None] = mapped_column(LongText)
    model: Mapped[str | None] = mapped_column(String(255))
    system_prompt: Mapped[str | None] = mapped_column(LongText)
    timeout_ms: Mapped[int] = mapped_column(Integer, server_default="10000")
    answers: Mapped[str] = mapped_column(String(10), server_default="direct")
    secret_sealed: Mapped[str | None] = mapped_column(LongText)
    api_key_sealed: Mapped[str | None] = mapped_column(LongText)

    # 015: the signing secret before, good beside the present one until then
    previous_secret_sealed: Mapped[str | None] = mapped_column(LongText)
    previous_secret_until: Mapped[datetime | None] = mapped_column(Moment)


class Circuit(Model):
    """Failures of a persona in a row, counted over all processes; since when it is not asked; when it was tried again."""

    __tablename__ = "circuits"

    persona_id: Mapped[str] = mapped_column(Uuid, ForeignKey("personas.id", ondelete="CASCADE"), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    opened_at: Mapped[datetime | None] = mapped_column(Moment)
    probed_at: Mapped[datetime | None] = mapped_column(Moment)
