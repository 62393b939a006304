"""Whether the service can do its work: the database answers, and its tables are those this code was written for."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chatsvc.core.database import read
from chatsvc.core.errors import Unavailable
from chatsvc.extensions import db

PATIENCE = 1.0  # seconds that one who asks waits for another who has asked already
_asking = threading.Lock()


def check() -> dict[str, str]:
    """What is wrong, by name; empty when all is well. One at a time asks the database: while it hangs, whoever asks again and again
    would otherwise take all of its connections."""
    if not _asking.acquire(timeout=PATIENCE):
        return {"database": "The database has not answered the last one who asked yet"}
    try:
        return _checked()
    finally:
        _asking.release()


def _checked() -> dict[str, str]:
    try:
        rows = read(text("SELECT version_num FROM alembic_version"))
    except Unavailable as error:
        return {"database": error.message}
    except DBAPIError:
        return {"migrations": "The tables are not there. Run: flask db upgrade"}
    found = rows[0].version_num if rows else "none"
    if found not in ("none", *known_revisions()):
        return {"migrations": f"The database is at revision {found}, which this code does not know: it was migrated by a newer release"}
    if found != newest_revision():
        return {"migrations": f"The database is at revision {found}, this code needs {newest_revision()}. Run: flask db upgrade"}
    return {}


def wall_missing() -> str | None:
    """Why PostgreSQL does not hold back rows of others by itself, if so; SQLite never does."""
    if db.engine.dialect.name != "postgresql" or read(text("SELECT row_security_active('chat_sessions') AS active"))[0].active:
        return None
    return (
        "The role in DATABASE_URL is a superuser, or may bypass row-level security: the database does not hold back rows of others as a second "
        "wall. Give chatsvc a role of its own: createuser chatsvc"
    )


def newest_revision() -> str:
    return known_revisions()[0]


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions that came with this code, newest first."""
    folder = Path(__file__).resolve().parents[2] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    return tuple(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())
