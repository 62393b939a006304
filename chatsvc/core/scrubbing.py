"""SQLite's file after an erasure. What was erased is overwritten where it stood, but copies of a row may lie between others in a page that
was once split; they go when the file is written anew. PostgreSQL's own cleaning (VACUUM) does that there."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sqlalchemy import text

from chatsvc.core.database import read, write
from chatsvc.core.errors import Unavailable
from chatsvc.extensions import db

log = logging.getLogger(__name__)

LARGEST = 128 * 1024 * 1024  # writers wait meanwhile, and no longer than they would for each other
TRIES = 20


def is_due() -> bool:
    """Whether this is a database that has such a file at all."""
    return db.engine.dialect.name == "sqlite"


def scrub(*, largest: int | None = LARGEST) -> bool:
    """Writes the file anew and empties what lies beside it; False when that has to wait for a better hour."""
    path = Path(str(db.engine.url.database))
    if largest is not None and path.stat().st_size > largest:
        log.warning("the database file is large, so what was erased was overwritten but the file not written anew; at a quiet hour: flask cleanup scrub")
        return False
    try:
        write(text("VACUUM"))
    except Unavailable:
        log.warning("the database file could not be written anew while others write; flask cleanup scrub does it")
        return False
    return _checkpoint()


def _checkpoint() -> bool:
    """Once nobody reads from it any more, the log beside the file is emptied."""
    for _ in range(TRIES):
        if not read(text("PRAGMA wal_checkpoint(TRUNCATE)"))[0][0]:
            return True
        time.sleep(0.1)
    log.warning("the log beside the database file is still read by somebody and could not be emptied; flask cleanup scrub does it")
    return False
