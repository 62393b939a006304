"""Who has written a moment ago, known to all processes by way of Redis: what they read next comes from the primary (docs/decisions/0017).

A process that cannot ask Redis takes it that everybody has. What it could not tell it goes on telling until nobody needs it any more.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass

import redis

from chatsvc.core import acting
from chatsvc.extensions import last_writes

log = logging.getLogger(__name__)

KEEP_SECONDS = 5.0  # longer than a replica that is read from may be behind
AGAIN_SECONDS = 1.0  # of somebody who writes and writes, Redis is told once in so many
LIVES_SECONDS = KEEP_SECONDS + AGAIN_SECONDS
ANSWER_SECONDS = 0.25
REST_SECONDS = 2.0
KEY = "chatsvc:wrote:"
# A Redis that was emptied, or started anew, knows nobody, and that says nothing until its marks would have gone anyway. So it has a name, which
# whoever comes first gives it, and which is vouched for once it has kept it for so long.
BORN, VOUCHED = "chatsvc:wrote-born", "chatsvc:wrote-vouched"


@dataclass(slots=True)
class Mark:
    """When somebody has written last in this process, and when Redis was last told of it."""

    wrote: float
    told: float


class LastWrites:
    """Those of this process, and by way of Redis those of all."""

    anywhere = False  # whether any application of this process keeps them: a look that costs nothing

    def __init__(self, url: str) -> None:
        LastWrites.anywhere = True
        self._redis = redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
        self._born: tuple[object, float] = (None, 0.0)
        self._marks: dict[str, Mark] = {}
        self._lock = threading.Lock()
        self._rests_until = float("-inf")
        self._away = False

    def note(self, whom: str) -> None:
        """They have written; everybody knows when this returns, or is told as soon as Redis answers."""
        mark = self._noted(whom, time.monotonic())
        if mark.wrote - mark.told > AGAIN_SECONDS and self._may_ask():
            self._tell([(whom, mark)])

    def lately(self, whom: str) -> bool:
        """Whether they have written in the last seconds, in any process; True too where that cannot be known."""
        mark = self._marks.get(whom)
        if mark is not None and time.monotonic() - mark.wrote <= KEEP_SECONDS:
            return True
        if not self._may_ask():
            return True
        try:
            born, vouched, mark_of_all = self._redis.mget(BORN, VOUCHED, _key(whom))
        except redis.RedisError as error:
            self._lost(error)
            return True
        self._found()
        return mark_of_all is not None or born is None or born != vouched

    def tell_again(self) -> None:
        """Of those that Redis has not heard of, for as long as it matters."""
        now = time.monotonic()
        with self._lock:
            self._marks = {whom: mark for whom, mark in self._marks.items() if now - mark.wrote <= LIVES_SECONDS}
            due = [(whom, mark) for whom, mark in self._marks.items() if mark.wrote - mark.told > AGAIN_SECONDS]
        if due:
            self._tell(due)

    def vouch(self) -> None:
        """Looks whether Redis is the one that it was."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(BORN, uuid.uuid4().hex, nx=True)
                pipe.mget(BORN, VOUCHED)
                _, (born, vouched) = pipe.execute()
            now = time.monotonic()
            if born != self._born[0]:
                self._born = (born, now)
            elif born != vouched and now - self._born[1] > LIVES_SECONDS:
                self._redis.set(VOUCHED, born)
        except redis.RedisError as error:
            self._lost(error)
        else:
            self._found()

    def _noted(self, whom: str, now: float) -> Mark:
        with self._lock:
            mark = self._marks.get(whom)
            if mark is None:
                mark = self._marks[whom] = Mark(now, float("-inf"))
            mark.wrote = now
            return mark

    def _tell(self, due: list[tuple[str, Mark]]) -> None:
        began = time.monotonic()
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for whom, _ in due:
                    pipe.set(_key(whom), 1, px=int(LIVES_SECONDS * 1000))
                pipe.execute()
        except redis.RedisError as error:
            self._lost(error)
            return
        self._found()
        for _, mark in due:
            mark.told = began

    def _may_ask(self) -> bool:
        """Not for a while once it has not answered, so that nobody is slowed."""
        return time.monotonic() >= self._rests_until

    def _lost(self, error: redis.RedisError) -> None:
        with self._lock:
            first, self._away = not self._away, True
            self._rests_until = time.monotonic() + REST_SECONDS
        if first:
            log.warning("Redis does not answer (%s): nobody knows who has just written, so everything is read from the primary", type(error).__name__)

    def _found(self) -> None:
        if self._away:
            with self._lock:
                back, self._away = self._away, False
            if back:
                log.warning("Redis answers again: what may be a moment old is read from the replica again")


def note(*whom: str | None) -> None:
    """What was committed just now was written for these; without any, for those for whom this thread acts and who called."""
    kept: LastWrites | None = last_writes() if LastWrites.anywhere else None
    if kept is None:
        return
    for one in set(whom or (acting.current(), acting.caller())):
        if one not in (None, acting.NOBODY, acting.EVERYBODY):
            kept.note(one)


def _key(whom: str) -> str:
    return KEY + hashlib.sha256(whom.encode("utf-8", "surrogatepass")).hexdigest()[:32]
