"""How often somebody may call: counted by user, or by address where there is none; in Redis for all processes, else in each.

When Redis is away each process counts for itself until it is back: the limits are then per process, never off.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from typing import NamedTuple

from flask import current_app, g
from limits.storage import RedisStorage
from redis.exceptions import RedisError

from chatsvc.core.errors import TooMany
from chatsvc.extensions import settings
from config import Limit, Settings

log = logging.getLogger(__name__)
REDIS_TIMEOUT = 0.1
REDIS_REST_SECONDS = 5
SWEEP_SECONDS = 10
COUNT = b"""
local amount = redis.call("INCR", KEYS[1])
if amount == 1 then redis.call("EXPIRE", KEYS[1], ARGV[1]) end
return {amount, redis.call("PTTL", KEYS[1])}
"""


class Count(NamedTuple):
    """How a count stands: so many were counted in this window, which ends in so many seconds."""

    amount: int
    seconds_left: int


class OwnWindows:
    """The counts of this process. The library's own storage starts a thread every few requests to forget the old ones."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._sweeps_at = time.monotonic() + SWEEP_SECONDS

    def hit(self, key: str, seconds: int) -> Count:
        now = time.monotonic()
        with self._lock:
            if now >= self._sweeps_at:
                self._windows = {name: window for name, window in self._windows.items() if window[0] > now}
                self._sweeps_at = now + SWEEP_SECONDS
            ends_at, amount = self._windows.get(key, (0.0, 0))
            if ends_at <= now:
                ends_at, amount = now + seconds, 0
            self._windows[key] = (ends_at, amount + 1)
        return Count(amount + 1, min(seconds, max(1, math.ceil(ends_at - now))))


class SharedWindows(RedisStorage):
    """The counts of all processes. The library asks twice, for the amount and for the time that is left; a Redis that is slow costs that much twice."""

    def initialize_storage(self, _uri: str) -> None:
        super().initialize_storage(_uri)
        self._count = self.get_connection().register_script(COUNT)

    def hit(self, key: str, seconds: int) -> Count:
        amount, milliseconds = self._count([self.prefixed_key(key)], [seconds])
        return Count(int(amount), min(seconds, max(1, math.ceil(int(milliseconds) / 1000))))


class Counter:
    """Counts in the shared storage, and in this process's own while that is away."""

    def __init__(self, config: Settings) -> None:
        self._own = OwnWindows()
        self._shared = _shared(config.redis_url) if config.redis_url else None
        self._away_until: float | None = None
        self._lock = threading.Lock()

    def hit(self, key: str, seconds: int) -> Count:
        """One more under this key."""
        if self._shared is not None and self._may_ask():
            try:
                count = self._shared.hit(key, seconds)
            except RedisError as error:
                self._lost(error)
            else:
                self._found()
                return count
        return self._own.hit(key, seconds)

    def _may_ask(self) -> bool:
        """Always, while it answers; else one request every few seconds, so that the others are not slowed."""
        if self._away_until is None:
            return True
        with self._lock:
            if self._away_until is None or time.monotonic() < self._away_until:
                return self._away_until is None
            self._away_until = time.monotonic() + REDIS_REST_SECONDS
            return True

    def _lost(self, error: RedisError) -> None:
        with self._lock:
            first, self._away_until = self._away_until is None, time.monotonic() + REDIS_REST_SECONDS
        if first:
            log.warning("Redis does not answer (%s): until it does, each process counts rate limits for itself", type(error).__name__)

    def _found(self) -> None:
        if self._away_until is None:
            return
        with self._lock:
            back, self._away_until = self._away_until is not None, None
        if back:
            log.warning("Redis answers again: rate limits are counted for all processes together")


def _shared(url: str) -> SharedWindows:
    return SharedWindows(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, key_prefix="chatsvc")


def spend(kind: str, who: str) -> None:
    """Counts one request of this kind for whoever this is; TooMany when there were enough. Some kinds have a limit only where the operator sets one."""
    config = settings()
    limit: Limit | None = getattr(config, f"ratelimit_{kind}")
    if limit is None or not config.ratelimit_enabled:
        return
    counter: Counter = current_app.extensions["chatsvc.limits"]
    # Names from outside may be long and may hold the storage's own separators; a count of another window is another count.
    digest = hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    count = counter.hit(f"{kind}:{limit.seconds}:{digest}", limit.seconds)
    left = max(0, limit.amount - count.amount)
    if "rate_limit" not in g or left <= g.rate_limit[2]:
        g.rate_limit = (kind, limit, left, count.seconds_left)  # the one that is used up first is told
    if count.amount > limit.amount:
        raise TooMany("Too many requests. Wait, then try again", retry_after=count.seconds_left)


def headers() -> dict[str, str]:
    """Tells the caller how the count stands, in the spelling of the draft standard and in the older one."""
    found = g.get("rate_limit")
    if not found:
        return {}
    kind, limit, left, seconds = found
    return {
        "RateLimit": f'"{kind}";r={left};t={seconds}',
        "RateLimit-Policy": f'"{kind}";q={limit.amount};w={limit.seconds}',
        "RateLimit-Limit": str(limit.amount),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(seconds),
    }
