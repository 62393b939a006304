"""Replies in this process: those it produces, and those it follows for clients that came here.

A producer is a thread of its own (a greenlet under gevent), never the response's generator, so a reply goes on when its
client leaves. One heartbeat for all: it keeps the lease, saves every running reply's new text in one statement, sees who is to
stop, feeds the followers of other processes' replies with one poll, and looks for replies whose process has died.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from chatsvc.core import about, acting, forgetting, heartbeat, replies, titles
from chatsvc.core.clients import Clients
from chatsvc.core.errors import Unavailable
from chatsvc.core.fanout import Fanout, channel
from chatsvc.core.feed import Feed, Followed, Run
from chatsvc.core.idempotency import Claim
from chatsvc.core.listening import LATER, Ask, Heard, listen
from chatsvc.core.metrics import Metrics, sample
from chatsvc.core.read_models import unkept_message
from chatsvc.core.turnstile import Turnstile
from chatsvc.extensions import db
from chatsvc.responders.base import Responder, Stop

log = logging.getLogger(__name__)

TICK_SECONDS = 0.4  # what was told is saved within half a second
NUDGE_SECONDS = 2.0
ASK_SECONDS = 2.0  # how long somebody who was signed out or disabled is still told of a reply, and a nudge
MISSED_SECONDS = 1.0
LEAVE_SECONDS = 5.0  # how long a process that ends still follows the replies of others
ALIVE_SECONDS = 5.0
SWEEP_SECONDS = 15.0
SAVE_TRIES_SECONDS = 60.0
# A thousand replies that begin or end together must not keep a list from being read, and would not be faster all at once.
TURN_SECONDS = 0.01
MOST_TURNS = 10  # fewer than there are connections
GONE = object()
Ended = Callable[[str, dict[str, Any]], Heard | None]


class Runtime:
    """One per process; `context` gives a thread the application's context."""

    def __init__(
        self,
        context: Callable[[], AbstractContextManager[Any]],
        *,
        capacity: int,
        longest: int,
        redis_url: str = "",
        titler: Responder | None = None,
        metrics: Metrics,
    ) -> None:
        self.context = context
        self.capacity = capacity
        self.longest = longest
        self.titler = titler
        self.metrics = metrics
        self.worker_id = str(uuid.uuid4())
        self.stopping = False
        self.queue = Turnstile(TURN_SECONDS, MOST_TURNS)
        self._leaves_at = float("inf")
        self._runs: dict[int, Run] = {}
        self._followed: dict[int, Followed] = {}
        self.clients = Clients()
        self._unkept = itertools.count(-1, -1)
        self._lock = threading.Lock()
        self._heart: threading.Thread | None = None
        self._fanout = Fanout(redis_url, new=self._new, followed=self._channels) if redis_url else None

    def is_a_process_of_its_own(self) -> None:
        """For a copy of the process that this was made in."""
        self.worker_id = str(uuid.uuid4())

    def start(self) -> None:
        """Begins the heartbeat, once; returns when this process is known as a worker, since a reply of an unknown one counts as abandoned."""
        with self._lock:
            if self._heart is None:
                with self.context():
                    heartbeat.tick(self.worker_id, [], [])
                self._heart = threading.Thread(target=self._beat, name="replies", daemon=True)
                self._heart.start()
                if self._fanout is not None:
                    self._fanout.start()

    def stop(self, *, wait: bool = False) -> None:
        """Asks every producer here to save what it has and end; returns at once, since a signal handler calls it, unless told to wait."""
        self.stopping = True
        self._leaves_at = time.monotonic() + LEAVE_SECONDS
        if wait and self._heart is not None:
            self._heart.join(30)

    def has_room(self) -> None:
        """Unavailable when this process has as many streams as it can bear, or is about to end."""
        if self.stopping or max(len(self.clients), len(self._runs)) >= self.capacity:
            raise Unavailable("Too many replies are being written; try again shortly")

    def produce(self, session_id: str, reply_id: int | None, ask: Ask, claim: Claim | None = None, ended: Ended | None = None) -> Feed:
        """Starts to write this reply, in the background; without an id it is told and not kept, and `ended` is told how it went."""
        self.start()
        run = Run(next(self._unkept) if reply_id is None else reply_id, session_id, claim, about=about.current())
        with self._lock:
            self._runs[run.reply_id] = run
        threading.Thread(target=self._produce, args=(run, ask, ended, acting.current()), name=f"reply-{run.reply_id}", daemon=True).start()
        return run.feed

    def ask_to_stop(self, reply_id: int) -> None:
        """At once, when the reply is written here; elsewhere the database tells."""
        run = self._runs.get(reply_id)
        if run is not None:
            run.why_stop = run.why_stop or "cancel"

    def stop_unkept(self, session_id: str) -> None:
        """Where no messages are kept, nobody but the process that writes a reply knows of it."""
        with self._lock:
            for run in (one for one in self._runs.values() if one.session_id == session_id):
                run.why_stop = run.why_stop or "cancel"

    def leaving(self, reply_id: int) -> bool:
        """True when this process ends before it can see the end of that reply, which somebody else goes on writing."""
        return time.monotonic() > self._leaves_at and reply_id not in self._runs

    @contextmanager
    def following(self, session_id: str, reply_id: int) -> Iterator[Feed]:
        """The feed of a running reply, whoever writes it."""
        run = self._runs.get(reply_id)
        if run is not None:
            yield run.feed
            return
        self.start()
        with self._lock:
            followed = self._followed.setdefault(reply_id, Followed(session_id))
            followed.clients += 1
        try:
            yield followed.feed
        finally:
            with self._lock:
                followed.clients -= 1
                if not followed.clients:
                    self._followed.pop(reply_id, None)

    # Producing

    def _produce(self, run: Run, ask: Ask, ended: Ended | None, whom: str | None) -> None:
        about.go_on(run.about)
        with self.context(), acting.acting_for(whom):
            status, facts = listen(run, ask, Stop(lambda: self.stopping or run.why_stop is not None), longest=self.longest)
            final: Any = GONE
            try:
                final = self._insisting(run, lambda: self._ended(run, status, facts, ended))
            except Exception:
                log.exception("the end of reply %s could not be saved; it will be ended from what was saved of it so far", run.reply_id)
            finally:
                # Whatever happens, nobody waits for a reply that nobody writes any more.
                run.feed.end(final)
                with self._lock:
                    self._runs.pop(run.reply_id, None)
                self.metrics.ended(run, final)
            if status == "complete" and self.titler is not None and run.reply_id > 0:
                titles.improve(run.session_id, self.titler, Stop(lambda: self.stopping))

    def _ended(self, run: Run, status: str, facts: dict[str, Any], ended: Ended | None) -> Any:
        """Saves the whole text with how it ended, or that the rest comes by a callback."""
        if run.reply_id < 0:
            if status == LATER:
                return LATER
            heard = ended(status, facts) if ended else (status, facts)
            return GONE if heard is None else unkept_message(run.session_id, "assistant", run.feed.since(0), *heard)
        if status == LATER:
            replies.leave_open(run.session_id, run.reply_id, run.claim)
            final = self._ended_elsewhere(run)
            return LATER if final is GONE else final
        saved = replies.end(run.session_id, run.reply_id, status=status, content=run.feed.since(0), facts=facts, claim=run.claim)
        return saved or self._ended_elsewhere(run)

    def _insisting(self, run: Run, work: Callable[[], Any]) -> Any:
        """Tries again while the database is away, and leaves the reply to the sweep when that takes too long."""
        give_up_at = time.monotonic() + SAVE_TRIES_SECONDS
        while True:
            try:
                with self.queue.turn():
                    return work()
            except Unavailable:
                if time.monotonic() > give_up_at:
                    log.error("reply %s could not be saved; it will be ended from what was saved of it so far", run.reply_id)
                    return GONE
                time.sleep(0.5)

    def _ended_elsewhere(self, run: Run) -> Any:
        if not (rows := replies.ended([run.reply_id])):
            return GONE
        run.ended_elsewhere = True
        run.feed.add(rows[0].content[run.feed.length :])  # a callback may have brought it
        return rows[0]

    # What other processes are told, and what is heard from them

    def _new(self) -> Iterator[tuple[str, int, str]]:
        for run in self._kept():
            text = run.feed.since(run.told)
            if text:
                yield channel(run.session_id, run.reply_id), run.told, text
                run.told += len(text)

    def _kept(self) -> list[Run]:
        with self._lock:
            return [run for run in self._runs.values() if run.reply_id > 0]

    def _open(self) -> dict[int, Followed]:
        with self._lock:
            return {reply_id: followed for reply_id, followed in self._followed.items() if followed.feed.final is None}

    def _channels(self) -> dict[str, Feed]:
        return {channel(followed.session_id, reply_id): followed.feed for reply_id, followed in self._open().items()}

    # The heartbeat

    def _beat(self) -> None:
        acting.act_for(acting.EVERYBODY)
        swept_at = alive_at = asked_at = nudged_at = float("-inf")
        while not self.stopping or self._runs or (self._followed and time.monotonic() < self._leaves_at):
            began = time.monotonic()
            if self.stopping or began - nudged_at > NUDGE_SECONDS:
                nudged_at = began
                self._nudge()
            try:
                with self.context():
                    self.sample()
                    if self._runs or began - alive_at > ALIVE_SECONDS:
                        self._tick()
                        alive_at = began
                    if self._followed:
                        self._poll()
                    if began - asked_at > ASK_SECONDS:
                        asked_at = began
                        self.clients.dismiss()
                    if began - swept_at > SWEEP_SECONDS:
                        swept_at = began
                        replies.sweep()
                        forgetting.take_up()
            except Unavailable as error:
                log.warning("a heartbeat of the replies was missed: %s", error.message)
                time.sleep(MISSED_SECONDS)
            except Exception:
                log.exception("a heartbeat of the replies failed; the next one follows")
                time.sleep(MISSED_SECONDS)
            time.sleep(max(0.02, TICK_SECONDS - (time.monotonic() - began)))
        self._nudge()
        if self._fanout is not None:
            self._fanout.stop()

    def sample(self) -> None:
        """Writes down how many there are of what is counted in gauges."""
        sample(self.metrics, replies=len(self._runs), streams=len(self.clients), pool=db.engine.pool)

    def _tick(self) -> None:
        runs = self._kept()
        pieces, reached = [], []
        for run in runs:
            upto = run.feed.length
            if upto > run.saved:
                pieces.append({"id": run.reply_id, "at": run.saved, "text": run.feed.since(run.saved)[: upto - run.saved]})
                reached.append((run, upto))
        stops = heartbeat.tick(self.worker_id, pieces, [run.reply_id for run in runs])
        for run, upto in reached:
            run.saved = upto
        for run in runs:
            if run.reply_id in stops:
                run.why_stop = run.why_stop or ("cancel" if stops[run.reply_id] else "gone")

    def _poll(self) -> None:
        followed = self._open()
        if not followed:
            return
        for chunk in heartbeat.news({reply_id: one.read for reply_id, one in followed.items()}):
            followed[chunk.message_id].feed.add(chunk.text, chunk.at)
            followed[chunk.message_id].read = chunk.at + len(chunk.text)
        known = {row.id: row for row in replies.states(list(followed))}
        for reply_id, one in followed.items():
            row = known.get(reply_id)
            if row is None:
                one.feed.end(GONE)
            elif row.status != "streaming":
                one.feed.add(row.content, 0)
                one.feed.end(row)

    def _nudge(self) -> None:
        """Lets every follower look up: whether it is time for a comment, and whether this process ends."""
        with self._lock:
            feeds = [run.feed for run in self._runs.values()] + [followed.feed for followed in self._followed.values()]
        for feed in feeds:
            feed.nudge()
