"""Title, preview and counter of a session, kept by triggers; the lists' two indexes; the rows that were there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import SQL, create_trigger, create_truncate_trigger, drop_columns, drop_trigger, moment, number, on_sqlite, partial, refuse_to_lose

revision = "007"
down_revision = "006"

COLUMNS = ("title", "last_message", "message_count", "last_message_at", "newest_message_id", "last_message_id", "title_message_id", "title_from")


def upgrade() -> None:
    for column in (
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("last_message", sa.Text(), nullable=True),
        sa.Column("message_count", sa.Integer(), nullable=False, server_default="0"),
        moment("last_message_at", nullable=True),
        # Which messages the time, the preview and the title come from: with them, hardly anything needs a look back.
        sa.Column("newest_message_id", number(), nullable=True),
        sa.Column("last_message_id", number(), nullable=True),
        sa.Column("title_message_id", number(), nullable=True),
    ):
        op.add_column("chat_sessions", column)
    op.execute(
        "ALTER TABLE chat_sessions ADD COLUMN title_from VARCHAR(10) NOT NULL DEFAULT 'message' CONSTRAINT ck_chat_sessions_title_from CHECK (title_from IN ('message', 'person', 'model'))"
    )
    op.create_index(
        "idx_chat_sessions_user_id_updated",
        "chat_sessions",
        ["user_id", sa.text("updated_at DESC"), sa.text("id DESC")],
        **partial("deleted_at IS NULL AND conversation_id IS NULL"),
    )
    op.create_index(
        "idx_chat_sessions_updated_at", "chat_sessions", [sa.text("updated_at DESC")], **partial("status = 'ACTIVE' AND conversation_id IS NOT NULL")
    )
    op.create_index(
        "idx_chat_sessions_deleted", "chat_sessions", ["user_id", sa.text("updated_at DESC"), sa.text("id DESC")], **partial("deleted_at IS NOT NULL")
    )
    # After the indexes: PostgreSQL keeps one that is built over rows updated by the same transaction out of its plans for a while.
    op.execute(sa.text((SQL / "007_backfill.sql").read_text()))
    create_trigger("chat_message_added", event="AFTER INSERT", table="chat_messages", when="NEW.deleted_at IS NULL", file="007_message_added.sql")
    create_trigger(
        "chat_message_changed",
        event="AFTER UPDATE OF content, role, status, created_at, deleted_at",
        table="chat_messages",
        when="OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL",
        file="007_message_changed.sql",
    )
    create_trigger("chat_message_removed", event="AFTER DELETE", table="chat_messages", when="OLD.deleted_at IS NULL", file="007_message_removed.sql")
    if not on_sqlite():
        create_truncate_trigger("chat_messages_emptied", table="chat_messages", file="007_messages_emptied.sql")
    create_trigger(
        "chat_session_untitled", event="AFTER UPDATE OF title_from", table="chat_sessions", when="NEW.title_from = 'message'", file="007_session_untitled.sql"
    )


def downgrade() -> None:
    """Drops titles, previews and counters. All but the titles that people gave are made again on the way up."""
    refuse_to_lose("titles that people gave", "SELECT count(*) FROM chat_sessions WHERE title_from = 'person'")
    drop_trigger("chat_session_untitled", "chat_sessions")
    if not on_sqlite():
        drop_trigger("chat_messages_emptied", "chat_messages")
    for name in ("chat_message_removed", "chat_message_changed", "chat_message_added"):
        drop_trigger(name, "chat_messages")
    for name in ("idx_chat_sessions_deleted", "idx_chat_sessions_updated_at", "idx_chat_sessions_user_id_updated"):
        op.drop_index(name, "chat_sessions")
    drop_columns("chat_sessions", *COLUMNS)
