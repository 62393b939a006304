"""How much the process grew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Growth:
    megabytes: float = 0.0


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@contextmanager
def growth() -> Iterator[Growth]:
    """Watches, fifty times a second, how far the resident memory rises above where it was."""
    grown, before, done = Growth(), resident(), threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            grown.megabytes = max(grown.megabytes, resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield grown
    finally:
        done.set()
        watcher.join()
        grown.megabytes = max(grown.megabytes, resident() - before)
