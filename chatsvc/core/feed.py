"""The text of one reply as it grows in this process, for everybody here who follows it."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatsvc.core import spans
from chatsvc.core.about import About
from chatsvc.core.idempotency import Claim

EARLY = 1000  # pieces that may wait for what comes before them; more than Redis tells between two looks at the rows


class Turn:
    """What one reader waits with."""

    __slots__ = ("wait", "wake")

    def __init__(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        self.wait: Callable[[], object] = lock.acquire
        self.wake: Callable[[], object] = lock.release


class Feed:
    """Pieces in their order. Offsets are code points. Ends once, with the message as it was saved.

    Those who add take turns: Redis and the rows tell of the same reply at once. Reading works without a lock because each step is
    one that the interpreter does whole: a piece is appended before the length says so, and a reader looks again after it has put
    itself on the list of those who wait. A reader waits without a time limit, since ten thousand timers a second are a machine's whole work; the process's
    heartbeat nudges all readers now and then instead.
    """

    __slots__ = ("_adding", "_early", "_pieces", "_starts", "_waiting", "final", "length")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._early: dict[int, str] = {}
        self._adding = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self.length = 0
        self.final: Any = None

    def add(self, piece: str, at: int | None = None) -> None:
        """Appends a piece. Of one that comes from elsewhere and begins at `at`, what was seen already is left out; after a gap it waits."""
        with self._adding:
            self._put(piece, self.length if at is None else at)
            while self._early and (first := min(self._early)) <= self.length:
                self._put(self._early.pop(first), first)
        self.nudge()

    def _put(self, piece: str, at: int) -> None:
        new = piece[self.length - at :] if at <= self.length else ""
        if new:
            self._pieces.append(new)
            self._starts.append(self.length)
            self.length += len(new)
        elif at > self.length and len(self._early) < EARLY:
            self._early[at] = max(piece, self._early.get(at, ""), key=len)

    def end(self, final: Any) -> None:
        """The reply has ended and is saved as this message."""
        self.final = final
        self.nudge()

    def nudge(self) -> None:
        """Wakes everybody who waits."""
        while self._waiting:
            try:
                self._waiting.popleft().wake()
            except IndexError:
                return  # another thread woke them

    def since(self, offset: int) -> str:
        """The text from this offset on."""
        length = self.length
        if offset >= length:
            return ""
        first = bisect_right(self._starts, offset) - 1
        text = self._pieces[first][offset - self._starts[first] :]
        if first < len(self._starts) - 1:
            text += "".join(self._pieces[first + 1 : len(self._starts)])
        return text[: length - offset]

    def wait(self, offset: int, turn: Turn | None = None) -> str:
        """The text from this offset on; waits for some, for the end, or for a nudge. Who waits again and again brings the same turn."""
        if self.length <= offset and self.final is None:
            turn = turn or Turn()
            self._waiting.append(turn)
            if self.length <= offset and self.final is None:
                turn.wait()
            else:
                self._withdraw(turn)
        return self.since(offset)

    def _withdraw(self, turn: Turn) -> None:
        try:
            self._waiting.remove(turn)
        except ValueError:
            turn.wait()  # somebody has just taken it off the list, to wake whoever waits


@dataclass(slots=True)
class Run:
    """A reply that this process produces; one that is not to be kept has a number below zero and no row."""

    reply_id: int
    session_id: str
    claim: Claim | None = None
    feed: Feed = field(default_factory=Feed)
    saved: int = 0
    told: int = 0
    why_stop: str | None = None
    about: About | None = None
    trace: Any = field(default_factory=spans.current)
    began: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    responder: str = "none"
    ended_elsewhere: bool = False


@dataclass(slots=True)
class Followed:
    """A reply of another process, how far its rows have been read (Redis may have told more), and how many clients here follow it."""

    session_id: str
    feed: Feed = field(default_factory=Feed)
    read: int = 0
    clients: int = 0
