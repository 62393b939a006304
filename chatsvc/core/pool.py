"""The pool of connections, which tells how often and how long one of them was waited for."""

from __future__ import annotations

import threading
import time
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatsvc.core.patience import Pool


class Waits:
    """Of all pools that one engine has had."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = (0, 0.0, 0)

    def told(self) -> tuple[int, float, int]:
        """How many there were, how many seconds they took, and how many were in vain."""
        return self._told

    def add(self, seconds: float, *, in_vain: bool) -> None:
        with self._lock:
            amount, total, lost = self._told
            self._told = (amount + 1, total + seconds, lost + in_vain)


class WatchedPool(Pool):
    """A pool that is looked at before it is asked: whoever finds it empty will wait."""

    waits: Waits

    def _do_get(self) -> Any:
        if self._pool.queue or self._overflow < self._max_overflow:  # type: ignore[attr-defined]
            return super()._do_get()
        began = time.monotonic()
        try:
            found = super()._do_get()
        except PoolTimeout:
            self.waits.add(time.monotonic() - began, in_vain=True)
            raise
        self.waits.add(time.monotonic() - began, in_vain=False)
        return found


def watched() -> type[WatchedPool]:
    """A kind of pool for one engine, which makes itself a new pool of the same kind when the database was away."""
    return type("WatchedPool", (WatchedPool,), {"waits": Waits()})
