"""Keys that other products call with, each kept as a digest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import moment, refuse_to_lose, uuid_key

revision = "012"
down_revision = "011"

SCOPES = "'read', 'write', 'admin', 'read write', 'read admin', 'write admin', 'read write admin'"


def upgrade() -> None:
    # Rows of nobody: a key is looked for before it is known who calls, so no policy holds them back (011).
    op.create_table(
        "api_keys",
        uuid_key(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("last_four", sa.String(4), nullable=False),
        sa.Column("scopes", sa.String(20), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=True),
        moment("created_at"),
        moment("expires_at", nullable=True),
        moment("last_used_at", nullable=True),
        moment("revoked_at", nullable=True),
        sa.CheckConstraint(f"scopes IN ({SCOPES})", name="scopes"),
    )
    op.create_index("idx_api_keys_created_at", "api_keys", ["created_at", "id"])


def downgrade() -> None:
    """Drops every key: what calls with one is then let in no more, and each is made anew."""
    refuse_to_lose("API keys", "SELECT count(*) FROM api_keys")
    op.drop_table("api_keys")
