"""A way in for many who come at once, so that those who come for something else are not kept waiting by all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turnstile:
    """Lets them in one after another, the next when the last one is through, or after so many seconds if it takes longer (a lock that it
    waits for, a database that is far away); never more than `most` at once."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._inside = threading.BoundedSemaphore(most)
        self._entrance = threading.Lock()
        self._last = threading.Event()
        self._last.set()

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._inside:
            with self._entrance:
                self._last.wait(self._seconds)
                mine = self._last = threading.Event()
            try:
                yield
            finally:
                mine.set()
