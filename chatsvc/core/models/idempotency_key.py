"""A retried request's first answer; a key is only ever committed together with what it made."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import Key, LongText, Moment, Uuid
from chatsvc.extensions import Model


class IdempotencyKey(Model):
    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"), Index(None, "session_id"))

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[str | None] = mapped_column(LongText)
    session_id: Mapped[str | None] = mapped_column(Uuid)
    reply_id: Mapped[int | None] = mapped_column(Key)
    created_at: Mapped[datetime] = mapped_column(Moment)
