"""An empty database for a run: DATABASE_URL, else one made on the server that the tests would take, gone afterwards; or an SQLite file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres


@contextmanager
def database(engine: str = "postgresql") -> Iterator[str]:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="chatsvc-sqlite-") as folder:
            yield f"sqlite:///{folder}/chatsvc.db"
        return
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as scratch:
        server, _ = postgres.find_server(Path(scratch))
        with postgres.new_database(server) as url:
            yield url
