"""A chat session: a thread that a person comes back to (plain), or one question to a persona (an exchange)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, FetchedValue, ForeignKey, ForeignKeyConstraint, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.indexes import partial_index
from chatsvc.core.models.types import Json, Key, LongText, Moment, Uuid
from chatsvc.extensions import Model

LIVE_PLAIN = "deleted_at IS NULL AND conversation_id IS NULL"
LIVE_EXCHANGE = "deleted_at IS NULL AND conversation_id IS NOT NULL"


class ChatSession(Model):
    """Title, preview, counter and their hidden companions are kept by triggers and never assigned here."""

    __tablename__ = "chat_sessions"
    __table_args__ = (
        UniqueConstraint("id", "user_id", name="uq_chat_sessions_id_user_id"),
        ForeignKeyConstraint(["conversation_id", "user_id"], ["conversations.id", "conversations.user_id"], ondelete="CASCADE"),
        CheckConstraint("status IN ('ACTIVE', 'COMPLETED', 'FAILED', 'TIMEOUT', 'CANCELLED')", name="status"),
        CheckConstraint("title_from IN ('message', 'person', 'model')", name="title_from"),
        partial_index("idx_chat_sessions_user_id_updated", "user_id", "updated_at DESC", "id DESC", where=LIVE_PLAIN),
        partial_index("idx_chat_sessions_updated_at", "updated_at DESC", where="status = 'ACTIVE' AND conversation_id IS NOT NULL"),
        partial_index(
            "idx_chat_sessions_cap",
            "user_id",
            "agent_type",
            "updated_at DESC",
            "id DESC",
            where=f"status = 'ACTIVE' AND agent_type IS NOT NULL AND {LIVE_PLAIN}",
        ),
        partial_index("idx_chat_sessions_deleted", "user_id", "updated_at DESC", "id DESC", where="deleted_at IS NOT NULL"),
        partial_index("idx_chat_sessions_purge", "deleted_at", where="deleted_at IS NOT NULL"),
        partial_index("idx_chat_sessions_conversation", "conversation_id", "status", where="conversation_id IS NOT NULL"),
        partial_index("idx_chat_sessions_user_exchanges", "user_id", "updated_at DESC", "id DESC", where=LIVE_EXCHANGE),
        partial_index("idx_chat_sessions_user_status", "user_id", "status", "updated_at DESC", "id DESC", where=LIVE_EXCHANGE),
        partial_index("idx_chat_sessions_activity", "last_message_at", "created_at", where="status = 'ACTIVE' AND conversation_id IS NOT NULL"),
        partial_index(
            "idx_chat_sessions_conversation_latest", "conversation_id", "updated_at DESC", "id DESC", where="conversation_id IS NOT NULL AND deleted_at IS NULL"
        ),
        partial_index("idx_chat_sessions_persona_user", "persona_id", "user_id", "updated_at DESC", "id DESC", where=LIVE_EXCHANGE),
        partial_index("idx_chat_sessions_persona", "persona_id", where="persona_id IS NOT NULL"),
        partial_index(
            "idx_chat_sessions_statistics",
            *("user_id", "agent_type", "status", "message_count", "created_at", "deleted_at", "conversation_id"),
            where=f"{LIVE_PLAIN} AND message_count >= 0",
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(10), server_default="ACTIVE")
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", Json, server_default="{}")
    persona_id: Mapped[str | None] = mapped_column(Uuid, ForeignKey("personas.id"))
    conversation_id: Mapped[str | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    error_message: Mapped[str | None] = mapped_column(LongText)
    error_kind: Mapped[str | None] = mapped_column(String(20))
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)

    # 007: kept by triggers
    title: Mapped[str | None] = mapped_column(LongText)
    last_message: Mapped[str | None] = mapped_column(LongText, server_default=FetchedValue())
    message_count: Mapped[int] = mapped_column(Integer, server_default="0")
    last_message_at: Mapped[datetime | None] = mapped_column(Moment, server_default=FetchedValue())
    newest_message_id: Mapped[int | None] = mapped_column(Key, server_default=FetchedValue())
    last_message_id: Mapped[int | None] = mapped_column(Key, server_default=FetchedValue())
    title_message_id: Mapped[int | None] = mapped_column(Key, server_default=FetchedValue())
    title_from: Mapped[str] = mapped_column(String(10), server_default="message")

    # 008: what the session API adds
    agent_type: Mapped[str | None] = mapped_column(String(50))
