"""Receipts of erasures, and the indexes by which a user's revoked tokens, the keys they made and what is left of accounts are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import json_object, moment, on_sqlite, partial, refuse_to_lose, uuid_key

revision = "013"
down_revision = "012"

ITS_OWN = "user_id = (SELECT substr(current_setting('chatsvc.acts_for', true), 2))"
ALL = "(SELECT current_setting('chatsvc.acts_for', true) = '*')"


def upgrade() -> None:
    op.create_table(
        "erasures",
        uuid_key(),
        # Whose, until it is done; afterwards only the digest can be held against a name.
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("account", sa.String(255), nullable=True),
        sa.Column("user_digest", sa.String(64), nullable=False),
        sa.Column("asked_by", sa.String(10), nullable=False),
        sa.Column("keeps_account", sa.Boolean(), nullable=False, server_default=sa.false()),
        # SQLite alone: whether the file was written anew, so that nothing of it is left between its rows.
        sa.Column("scrubbed", sa.Boolean(), nullable=True),
        json_object("counts"),
        moment("started_at"),
        moment("seen_at"),
        moment("finished_at", nullable=True),
        sa.CheckConstraint("asked_by IN ('self', 'admin', 'command')", name="asked_by"),
        sa.CheckConstraint("finished_at IS NULL OR (user_id IS NULL AND account IS NULL)", name="names_nobody"),
    )
    op.create_index("uq_erasures_running", "erasures", ["user_id"], unique=True, **partial("finished_at IS NULL"))
    op.create_index("ix_erasures_finished_at", "erasures", ["finished_at"])
    op.create_index("ix_revoked_tokens_user_id", "revoked_tokens", ["user_id"])
    op.create_index("ix_api_keys_created_by", "api_keys", ["created_by"])
    # What is left of accounts that were erased.
    op.create_index("idx_users_erased", "users", ["disabled_at"], **partial("username = ''"))
    if not on_sqlite():
        op.execute(f"CREATE POLICY whose ON erasures USING ({ITS_OWN} OR {ALL})")
        op.execute("ALTER TABLE erasures ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE erasures FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Drops the receipts."""
    refuse_to_lose("receipts of erasures", "SELECT count(*) FROM erasures")
    op.drop_index("idx_users_erased", "users")
    op.drop_index("ix_api_keys_created_by", "api_keys")
    op.drop_index("ix_revoked_tokens_user_id", "revoked_tokens")
    op.drop_table("erasures")
