"""A whole copy of the database as of one moment, while it is written to: SQLite's by its own means, PostgreSQL's by pg_dump."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from chatsvc.core import acting
from chatsvc.core.database import read
from chatsvc.core.errors import Unavailable
from chatsvc.extensions import db


class NoBackup(Exception):
    """None was made, and nothing was left behind."""


def to_file(path: Path) -> int:
    """Writes the copy to a file that is not there yet, readable by its owner alone; how many bytes it has. The file appears when it is whole."""
    if path.exists():
        raise NoBackup(f"{path} is there already; a backup overwrites nothing")
    _look_for_tables()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if db.engine.dialect.name == "sqlite":
            _copy_sqlite(part)
        else:
            _dump(part, db.engine.url)
        _reach_the_disk(part)
        os.link(part, path)  # unlike a rename it fails where another backup of that name was quicker
        _reach_the_disk(path.parent)
        return path.stat().st_size
    except OSError as error:
        raise NoBackup(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _look_for_tables() -> None:
    """A command without the service's settings looks at an empty file of its own, whose backup would be found empty on the day it is needed."""
    try:
        read(text("SELECT version_num FROM alembic_version"))
    except Unavailable as error:
        raise NoBackup(error.message) from None
    except DBAPIError:
        where = db.engine.url.render_as_string()
        raise NoBackup(f"{where} has no tables of chatsvc, so there is nothing to back up. Are the settings those of the service (DATABASE_URL)?") from None


def _copy_sqlite(part: Path) -> None:
    """All pages in one step: a copy in several begins anew whenever another process has written, and would never end on a busy service."""
    source = db.engine.raw_connection()
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as target:
            driver: Any = source.dbapi_connection
            driver.backup(target, pages=-1)
            target.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, with nothing beside it
            found = target.execute("PRAGMA quick_check").fetchall()
            if found != [("ok",)]:
                raise NoBackup(f"the copy is damaged, and so may the database be: {found[0][0]}")
    except sqlite3.Error as error:
        raise NoBackup(f"SQLite says: {error}") from error
    finally:
        source.close()


def _dump(part: Path, url: URL) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise NoBackup("pg_dump is not on this machine's PATH; it comes with PostgreSQL's client programs, of the server's release or a newer one")
    place = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    given = str(url.query.get("options", ""))
    place = place.update_query_dict({"options": f"{given} -c {acting.SETTING}={acting.EVERYBODY}".strip()})  # everybody's rows
    with NamedTemporaryFile("w", prefix="chatsvc-") as passwords:  # in a command line every user of the machine would see it
        if url.password is not None:
            passwords.write("*:*:*:*:" + re.sub(r"([\\:])", r"\\\1", str(url.password)) + "\n")
            passwords.flush()
            place = place.update_query_dict({"passfile": passwords.name})
        where = place.render_as_string(hide_password=False).replace("+", "%20")  # PostgreSQL's programs take a plus for a plus
        command = [
            program,
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            "--enable-row-security",
            "--file",
            str(part),
            "--dbname",
            where,
        ]
        # No shell; place and file are the operator's.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    if done.returncode:
        raise NoBackup(f"pg_dump says: {done.stderr.strip() or f'exit code {done.returncode}'}")


def _reach_the_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
