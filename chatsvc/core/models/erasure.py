"""The receipt of an erasure of all that a user had. Whose it was stands there only until it is done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.indexes import partial_index
from chatsvc.core.models.types import Json, Moment, Uuid
from chatsvc.extensions import Model


class Erasure(Model):
    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("asked_by IN ('self', 'admin', 'command')", name="asked_by"),
        CheckConstraint("finished_at IS NULL OR (user_id IS NULL AND account IS NULL)", name="names_nobody"),
        partial_index("uq_erasures_running", "user_id", unique=True, where="finished_at IS NULL"),
        Index("ix_erasures_finished_at", "finished_at"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(String(255))
    account: Mapped[str | None] = mapped_column(String(255))
    user_digest: Mapped[str] = mapped_column(String(64))
    asked_by: Mapped[str] = mapped_column(String(10))
    keeps_account: Mapped[bool] = mapped_column(Boolean, server_default=false())
    scrubbed: Mapped[bool | None] = mapped_column(Boolean)
    counts: Mapped[dict[str, Any]] = mapped_column(Json, server_default="{}")
    started_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
