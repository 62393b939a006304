"""What personas are configured with, their circuits, the audit trail, and the indexes that exchanges are found by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import drop_columns, json_object, moment, number, partial, refuse_to_lose, uuid

revision = "010"
down_revision = "009"

LIVE_EXCHANGE = "deleted_at IS NULL AND conversation_id IS NOT NULL"
INDEXES = (
    "idx_chat_sessions_user_exchanges",
    "idx_chat_sessions_user_status",
    "idx_chat_sessions_activity",
    "idx_chat_sessions_conversation_latest",
    "idx_chat_sessions_persona_user",
)


def upgrade() -> None:
    for column in _configuration():
        op.add_column("personas", column)
    op.create_table(
        "circuits",
        sa.Column("persona_id", uuid(), sa.ForeignKey("personas.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        moment("opened_at", nullable=True),
        moment("probed_at", nullable=True),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", number(), primary_key=True, autoincrement=True),
        moment("created_at"),
        sa.Column("actor_id", sa.String(255), nullable=True),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("subject", sa.String(255), nullable=True),
        json_object("details"),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_audit_events_action", "audit_events", ["action", "id"])
    op.create_index("idx_audit_events_actor", "audit_events", ["actor_id", "id"])
    op.create_index("idx_audit_events_subject", "audit_events", ["subject", "id"])
    op.create_index("idx_audit_events_created_at", "audit_events", ["created_at"])
    _index_exchanges()
    # What was said in all exchanges of a conversation is one list, so its messages must be found in their order.
    op.add_column("chat_messages", sa.Column("conversation_id", uuid(), nullable=True))
    op.execute(
        "UPDATE chat_messages SET conversation_id = (SELECT s.conversation_id FROM chat_sessions s WHERE s.id = chat_messages.session_id) "
        "WHERE session_id IN (SELECT id FROM chat_sessions WHERE conversation_id IS NOT NULL)"
    )
    op.create_index("idx_chat_messages_conversation", "chat_messages", ["conversation_id", "id"], **partial("conversation_id IS NOT NULL"))


def _configuration() -> list[sa.Column[object]]:
    return [
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("model", sa.String(255), nullable=True),
        sa.Column("system_prompt", sa.Text(), nullable=True),
        sa.Column("timeout_ms", sa.Integer(), nullable=False, server_default="10000"),
        sa.Column("answers", sa.String(10), nullable=False, server_default="direct"),
        # Encrypted, each bound to its persona.
        sa.Column("secret_sealed", sa.Text(), nullable=True),
        sa.Column("api_key_sealed", sa.Text(), nullable=True),
    ]


def _index_exchanges() -> None:
    # A user's exchanges in the order of the list, beside the index of plain sessions; and those in one state, or the planner goes through everybody's.
    op.create_index("idx_chat_sessions_user_exchanges", "chat_sessions", ["user_id", sa.text("updated_at DESC"), sa.text("id DESC")], **partial(LIVE_EXCHANGE))
    op.create_index(
        "idx_chat_sessions_user_status", "chat_sessions", ["user_id", "status", sa.text("updated_at DESC"), sa.text("id DESC")], **partial(LIVE_EXCHANGE)
    )
    # What the cleanup looks for.
    op.create_index(
        "idx_chat_sessions_activity",
        "chat_sessions",
        ["last_message_at", "created_at"],
        **partial("status = 'ACTIVE' AND conversation_id IS NOT NULL"),
    )
    op.create_index(
        "idx_chat_sessions_conversation_latest",
        "chat_sessions",
        ["conversation_id", sa.text("updated_at DESC"), sa.text("id DESC")],
        **partial("conversation_id IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "idx_chat_sessions_persona_user", "chat_sessions", ["persona_id", "user_id", sa.text("updated_at DESC"), sa.text("id DESC")], **partial(LIVE_EXCHANGE)
    )


def downgrade() -> None:
    """Drops what personas are configured with, secrets included, and the audit trail."""
    refuse_to_lose("configured personas", "SELECT count(*) FROM personas WHERE kind <> 'echo'")
    refuse_to_lose("audit events", "SELECT count(*) FROM audit_events")
    op.drop_index("idx_chat_messages_conversation", "chat_messages")
    drop_columns("chat_messages", "conversation_id")
    for name in INDEXES:
        op.drop_index(name, "chat_sessions")
    op.drop_table("audit_events")
    op.drop_table("circuits")
    drop_columns("personas", "api_key_sealed", "secret_sealed", "answers", "timeout_ms", "system_prompt", "model", "base_url", "webhook_url")
