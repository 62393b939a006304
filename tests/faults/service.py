"""The service as it is shipped, in one life after another: started, its processes killed, started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.processes import family
from bench.streams import ROOT, SECRET, free_port
from tests.faults.kill_streams import workers_of
from tests.faults.started import Started


class Service(Started):
    """One port, one database, any number of lives."""

    def __init__(self, database_url: str, folder: Path, command: list[str], settings: dict[str, str]) -> None:
        self.port, self.database_url, self._command = free_port(), database_url, command
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "service.log"
        self.environ = {
            **os.environ,
            "PORT": str(self.port),
            "DATABASE_URL": database_url,
            "JWT_SECRET_KEY": SECRET,
            "CHAT_ENCRYPTION_KEY": SECRET,
            "CHAT_INSTANCE_PATH": str(folder),
            "CHAT_DEMO_ACCOUNTS": "false",
            "RATELIMIT_ENABLED": "false",
            "LOG_LEVEL": "warning",
            **settings,
        }

    def start(self) -> None:
        """Returns when it answers; a dead one's port is free by then."""
        for _ in range(3):
            self.begin(self._command, ROOT, self.environ)
            if self._answers():
                return
        raise AssertionError(f"the service does not start:\n{self.log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            if self._process.pid and self.ready():
                return True
            time.sleep(0.05)
        self.kill()
        return False

    def ready(self, timeout: float = 5.0) -> bool:
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{self.url}/readyz", timeout=timeout):
            return True
        return False

    def workers(self) -> list[int]:
        with contextlib.suppress(OSError):
            return workers_of(self.pid)
        return []

    def kill_worker(self, chance: random.Random) -> bool:
        """kill -9 of one; false when none was there to be killed."""
        found = self.workers()
        return bool(found) and _kill(chance.choice(found))

    def kill_workers(self) -> int:
        """All at once; how many."""
        return sum([_kill(pid) for pid in self.workers()])

    def kill_master(self) -> None:
        """Its workers see that they are alone and go."""
        _kill(self.pid)
        self._reap()

    def kill(self) -> None:
        """Everything: master, workers, cleanup."""
        for pid in family(self.pid):
            _kill(pid)
        self._reap()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(10)


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@contextlib.contextmanager
def serving(database_url: str, command: list[str] | None = None, **settings: str) -> Iterator[Service]:
    """The service on this database, as `make run` starts it; what it says is in `service.log` for as long as it runs."""
    with tempfile.TemporaryDirectory(prefix="chatsvc-service-") as folder:
        service = Service(database_url, Path(folder), command or [sys.executable, "serve.py"], settings)
        try:
            service.start()
            yield service
        finally:
            service.stop()
