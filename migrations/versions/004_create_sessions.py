"""Sessions: whose they are, how they stand, what they refer to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import json_object, moment, partial, refuse_to_lose, uuid, uuid_key

revision = "004"
down_revision = "003"


def upgrade() -> None:
    op.create_table(
        "chat_sessions",
        uuid_key(),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("status", sa.String(10), nullable=False, server_default="ACTIVE"),
        json_object("metadata"),
        sa.Column("persona_id", uuid(), sa.ForeignKey("personas.id"), nullable=True),
        sa.Column("conversation_id", uuid(), nullable=True),
        moment("created_at"),
        moment("updated_at"),
        moment("ended_at", nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.String(20), nullable=True),
        moment("deleted_at", nullable=True),
        sa.UniqueConstraint("id", "user_id", name="uq_chat_sessions_id_user_id"),
        sa.ForeignKeyConstraint(["conversation_id", "user_id"], ["conversations.id", "conversations.user_id"], ondelete="CASCADE"),
        sa.CheckConstraint("status IN ('ACTIVE', 'COMPLETED', 'FAILED', 'TIMEOUT', 'CANCELLED')", name="status"),
        # Every append rewrites the row; the room keeps it on its page.
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("idx_chat_sessions_conversation", "chat_sessions", ["conversation_id", "status"], **partial("conversation_id IS NOT NULL"))
    op.create_index("idx_chat_sessions_persona", "chat_sessions", ["persona_id"], **partial("persona_id IS NOT NULL"))
    op.create_index("idx_chat_sessions_purge", "chat_sessions", ["deleted_at"], **partial("deleted_at IS NOT NULL"))


def downgrade() -> None:
    """Drops every session."""
    refuse_to_lose("sessions", "SELECT count(*) FROM chat_sessions")
    op.drop_table("chat_sessions")
