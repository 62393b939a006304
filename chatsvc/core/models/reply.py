"""Replies while they are written: their text so far, and the workers that write them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import Key, LongText, Moment
from chatsvc.extensions import Model


class Worker(Model):
    """A process that writes replies. While `seen_at` is recent, its replies are its own."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)


class ReplyChunk(Model):
    """A piece of a reply's text; `at` is how many code points come before it."""

    __tablename__ = "reply_chunks"

    message_id: Mapped[int] = mapped_column(Key, ForeignKey("chat_messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    user_id: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(LongText)
