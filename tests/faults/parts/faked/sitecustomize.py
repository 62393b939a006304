"""Read by every Python whose clock is faked: libfaketime takes the moment to which time.sleep sleeps, by the clock that it leaves alone, for one long past."""

from __future__ import annotations

import select
import time


def sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep
