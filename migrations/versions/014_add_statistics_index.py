"""The index that a user's statistics are read from, without a look at the sessions themselves.

While it is built, writes to sessions wait: about two seconds per million. Who has more makes it before the upgrade, beside everybody's writes
(docs/deployment.md); it is then taken as it is.
"""

from __future__ import annotations

from alembic import op

from migrations.steps import partial

revision = "014"
down_revision = "013"

NAME = "idx_chat_sessions_statistics"
# The last two are NULL throughout; SQLite looks them up in the table where the index has them in its condition alone.
COLUMNS = ["user_id", "agent_type", "status", "message_count", "created_at", "deleted_at", "conversation_id"]
# What is true of every counter is asked of statistics alone: no list is thought to come out of here, since it would have to be sorted.
WHERE = "deleted_at IS NULL AND conversation_id IS NULL AND message_count >= 0"


def upgrade() -> None:
    op.create_index(NAME, "chat_sessions", COLUMNS, if_not_exists=True, **partial(WHERE))


def downgrade() -> None:
    op.drop_index(NAME, "chat_sessions")
