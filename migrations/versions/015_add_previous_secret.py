"""The signing secret that a persona had before, and until when it is good beside the present one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.steps import drop_columns, moment

revision = "015"
down_revision = "014"


def upgrade() -> None:
    op.add_column("personas", sa.Column("previous_secret_sealed", sa.Text(), nullable=True))
    op.add_column("personas", moment("previous_secret_until", nullable=True))


def downgrade() -> None:
    """Drops secrets that were replaced, at most a week before they would have ended by themselves. The present ones stay, so nothing that has to be kept
    is lost: what still signs with the one before is refused as it was before this step, until it is given the present one."""
    drop_columns("personas", "previous_secret_sealed", "previous_secret_until")
