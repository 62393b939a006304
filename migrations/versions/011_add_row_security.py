"""On PostgreSQL, rows of people are shown only to the one for whom a statement says that it acts."""

from __future__ import annotations

from alembic import op

from migrations.steps import on_sqlite

revision = "011"
down_revision = "010"

TABLES = ("chat_sessions", "chat_messages", "reply_chunks", "conversations", "idempotency_keys")
# Asked once for each statement and not for each row. A user is spelt with a letter before the id, so that nobody is called `*`.
ITS_OWN = "user_id = (SELECT substr(current_setting('chatsvc.acts_for', true), 2))"
ALL = "(SELECT current_setting('chatsvc.acts_for', true) = '*')"


def upgrade() -> None:
    if on_sqlite():
        return
    for table in TABLES:
        op.execute(f"CREATE POLICY whose ON {table} USING ({ITS_OWN} OR {ALL})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # for the owner of the table too, which the service usually is


def downgrade() -> None:
    if on_sqlite():
        return
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY whose ON {table}")
