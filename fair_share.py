"""Each worker holds about as many connections as the others.

A connection stays where it was taken in, and whoever is quickest takes it in: of thirty-two that came at once, one worker was seen to hold
thirty-one. So one that holds more than another leaves what comes to that one, unless it does not come for it.
"""

from __future__ import annotations

import mmap
import time
from typing import Any

FREE, LEAVING = -1, -2  # a place that nobody has, and one whose worker takes nothing in any more
PATIENCE_SECONDS = 0.03  # a worker that is at work looks up about this often
STEP_SECONDS = 0.001
SLACK = 8  # one part in so many more than another is even enough


class Shares:
    """How many connections each worker holds: in memory that was shared before the workers were made, each writing in its own place."""

    def __init__(self, places: int) -> None:
        self.counts = memoryview(mmap.mmap(-1, 4 * places)).cast("i")
        for place in range(places):
            self.counts[place] = FREE

    def place(self) -> Share:
        """For a new worker; only the process that makes them asks."""
        for place, count in enumerate(self.counts):
            if count == FREE:
                self.counts[place] = 0
                return Share(self.counts, place)
        return Share(memoryview(bytearray(4)).cast("i"), 0)  # more than were thought of: this one is on its own


class Share:
    """One worker's."""

    def __init__(self, counts: memoryview, place: int) -> None:
        self._counts = counts
        self._place = place
        self._seen = FREE
        self._since = float("-inf")

    @property
    def amount(self) -> int:
        found: int = self._counts[self._place]
        return found

    def holds(self, amount: int) -> None:
        if self.amount != LEAVING:
            self._counts[self._place] = amount

    def leave(self) -> None:
        """Takes nothing in any more, so that nobody waits for it. What it holds ends in its own time, and so long the place is its own."""
        self._counts[self._place] = LEAVING

    def free(self) -> None:
        """Its worker is gone; only the process that makes them says so."""
        self._counts[self._place] = FREE

    def is_anothers_turn(self) -> bool:
        """Whether somebody who holds less is still likely to take in what is there."""
        least = min((count for count in self._counts if count >= 0), default=0)
        if self.amount <= least + least // SLACK:
            return False
        now = time.monotonic()
        waited = now - self._since
        if least != self._seen or waited > 2 * PATIENCE_SECONDS:  # they have just taken one, or this is about another
            self._seen, self._since = least, now
            return True
        return waited < PATIENCE_SECONDS


def greenlets(share: Share) -> None:
    """Makes the server of a worker of greenlets such a one."""
    from gevent.server import StreamServer  # noqa: PLC0415 - a process of threads loads none of it
    from gunicorn.workers import ggevent  # noqa: PLC0415

    class FairServer(StreamServer):  # type: ignore[misc]
        def _do_read(self) -> None:
            if share.is_anothers_turn():
                self.stop_accepting()
                self._timer = self.loop.timer(STEP_SECONDS)
                self._timer.start(self._start_accepting_if_started)
            else:
                super()._do_read()  # of one; then those who are in already have their turn

        def do_handle(self, *args: object) -> None:
            share.holds(share.amount + 1)
            super().do_handle(*args)

        def do_close(self, *args: object) -> None:
            share.holds(share.amount - 1)
            super().do_close(*args)

    ggevent.StreamServer = FairServer


def threads(kind: type[Any]) -> type[Any]:
    """A worker of threads, made such a one."""

    class FairThreads(kind):  # type: ignore[misc]
        def notify(self) -> None:
            self.share.holds(self.nr_conns)
            super().notify()

        def accept(self, listener: object) -> None:
            if self.share.is_anothers_turn():
                time.sleep(STEP_SECONDS)
                return  # who is still there then is seen again
            super().accept(listener)
            self.share.holds(self.nr_conns)

    return FairThreads
