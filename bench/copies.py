"""`flask copy` of 10,000 sessions and 200,000 messages from SQLite to PostgreSQL and back: equal, and how long it takes.

    python -m bench.copies [--texts 500]

Each copy is a process of its own, as an operator starts it. At the end the second SQLite file is held against the first one by SQLite itself:
but for JSON, which PostgreSQL spells in its own way, every row must be the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.databases import ask, migrate, say, server
from config import ROOT
from tests.factories import ENCRYPTION_KEY, SECRET
from tests.migrations import big
from tests.migrations.conftest import Database
from tests.postgres import new_database

JSON = ("metadata", "details", "counts")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=500, help="how many characters are added to each message (0: a short line each)")
    texts = parser.parse_args().texts
    with server() as url, new_database(url) as postgresql, tempfile.TemporaryDirectory() as folder:
        first, back = (f"sqlite:///{Path(folder) / name}" for name in ("first.db", "back.db"))
        say(f"filling an SQLite file with {big.SESSIONS:,} sessions, as many exchanges and {big.MESSAGES:,} messages …")
        _fill(first, texts)
        for target in (postgresql, back):
            migrate(target)
        print(f"source: {_megabytes(first):.0f} MB on SQLite")
        copied(first, postgresql)
        size = ask(postgresql, "SELECT pg_database_size(current_database())")[0][0] / 1e6
        print(f"copy: {size:.0f} MB on PostgreSQL")
        copied(postgresql, back)
        print(f"copy of the copy: {_megabytes(back):.0f} MB on SQLite")
        different = held_against(first, back)
        print("\n".join(different) or "there and back: SQLite finds no row that is not the same")
        print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
        sys.exit(bool(different))


def _fill(url: str, texts: int) -> None:
    database = Database(url)
    big.fill(database)
    if texts:
        with database.raw.transaction():  # past the trigger that would count each row anew; it looks at the first 100 characters alone
            (trigger,) = database.raw.run("SELECT sql FROM sqlite_master WHERE name = 'chat_message_changed'")[0]
            database.raw.run("DROP TRIGGER chat_message_changed")
            database.raw.run(
                "UPDATE chat_messages SET content = substr(content || printf('%100s', ''), 1, 100) || substr(replace(hex(zeroblob(?)), '00', 'äb '), 1, ?)",
                texts,
                texts,
            )
            database.raw.run("UPDATE chat_sessions SET last_message = (SELECT substr(content, 1, 100) FROM chat_messages m WHERE m.id = last_message_id)")
            database.raw.run("UPDATE chat_sessions SET title = (SELECT substr(content, 1, 50) FROM chat_messages m WHERE m.id = title_message_id)")
            database.raw.run(trigger)
    database.close()


def copied(source: str, target: str) -> None:
    """One copy, with what it says."""
    environ = {**os.environ, "DATABASE_URL": target, "JWT_SECRET_KEY": SECRET, "CHAT_ENCRYPTION_KEY": ENCRYPTION_KEY, "LOG_LEVEL": "warning"}
    began, used = time.monotonic(), _processor()
    command = [sys.executable, "-m", "flask", "copy", source]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{time.monotonic() - began:7.1f} s  {line}", end="", flush=True)
    used = _processor() - used
    print(f"to {target.partition(':')[0]}: {time.monotonic() - began:.1f} s, {used:.1f} s of the processor, exit code {process.returncode}", flush=True)
    if process.returncode:
        sys.exit(1)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def held_against(first: str, other: str) -> list[str]:
    """What one file has that the other has not, by SQLite's own comparison."""
    connection = sqlite3.connect(first.removeprefix("sqlite:///"))
    connection.execute("ATTACH ? AS other", (other.removeprefix("sqlite:///"),))
    found = []
    for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'").fetchall():
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(f"json({name})" if name in JSON else name for name in names)
        for one, two in (("main", "other"), ("other", "main")):
            (amount,) = connection.execute(f"SELECT count(*) FROM (SELECT {columns} FROM {one}.{table} EXCEPT SELECT {columns} FROM {two}.{table})").fetchone()
            found += [f"{table}: {amount} rows of {one} are not in {two}"] if amount else []
    connection.close()
    return found


def _megabytes(url: str) -> float:
    return Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6


if __name__ == "__main__":
    main()
