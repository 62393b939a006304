"""A later release's migrations, made up for tests, as CONTRIBUTING.md wants them: what nobody may read meanwhile is quick and by itself; what is slow lets people read."""

from __future__ import annotations

from pathlib import Path

from config import ROOT

NEWEST = max(path.name[:3] for path in (ROOT / "migrations/versions").glob("[0-9]*.py"))
LATER = f"{int(NEWEST) + 1:03}"
LAST = f"{int(NEWEST) + 2:03}"
COLUMNS = '''"""Of a later release, made up for a test."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{later}", "{newest}"
TABLES = ("chat_messages", "chat_sessions")

def upgrade():
    for table in TABLES:
        op.add_column(table, sa.Column("of_later", sa.Integer(), nullable=False, server_default="7"))

def downgrade():
    for table in TABLES:
        op.execute(f"ALTER TABLE {{table}} DROP COLUMN of_later")
'''
INDEXES = '''"""Of the same later release."""
from alembic import op

revision, down_revision = "{last}", "{later}"
TABLES = ("chat_messages", "chat_sessions")

def upgrade():
    for table in TABLES:
        op.create_index(f"idx_{{table}}_of_later", table, ["user_id", "of_later"])

def downgrade():
    for table in TABLES:
        op.drop_index(f"idx_{{table}}_of_later", table)
'''


def write_revisions(migrations: Path) -> None:
    """Into this copy of ours."""
    for name, text in ((LATER, COLUMNS), (LAST, INDEXES)):
        (migrations / f"versions/{name}_of_later.py").write_text(text.format(newest=NEWEST, later=LATER, last=LAST))
