"""chatsvc as `flask serve` starts it, as a process that a run may stop, hang and start again, with all that it says kept."""

from __future__ import annotations

import os
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
from bench.streams import SECRET, free_port
from config import ROOT
from tests.factories import ENCRYPTION_KEY

DEFAULTS = {
    "JWT_SECRET_KEY": SECRET,
    "CHAT_ENCRYPTION_KEY": ENCRYPTION_KEY,
    "CHAT_DEMO_ACCOUNTS": "false",
    "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    "LOG_LEVEL": "warning",
}


def environ_of(url: str, **settings: str) -> dict[str, str]:
    return {**os.environ, **DEFAULTS, "DATABASE_URL": url, **settings}


class Service:
    """One `flask serve`; `before` is what its command line begins with, such as faketime."""

    def __init__(self, url: str, folder: Path, *, log: Path | None = None, before: tuple[str, ...] = (), **settings: str) -> None:
        self.port = free_port()
        self.log = log or folder / f"service-{self.port}.log"
        self.before = before
        self.environ = environ_of(url, PORT=str(self.port), CHAT_INSTANCE_PATH=str(folder), **settings)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, ready_within: float = 60) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.before, sys.executable, "-m", "flask", "serve"], cwd=ROOT, env=self.environ, stdout=log, stderr=log)
        ends_at = time.monotonic() + ready_within
        while time.monotonic() < ends_at and self.process.poll() is None:
            if self.status("/readyz") == 200:
                return
            time.sleep(0.05)
        raise SystemExit(f"chatsvc did not start:\n{self.log.read_text()[-2000:]}")

    def status(self, path: str) -> int:
        """What a path that anyone may ask answers; 0 where nobody does."""
        try:
            with urllib.request.urlopen(self.base + path, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def workers(self) -> list[int]:
        """gunicorn's, not the repeating cleanup."""
        found = []
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with suppress(OSError):  # it has ended meanwhile
                if b"gunicorn" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def megabytes(self) -> float:
        """What all its processes use, what they share counted once."""
        total = 0.0
        for pid in family(self.pid):
            with suppress(OSError, StopIteration):
                total += memory(pid).proportional
        return total

    def stop(self, *, by: signal.Signals = signal.SIGTERM, within: float = 60) -> float:
        """How many seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(by)
        self.process.wait(within)
        return time.monotonic() - began

    def verified(self) -> bool:
        """Whether `flask verify` finds nothing; what it finds goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=self.environ, stdout=log, stderr=log, check=False).returncode == 0


@contextmanager
def running(url: str, *, before: tuple[str, ...] = (), **settings: str) -> Iterator[Service]:
    """One in a folder of its own; ended however the run ends."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(url, Path(folder), log=None, before=before, **settings)
        try:
            service.start()
            yield service
        finally:
            end(service)


def end(service: Service) -> None:
    if service.process is not None and service.process.poll() is None:
        service.process.terminate()
        try:
            service.process.wait(60)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait()
            raise
