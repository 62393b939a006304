"""A backup put back, as docs/backup.md says it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import postgres


def has_programs() -> bool:
    return bool(shutil.which("pg_dump") and shutil.which("pg_restore"))


def skip_without_programs(engine_name: str) -> None:
    if engine_name == "postgresql" and not has_programs():
        pytest.skip("pg_dump and pg_restore are not on this machine's PATH: backups of PostgreSQL are not shown here")


@contextmanager
def restored(backup: Path, folder: Path, server: str | None) -> Iterator[str]:
    """The URL of a database made of this backup alone: a PostgreSQL one on this server, else an SQLite file."""
    if server is None:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "chatsvc.db"
        shutil.copyfile(backup, place)
        yield f"sqlite:///{place}"
        return
    with postgres.new_database(server) as url:
        command = ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, str(backup)]
        done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield url
