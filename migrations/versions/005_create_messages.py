"""Messages, tied to their session and its owner by one key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import create_guard, json_object, moment, number, on_sqlite, partial, refuse_to_lose, uuid

revision = "005"
down_revision = "004"


def upgrade() -> None:
    op.create_table(
        "chat_messages",
        sa.Column("id", number(), *([] if on_sqlite() else [sa.Identity()]), primary_key=True, autoincrement=True),
        sa.Column("session_id", uuid(), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        json_object("metadata"),
        sa.Column("status", sa.String(10), nullable=False, server_default="complete"),
        moment("created_at"),
        moment("edited_at", nullable=True),
        moment("deleted_at", nullable=True),
        sa.ForeignKeyConstraint(["session_id", "user_id"], ["chat_sessions.id", "chat_sessions.user_id"], ondelete="CASCADE"),
        sa.CheckConstraint("role IN ('user', 'assistant', 'system')", name="role"),
        sa.CheckConstraint("status IN ('complete', 'streaming', 'cancelled', 'failed')", name="status"),
        sa.CheckConstraint("status = 'complete' OR role = 'assistant'", name="only_replies_run"),
        # AUTOINCREMENT: without it the id of an erased newest message would be given to the next one.
        sqlite_autoincrement=True,
    )
    op.create_index("idx_chat_messages_session_id", "chat_messages", ["session_id", "id"])
    op.create_index("idx_chat_messages_live", "chat_messages", ["session_id", "id"], **partial("deleted_at IS NULL"))
    op.create_index("idx_chat_messages_purge", "chat_messages", ["deleted_at"], **partial("deleted_at IS NOT NULL"))
    create_guard(
        "chat_message_stays",
        event="BEFORE UPDATE OF id, session_id, user_id",
        table="chat_messages",
        when="NEW.id <> OLD.id OR NEW.session_id <> OLD.session_id OR NEW.user_id <> OLD.user_id",
        message="a message keeps its id, its session and its owner",
    )
    if on_sqlite():
        # Its shell leaves foreign keys off: whoever erases a session there erases its messages all the same.
        op.execute(
            "CREATE TRIGGER chat_session_erased AFTER DELETE ON chat_sessions FOR EACH ROW BEGIN DELETE FROM chat_messages WHERE session_id = OLD.id; END"
        )


def downgrade() -> None:
    """Drops every message."""
    refuse_to_lose("messages", "SELECT count(*) FROM chat_messages")
    if on_sqlite():
        op.execute("DROP TRIGGER chat_session_erased")
    op.drop_table("chat_messages")
    if not on_sqlite():
        op.execute("DROP FUNCTION chat_message_stays()")
