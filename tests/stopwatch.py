"""How long something took, but for the time in which others had the processor: what must end within a second does so on a busy machine, too."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


def kept_waiting() -> dict[str, float]:
    """For how many seconds each thread of this process has stood ready and was not let run, as Linux counts them; elsewhere none."""
    waited = {}
    for task in TASKS.glob("*"):
        with suppress(OSError):  # a thread that has ended meanwhile
            waited[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return waited


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
        taken = self.seconds
        others = sum(max(0.0, waited - self.waited.get(name, 0.0)) for name, waited in kept_waiting().items())
        return max(0.0, taken - others)
