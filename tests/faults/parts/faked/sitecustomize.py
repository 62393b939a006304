"""Read by every Python whose clock is faked: libfaketime takes the moment to which time.sleep sleeps, by the clock that it leaves alone, for one long past."""

from __future__ import annotations

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex, /) -> None:
    select.select([], [], [], float(seconds))  # refuses what is less than nothing, as the other does


time.sleep = sleep
