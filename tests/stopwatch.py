"""How long something took, but for the time in which others had the processor: what must end within a second does so on a busy machine, too."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


def kept_waiting() -> float:
    """For how many seconds the threads of this process have stood ready and were not let run, as Linux counts them; elsewhere none."""
    waited = 0
    for task in TASKS.glob("*/schedstat"):
        with suppress(OSError):  # a thread that has ended meanwhile
            waited += int(task.read_text().split()[1])
    return waited / 1e9


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self.began, self.waited = time.monotonic(), kept_waiting()

    @property
    def seconds(self) -> float:
        """By the clock on the wall."""
        return time.monotonic() - self.began

    @property
    def own_seconds(self) -> float:
        """Those of them in which nobody else was in the way."""
        return max(0.0, self.seconds - max(0.0, kept_waiting() - self.waited))
