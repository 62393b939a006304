"""Local accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import moment, refuse_to_lose

revision = "001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("username_key", sa.String(255), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(10), nullable=False, server_default="USER"),
        moment("created_at"),
        moment("updated_at"),
        moment("disabled_at", nullable=True),
        sa.CheckConstraint("role IN ('USER', 'ADMIN')", name="role"),
    )
    op.create_index("idx_users_created_at", "users", ["created_at", "id"])


def downgrade() -> None:
    """Drops every local account."""
    refuse_to_lose("accounts", "SELECT count(*) FROM users")
    op.drop_table("users")
