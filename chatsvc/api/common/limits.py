"""How often somebody may call: counted by user, or by address where there is none; in Redis for all processes, else in each.

When Redis is away each process counts for itself until it is back: the limits are then per process, never off.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time

from flask import Response, current_app, g
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from chatsvc.core.errors import TooMany
from chatsvc.extensions import settings
from config import Limit, Settings

log = logging.getLogger(__name__)
REDIS_TIMEOUT = 0.1
REDIS_REST_SECONDS = 5


class Counter:
    """Counts in the shared storage, and in this process's own while that is away."""

    def __init__(self, config: Settings) -> None:
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._shared = FixedWindowRateLimiter(_redis(config.redis_url)) if config.redis_url else None
        self._shared_away_until = 0.0

    def hit(self, item: RateLimitItem, name: str) -> tuple[bool, int, float]:
        """Whether one more is allowed, how many are left after it, and when the count starts anew."""
        if self._shared is not None and time.monotonic() >= self._shared_away_until:
            try:
                return _hit(self._shared, item, name)
            except RedisError as error:
                self._shared_away_until = time.monotonic() + REDIS_REST_SECONDS
                log.warning("Redis does not answer (%s): rate limits are counted per process for the next %d s", type(error).__name__, REDIS_REST_SECONDS)
        return _hit(self._own, item, name)


def _redis(url: str) -> Storage:
    return RedisStorage(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, key_prefix="chatsvc")


def _hit(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> tuple[bool, int, float]:
    allowed = limiter.hit(item, name)
    stats = limiter.get_window_stats(item, name)
    return allowed, stats.remaining, stats.reset_time


def spend(kind: str, who: str) -> None:
    """Counts one request of this kind for whoever this is; TooMany when there were enough."""
    config = settings()
    if not config.ratelimit_enabled:
        return
    limit: Limit = getattr(config, f"ratelimit_{kind}")
    counter: Counter = current_app.extensions["chatsvc.limits"]
    item = RateLimitItemPerSecond(limit.amount, limit.seconds)
    # Names from outside may be long and may hold the storage's own separators.
    name = f"{kind}:{hashlib.sha256(who.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    allowed, left, reset_at = counter.hit(item, name)
    seconds = max(1, math.ceil(reset_at - time.time()))
    g.rate_limit = (kind, limit, left, seconds)
    if not allowed:
        raise TooMany("Too many requests. Wait, then try again", retry_after=seconds)


def headers(response: Response) -> Response:
    """Tells the caller how the count stands, in the spelling of the draft standard and in the older one."""
    found = g.get("rate_limit")
    if found:
        kind, limit, left, seconds = found
        response.headers["RateLimit"] = f'"{kind}";r={left};t={seconds}'
        response.headers["RateLimit-Policy"] = f'"{kind}";q={limit.amount};w={limit.seconds}'
        response.headers["RateLimit-Limit"] = str(limit.amount)
        response.headers["RateLimit-Remaining"] = str(left)
        response.headers["RateLimit-Reset"] = str(seconds)
    return response
