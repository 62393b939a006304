"""New text told to other processes through Redis, where there is one: they then need not wait for their next look at the rows.

Nothing depends on it. What is missed, because Redis was away or a follower came late, is read from the rows like everything else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import orjson
import redis

from chatsvc.core.feed import Feed

log = logging.getLogger(__name__)

TELL_SECONDS = 0.05
AWAY_SECONDS = 5.0
CHANNEL = "chatsvc:reply:"

New = tuple[str, int, str]  # channel, offset, text


def channel(session_id: str, reply_id: int) -> str:
    """Where a reply is told. Its number alone would not do: other services, with other databases, may use the same Redis."""
    return f"{CHANNEL}{session_id}:{reply_id}"


class Fanout:
    """Tells what `new` gives, twenty times a second, and hears for the feeds that `followed` gives by their channels."""

    def __init__(self, url: str, *, new: Callable[[], Iterable[New]], followed: Callable[[], Mapping[str, Feed]]) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
        self._new = new
        self._followed = followed
        self._ended = False

    def start(self) -> None:
        for task in (self._tell, self._hear):
            threading.Thread(target=self._again_and_again, args=(task,), name="fanout", daemon=True).start()

    def stop(self) -> None:
        self._ended = True

    def _again_and_again(self, task: Callable[[], None]) -> None:
        while not self._ended:
            try:
                task()
            except redis.RedisError as error:
                log.warning(
                    "Redis does not answer (%s): replies of other processes are followed by their rows for the next %d s", type(error).__name__, AWAY_SECONDS
                )
                time.sleep(AWAY_SECONDS)

    def _tell(self) -> None:
        while not self._ended:
            new = list(self._new())
            if new:
                pipe = self._client.pipeline(transaction=False)
                for name, at, text in new:
                    pipe.publish(name, orjson.dumps([at, text]))
                pipe.execute()
            time.sleep(TELL_SECONDS)

    def _hear(self) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as ear:  # type: ignore[no-untyped-call]
            ear.subscribe(f"{CHANNEL}none")  # a connection with no subscription cannot be read from
            known: set[str] = set()
            while not self._ended:
                feeds = self._followed()
                if feeds.keys() - known:
                    ear.subscribe(*(feeds.keys() - known))
                if known - feeds.keys():
                    ear.unsubscribe(*(known - feeds.keys()))
                known = set(feeds)
                message = ear.get_message(timeout=0.1)
                while message is not None:
                    self._heard(feeds, message)
                    message = ear.get_message()

    def _heard(self, feeds: Mapping[str, Feed], message: Mapping[str, bytes]) -> None:
        feed = feeds.get(message["channel"].decode())
        try:
            at, text = orjson.loads(message["data"])
        except (ValueError, TypeError):
            return  # somebody else's: Redis lets anybody speak
        if feed is not None and isinstance(at, int) and at >= 0 and isinstance(text, str):
            feed.add(text, at)
