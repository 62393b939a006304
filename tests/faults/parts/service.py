"""The service of the fault runs with what the runs around it need besides: rate limits on, how it ends, what it uses."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.processes import family, memory
from config import ROOT
from tests.faults.service import Service as Killed

SERVE = [sys.executable, "serve.py"]


class Service(Killed):
    """One `flask serve`, begun in another way where `before` says so (faketime, for one)."""

    def __init__(self, database_url: str, folder: Path, *, before: tuple[str, ...] = (), **settings: str) -> None:
        super().__init__(database_url, folder, [*before, *SERVE], {"RATELIMIT_ENABLED": "true", "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", **settings})

    def status(self, path: str) -> int:
        """What a path that anyone may ask answers; 0 where nobody does."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def megabytes(self) -> float:
        """What all its processes use, what they share counted once."""
        total = 0.0
        for pid in family(self.pid):
            with suppress(OSError, StopIteration):  # it has ended meanwhile
                total += memory(pid).proportional
        return total

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self, within: float = 60) -> float:
        """Waits for its end; how many seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.wait(within)
        return time.monotonic() - began

    def verified(self) -> bool:
        """Whether `flask verify` finds nothing; what it finds goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=self.environ, stdout=log, stderr=log, check=False).returncode == 0


@contextmanager
def running(database_url: str, *, before: tuple[str, ...] = (), folder: Path | None = None, **settings: str) -> Iterator[Service]:
    """One in a folder of its own; ended however the run ends."""
    with tempfile.TemporaryDirectory(prefix="chatsvc-service-") as own:
        service = Service(database_url, folder or Path(own), before=before, **settings)
        try:
            service.start()
            yield service
        finally:
            service.stop()
