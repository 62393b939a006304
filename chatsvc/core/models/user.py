"""Local accounts: one source of callers beside tokens of an outside issuer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.indexes import partial_index
from chatsvc.core.models.types import Moment
from chatsvc.extensions import Model

ERASED = "username = ''"  # what is left of an account


class User(Model):
    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('USER', 'ADMIN')", name="role"),
        Index("idx_users_created_at", "created_at", "id"),
        partial_index("idx_users_erased", "disabled_at", where=ERASED),
    )

    # Text and not a native UUID: it is compared with the `sub` of tokens, which may be any string.
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    username: Mapped[str] = mapped_column(String(64))
    username_key: Mapped[str] = mapped_column(String(255), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(10), server_default="USER")
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
