"""The folder in which the processes of a service count. The server's master makes it ready, and may load nothing of the service itself: its workers
put greenlets in place first.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GONE = "gone.json"


def begin(folder: Path) -> int:
    """An empty folder, unless a service that uses it is running (one that takes its own place without a gap). The number that comes back is an
    open file, which says so to the next one for as long as this process or one that it starts by fork lives."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "held", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # a service uses it, this one perhaps
    else:
        with locked(folder):
            for path in folder.iterdir():
                if path.suffix in (".cells", ".new") or path.name == GONE:
                    path.unlink()
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time: a file must not be counted twice, or not at all, because somebody else is just burying it. Held for milliseconds."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
