"""Personas, and the conversations that group exchanges with them; sessions refer to both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import moment, refuse_to_lose, uuid, uuid_key

revision = "003"
down_revision = "002"


def upgrade() -> None:
    op.create_table(
        "personas",
        uuid_key(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        moment("created_at"),
        moment("updated_at"),
    )
    op.create_table(
        "conversations",
        uuid_key(),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("persona_id", uuid(), sa.ForeignKey("personas.id"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        moment("created_at"),
        moment("updated_at"),
        sa.UniqueConstraint("id", "user_id", name="uq_conversations_id_user_id"),
    )
    op.create_index("idx_conversations_user_id_updated", "conversations", ["user_id", "updated_at", "id"])
    op.create_index("ix_conversations_persona_id", "conversations", ["persona_id"])


def downgrade() -> None:
    """Drops personas and conversations."""
    refuse_to_lose("conversations", "SELECT count(*) FROM conversations")
    refuse_to_lose("personas", "SELECT count(*) FROM personas")
    op.drop_table("conversations")
    op.drop_table("personas")
