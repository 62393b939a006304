"""Keys that other products call with. What is kept of a key cannot be turned back into it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import Moment, Uuid
from chatsvc.extensions import Model

SCOPES = "'read', 'write', 'admin', 'read write', 'read admin', 'write admin', 'read write admin'"


class ApiKey(Model):
    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint(f"scopes IN ({SCOPES})", name="scopes"), Index("idx_api_keys_created_at", "created_at", "id"), Index(None, "created_by"))

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    last_four: Mapped[str] = mapped_column(String(4))
    scopes: Mapped[str] = mapped_column(String(20))
    created_by: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
