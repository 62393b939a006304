"""A migrated SQLite file with the users and sessions of the data set, made by bench/sql/sqlite.sql."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.databases import migrate, say
from bench.people import session_id
from bench.streams import ROOT

SCRIPT = Path(__file__).parent / "sql/sqlite.sql"


@contextlib.contextmanager
def filled(users: int) -> Iterator[str]:
    """The URL of such a file; it lies on the disk that instance/ is on, and not in a folder that may be memory."""
    (ROOT / "instance").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "instance", prefix="bench-") as folder:
        file = Path(folder) / "chatsvc.db"
        say(f"filling an SQLite file with {users:,} users …")
        migrate(f"sqlite:///{file}")
        _fill(file, users)
        yield f"sqlite:///{file}"


def _fill(file: Path, users: int) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.create_function("session_id", 1, session_id, deterministic=True)
        # What the service gives each of its connections, since triggers and indexes call it.
        connection.create_function("chat_fold", 1, lambda text: None if text is None else text.casefold(), deterministic=True)
        connection.create_function("chat_now", 0, lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))
        connection.execute("CREATE TEMP TABLE given (users INTEGER)")
        connection.execute("INSERT INTO given VALUES (?)", (users,))
        connection.execute("CREATE TEMP TABLE texts (i INTEGER PRIMARY KEY, t TEXT)")
        connection.executemany("INSERT INTO texts VALUES (?, ?)", enumerate(_texts(2000)))
        connection.commit()
        connection.executescript(f"BEGIN; {SCRIPT.read_text()} COMMIT; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);")


def _texts(amount: int) -> list[str]:
    """Texts of sixteen words, of which some are frequent and most are rare."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=3 + number % 6)) for number in range(4000)]
    return [" ".join(words[int(4000 * draw.random() ** 2)] for _ in range(16)) for _ in range(amount)]
