"""One program on one machine: started, stopped, killed; what it says is kept in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from bench.processes import family
from tests.cluster.network import Net
from tests.faults.started import Started

PATIENCE = 60.0


class Program(Started):
    """By whom it runs is a name of the system, where this is root."""

    def __init__(self, net: Net, machine: str, folder: Path, command: list[str], *, port: int, environ: dict[str, str] | None = None) -> None:
        self.net, self.machine, self.folder, self.port = net, machine, folder, port
        self.address = net.address(machine)
        self.log = folder / "log"
        self.command, self.environ, self.cwd = command, environ, folder
        self.user: str | None = None

    def start(self) -> None:
        """Returns when it takes connections."""
        process = self.begin(self.run_as(self.command), self.cwd, self.environ)
        until = time.monotonic() + PATIENCE
        while not self.answers():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.machine} does not start {self.command[0]}:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def run_as(self, command: list[str]) -> list[str]:
        who = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"] if self.user and not os.geteuid() else []
        return [*self.net.inside(self.machine), *who, *command]

    def run(self, command: list[str], **environ: str) -> str:
        """A command beside it, to its end; what it said."""
        done = subprocess.run(self.run_as(command), cwd=self.cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed on {self.machine}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        return done.stdout

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1):
            return True
        return False

    def send(self, number: signal.Signals) -> None:
        """To it and all below it, but for what has ended already."""
        for pid in family(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """kill -9 of all of it. It is held first, so that it makes no new ones meanwhile."""
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGSTOP)
            self.send(signal.SIGKILL)
            self._process.wait(PATIENCE)

    def stop(self, seconds: float = PATIENCE) -> float:
        """In peace; how long that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - began

    def says(self, words: str) -> int:
        """How many lines of its log hold these words."""
        return sum(words in line for line in self.log.read_text(errors="replace").splitlines())
