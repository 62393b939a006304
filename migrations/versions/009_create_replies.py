"""Replies while they are written: which worker writes them, their text so far, and the wish to stop."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import drop_columns, moment, number, partial, refuse_to_lose

revision = "009"
down_revision = "008"


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(36), primary_key=True),
        moment("started_at"),
        moment("seen_at"),
    )
    # The text grows here, appended to; rewriting the message each time would cost the square of its length.
    op.create_table(
        "reply_chunks",
        sa.Column("message_id", number(), sa.ForeignKey("chat_messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.add_column("chat_messages", sa.Column("worker_id", sa.String(36), nullable=True))
    op.add_column("chat_messages", sa.Column("reply_to", number(), nullable=True))
    op.add_column("chat_messages", moment("cancel_requested_at", nullable=True))
    op.add_column("idempotency_keys", sa.Column("reply_id", number(), nullable=True))
    op.create_index("uq_chat_messages_running", "chat_messages", ["session_id"], unique=True, **partial("status = 'streaming'"))
    op.create_index("idx_chat_messages_running_user", "chat_messages", ["user_id"], **partial("status = 'streaming'"))
    op.create_index("idx_chat_messages_running_worker", "chat_messages", ["worker_id"], **partial("status = 'streaming'"))


def downgrade() -> None:
    """Drops the text so far of replies that are being written: let them end first."""
    refuse_to_lose("replies being written", "SELECT count(*) FROM chat_messages WHERE status = 'streaming'")
    for name in ("idx_chat_messages_running_worker", "idx_chat_messages_running_user", "uq_chat_messages_running"):
        op.drop_index(name, "chat_messages")
    drop_columns("idempotency_keys", "reply_id")
    drop_columns("chat_messages", "cancel_requested_at", "reply_to", "worker_id")
    op.drop_table("reply_chunks")
    op.drop_table("workers")
