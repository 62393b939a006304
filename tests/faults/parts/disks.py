"""Small disks, in memory: to be filled to the last byte and emptied again. Mounting takes root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOT_CHECKED = "This run mounts small disks (tmpfs), which takes root and a system that allows it. What it shows was NOT checked."
PIECE = 64 * 1024


class Disk:
    """One of so many megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> int:
        """To the last byte; how many bytes that took."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for piece in (PIECE, 1):
                try:
                    while ballast.write(b"\0" * piece) == piece:
                        pass
                except OSError:  # none is left, or less than this
                    continue
        return self._ballast.stat().st_size

    def empty(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="chatsvc-disk-") as name:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", name], check=False, capture_output=True)
        if mounted.returncode or os.geteuid():
            raise SystemExit(NOT_CHECKED)
        try:
            yield Disk(Path(name))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
