"""What the session API adds: agent types, the cap on active sessions, titles searched whatever their case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import drop_columns, on_sqlite, partial, refuse_to_lose

revision = "008"
down_revision = "007"

# Full case folding. Lower, upper, lower brings together what differs in more than case alone (ẞ, ß, SS);
# the dotless i stays apart, as Unicode has it, and the two small sigmas are one letter.
FOLD_BY_ICU = """replace(lower(upper(lower(replace($1, 'ı', U&'\\FDD0') COLLATE "und-x-icu") COLLATE "und-x-icu") COLLATE "und-x-icu"), 'ς', 'σ')"""
FOLD_BUILT_IN = 'casefold($1 COLLATE "pg_unicode_fast")'


def upgrade() -> None:
    op.add_column("chat_sessions", sa.Column("agent_type", sa.String(50), nullable=True))
    op.execute(
        "ALTER TABLE chat_messages ADD COLUMN agent_type VARCHAR(50) CONSTRAINT ck_chat_messages_only_assistants_have_agents CHECK (agent_type IS NULL OR role = 'assistant')"
    )
    op.create_index(
        "idx_chat_sessions_cap",
        "chat_sessions",
        ["user_id", "agent_type", sa.text("updated_at DESC"), sa.text("id DESC")],
        **partial("status = 'ACTIVE' AND agent_type IS NOT NULL AND deleted_at IS NULL AND conversation_id IS NULL"),
    )
    if not on_sqlite():
        create_fold()


def create_fold() -> None:
    """chat_fold(text); on SQLite the service brings a function of this name with every connection."""
    bind = op.get_bind()
    if bind.execute(sa.text("SELECT current_setting('server_version_num')::int >= 180000")).scalar_one():
        fold = FOLD_BUILT_IN
    elif bind.execute(sa.text("SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')")).scalar_one():
        fold = FOLD_BY_ICU
    else:
        raise SystemExit(
            "This PostgreSQL was built without ICU, so it cannot compare titles whatever their case. Use a build with ICU (the usual packages have it), or PostgreSQL 18."
        )
    op.execute(
        sa.text(f"CREATE FUNCTION chat_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fold$ SELECT {fold} $fold$".replace(":", "\\:"))
    )


def downgrade() -> None:
    """Drops the agent types of sessions and messages."""
    refuse_to_lose("sessions with an agent type", "SELECT count(*) FROM chat_sessions WHERE agent_type IS NOT NULL")
    refuse_to_lose("messages with an agent type", "SELECT count(*) FROM chat_messages WHERE agent_type IS NOT NULL")
    if not on_sqlite():
        op.execute("DROP FUNCTION chat_fold(text)")
    op.drop_index("idx_chat_sessions_cap", "chat_sessions")
    drop_columns("chat_messages", "agent_type")
    drop_columns("chat_sessions", "agent_type")
