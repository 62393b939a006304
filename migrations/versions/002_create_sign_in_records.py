"""Revoked tokens and the count of wrong guesses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import moment, refuse_to_lose

revision = "002"
down_revision = "001"


def upgrade() -> None:
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String(100), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        moment("revoked_at"),
        moment("expires_at"),
    )
    op.create_index("ix_revoked_tokens_expires_at", "revoked_tokens", ["expires_at"])
    op.create_table(
        "login_throttles",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("address", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        moment("blocked_until", nullable=True),
        moment("succeeded_at", nullable=True),
        moment("touched_at"),
    )
    op.create_index("ix_login_throttles_touched_at", "login_throttles", ["touched_at"])


def downgrade() -> None:
    """Drops the list of revoked tokens: change JWT_SECRET_KEY with this step, or they are good again."""
    refuse_to_lose("revoked tokens", "SELECT count(*) FROM revoked_tokens")
    refuse_to_lose("counts of wrong passwords", "SELECT count(*) FROM login_throttles")
    op.drop_table("login_throttles")
    op.drop_table("revoked_tokens")
