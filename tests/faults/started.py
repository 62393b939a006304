"""A program that was started; what it says is kept in a file."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Started:
    """It may have had other lives before."""

    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def begin(self, command: list[str], cwd: Path, environ: dict[str, str] | None) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=log, stderr=log)
        return self._process
