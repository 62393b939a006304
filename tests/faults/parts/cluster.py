"""A PostgreSQL of a run's own, in a folder that the run chooses, that may be filled, killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2

from bench.streams import free_port
from bench.tools import tool

SETTINGS = ("listen_addresses=127.0.0.1", "max_connections=120", "shared_buffers=32MB", "fsync=on", "synchronous_commit=on", "logging_collector=off")


def somebody() -> str | None:
    """PostgreSQL does not run as root; who it runs as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise SystemExit("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


class Cluster:
    """One server; `extra` are more of its settings."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.data = folder / "data"
        self.log = folder.parent / f"{folder.name}-postgres.log"
        self.port = free_port()
        self.extra = extra
        self.owner = somebody()
        if self.owner:
            shutil.chown(folder, self.owner)
        self._run("initdb", "-D", str(self.data), "--auth=trust", "--username=chatsvc", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"postgresql://chatsvc@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = [*SETTINGS, *self.extra, f"port={self.port}", f"unix_socket_directories={self.data}"]
        options = [part for setting in settings for part in ("-c", setting)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([tool("postgres"), "-D", str(self.data), *options], user=self.owner, stdout=log, stderr=log, cwd="/")
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and self.process.poll() is None:
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(self.server, connect_timeout=2).close()
                return
            time.sleep(0.05)
        raise SystemExit(f"this PostgreSQL did not start:\n{self.log.read_text()[-2000:]}")

    def gone(self) -> bool:
        """Whether it has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # the fast way: nobody is waited for
            self.process.wait(60)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([tool(name), *arguments], user=self.owner, check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def cluster(folder: Path, *extra: str) -> Iterator[Cluster]:
    one = Cluster(folder, *extra)
    try:
        one.start()
        yield one
    finally:
        one.stop()
