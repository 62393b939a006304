"""A message of a session. A session is read in `id` order, never by time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.indexes import partial_index
from chatsvc.core.models.types import Json, Key, LongText, Moment, Uuid
from chatsvc.extensions import Model


class ChatMessage(Model):
    __tablename__ = "chat_messages"
    __table_args__ = (
        ForeignKeyConstraint(["session_id", "user_id"], ["chat_sessions.id", "chat_sessions.user_id"], ondelete="CASCADE"),
        CheckConstraint("role IN ('user', 'assistant', 'system')", name="role"),
        CheckConstraint("status IN ('complete', 'streaming', 'cancelled', 'failed')", name="status"),
        CheckConstraint("status = 'complete' OR role = 'assistant'", name="only_replies_run"),
        CheckConstraint("agent_type IS NULL OR role = 'assistant'", name="only_assistants_have_agents"),
        Index("idx_chat_messages_session_id", "session_id", "id"),
        partial_index("idx_chat_messages_live", "session_id", "id", where="deleted_at IS NULL"),
        partial_index("idx_chat_messages_purge", "deleted_at", where="deleted_at IS NOT NULL"),
        partial_index("uq_chat_messages_running", "session_id", unique=True, where="status = 'streaming'"),
        partial_index("idx_chat_messages_running_user", "user_id", where="status = 'streaming'"),
        partial_index("idx_chat_messages_running_worker", "worker_id", where="status = 'streaming'"),
        partial_index("idx_chat_messages_conversation", "conversation_id", "id", where="conversation_id IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    session_id: Mapped[str] = mapped_column(Uuid)
    user_id: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(10))
    content: Mapped[str] = mapped_column(LongText)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", Json, server_default="{}")
    status: Mapped[str] = mapped_column(String(10), server_default="complete")
    created_at: Mapped[datetime] = mapped_column(Moment)
    edited_at: Mapped[datetime | None] = mapped_column(Moment)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)
    agent_type: Mapped[str | None] = mapped_column(String(50))

    # 009: replies while they are written
    worker_id: Mapped[str | None] = mapped_column(String(36))
    reply_to: Mapped[int | None] = mapped_column(Key)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(Moment)

    # 010: that of its session, when that is an exchange
    conversation_id: Mapped[str | None] = mapped_column(Uuid)
