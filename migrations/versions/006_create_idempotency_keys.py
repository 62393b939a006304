"""First answers of requests that may be sent again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import moment, refuse_to_lose, uuid

revision = "006"
down_revision = "005"


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("session_id", uuid(), nullable=True),
        moment("created_at"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_index("ix_idempotency_keys_session_id", "idempotency_keys", ["session_id"])


def downgrade() -> None:
    """Drops the keys of the last day: a retry that crosses this step writes a second time."""
    refuse_to_lose("answers kept for retries", "SELECT count(*) FROM idempotency_keys")
    op.drop_table("idempotency_keys")
