"""A whole database as bytes: what anybody could find in it who has the file, or a dump."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.migrations.raw import Raw


def dumped(url: str) -> bytes:
    """Of SQLite the raw file and what lies beside it; of PostgreSQL a dump, and every row as text where there is no pg_dump."""
    if url.startswith("sqlite"):
        return raw_file(url)
    program = shutil.which("pg_dump")
    if program is None:
        return _rows(url)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    environ = {**os.environ, "PGOPTIONS": "-c chatsvc.acts_for=*"}
    return subprocess.run([program, "--enable-row-security", plain], env=environ, capture_output=True, check=True).stdout


def raw_file(url: str) -> bytes:
    """By another program: a process that opens and closes such a file by itself loses all locks that its connections hold on it, and the
    next one to leave the database takes the log away from under them."""
    path = Path(str(make_url(url).database))
    there = [one for one in (path, path.with_name(f"{path.name}-wal")) if one.exists()]
    return subprocess.run(["cat", *map(str, there)], capture_output=True, check=True).stdout


def _rows(url: str) -> bytes:
    with Raw(url) as raw:
        raw.run("SET chatsvc.acts_for = '*'")
        tables = [row[0] for row in raw.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return "\n".join(str(row[0]) for table in tables for row in raw.run(f"SELECT t::text FROM {table} t")).encode()


def holding(url: str, mark: str) -> dict[str, int]:
    """In how many rows of each table this stands, as far as SQL shows it."""
    found = {}
    with Raw(url) as raw:
        if raw.on_sqlite:
            tables = [row[0] for row in raw.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        else:
            raw.run("SET chatsvc.acts_for = '*'")
            tables = [row[0] for row in raw.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for table in tables:
            amount = sum(mark in repr(row) for row in raw.run(f"SELECT * FROM {table}"))
            if amount:
                found[table] = amount
    return found
