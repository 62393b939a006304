"""What is counted, by name. docs/observability.md says what each is for; a test holds the page against this list."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chatsvc.core import tallies
from chatsvc.core.exposition import Family
from chatsvc.core.tally import GAUGE, LATEST, LOST, SUM, Key, Tally

REQUEST_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FIRST_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WHOLE_BOUNDS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

REQUESTS = Family("chatsvc_http_requests_total", "counter", "Requests, by method, route, face and status.")
REQUEST_SECONDS = Family("chatsvc_http_request_duration_seconds", "histogram", "Until an answer, or the beginning of a stream, was ready.", REQUEST_BOUNDS)
REPLIES = Family("chatsvc_replies_total", "counter", "Replies that have ended, by how, of what they failed, and who was asked.")
FIRST_SECONDS = Family("chatsvc_reply_first_token_seconds", "histogram", "From a question until the first piece of its reply.", FIRST_BOUNDS)
REPLY_SECONDS = Family("chatsvc_reply_duration_seconds", "histogram", "From a question until its reply had ended.", WHOLE_BOUNDS)
REPLIES_RUNNING = Family("chatsvc_replies_running", "gauge", "Replies that are being written here.")
STREAMS = Family("chatsvc_streams_running", "gauge", "Clients that are being told a reply, or wait for one.")
PROCESSES = Family("chatsvc_workers", "gauge", "Processes that serve.")
POOL_SIZE = Family("chatsvc_db_pool_size", "gauge", "Connections to the database that these processes may have.")
POOL_IN_USE = Family("chatsvc_db_pool_in_use", "gauge", "Connections in use at the last heartbeat.")
POOL_WAITS = Family("chatsvc_db_pool_waits_total", "counter", "How often a connection was waited for.")
POOL_WAIT_SECONDS = Family("chatsvc_db_pool_wait_seconds_total", "counter", "How long connections were waited for.")
POOL_TIMEOUTS = Family("chatsvc_db_pool_timeouts_total", "counter", "How often none was free in time.")
CLEANUP_ROWS = Family("chatsvc_cleanup_rows_total", "counter", "Rows that the cleanup has ended or erased, by what they were.")
CLEANUP_PASSES = Family("chatsvc_cleanup_passes_total", "counter", "Passes of the cleanup, by kind and outcome.")
CLEANUP_LAST = Family("chatsvc_cleanup_last_success_timestamp_seconds", "gauge", "When a pass of this kind last went well.")
METRICS_LOST = Family(LOST.name, "counter", "Numbers for which there was no room.")

COUNTED = (
    *(REQUESTS, REQUEST_SECONDS, REPLIES, FIRST_SECONDS, REPLY_SECONDS, REPLIES_RUNNING, STREAMS, PROCESSES),
    *(POOL_SIZE, POOL_IN_USE, POOL_WAITS, POOL_WAIT_SECONDS, POOL_TIMEOUTS, CLEANUP_ROWS, CLEANUP_PASSES, CLEANUP_LAST, METRICS_LOST),
)


class Buckets:
    """The cells of one line of a histogram."""

    __slots__ = ("bounds", "places", "total")

    def __init__(self, tally: Tally, family: Family, labels: tuple[tuple[str, str], ...]) -> None:
        self.bounds = family.bounds
        ends = [*(f"{bound:g}" for bound in family.bounds), "+Inf"]
        self.places = [tally.place(Key(SUM, f"{family.name}_bucket", (*labels, ("le", end)))) for end in ends]
        self.total = tally.place(Key(SUM, f"{family.name}_sum", labels))


class Metrics:
    """What this process counts. Its methods are for what happens now and then; whoever counts each request keeps the places."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.folder: Path | None = None
        self._buckets: dict[tuple[str, tuple[tuple[str, str], ...]], Buckets] = {}
        for kind in ("timeout", "purge"):
            for outcome in ("ok", "failed"):
                self.count(CLEANUP_PASSES, 0, kind=kind, outcome=outcome)  # or the first failure would be no increase

    def keep_in(self, folder: Path) -> None:
        """From here on with the other processes of this service."""
        self.tally.keep_in(folder)
        self.folder = folder

    def together(self) -> tallies.Numbers:
        """What all processes of this service have counted; this one alone, where they have no folder."""
        return tallies.together(self.folder) if self.folder else self.tally.numbers()

    def count(self, family: Family, amount: float = 1.0, **labels: str) -> None:
        self.tally.add(self.tally.place(Key(SUM, family.name, tuple(labels.items()))), amount)

    def now(self, family: Family, value: float, **labels: str) -> None:
        self.tally.put(self.tally.place(Key(GAUGE, family.name, tuple(labels.items()))), value)

    def at(self, family: Family, **labels: str) -> None:
        """That happened just now."""
        self.tally.put(self.tally.place(Key(LATEST, family.name, tuple(labels.items()))), time.time())

    def so_far(self, family: Family, value: float) -> None:
        """A count that is kept elsewhere in this process."""
        self.tally.put(self.tally.place(Key(SUM, family.name)), value)

    def took(self, family: Family, seconds: float, **labels: str) -> None:
        line = self.buckets(family, tuple(labels.items()))
        self.tally.add(line.places[bisect_left(line.bounds, seconds)])
        self.tally.add(line.total, seconds)

    def buckets(self, family: Family, labels: tuple[tuple[str, str], ...]) -> Buckets:
        found = self._buckets.get((family.name, labels))
        if found is None:
            found = self._buckets[family.name, labels] = Buckets(self.tally, family, labels)
        return found

    def reply(self, final: Any, responder: str = "none") -> None:
        """A reply has ended as this row, or is left open for what comes LATER, or is gone."""
        outcome = final if isinstance(final, str) else getattr(final, "status", "gone")
        kind = (getattr(final, "meta", {}).get("error") or {}).get("kind") or "none"
        self.count(REPLIES, outcome=outcome, kind=kind, responder=responder)

    def ended(self, run: Any, final: Any) -> None:
        """A reply that was written here; what somebody else has ended was counted there."""
        if run.ended_elsewhere:
            return
        self.reply(final, run.responder)
        self.took(REPLY_SECONDS, time.monotonic() - run.began, responder=run.responder)
        if run.first_at is not None:
            self.took(FIRST_SECONDS, run.first_at - run.began, responder=run.responder)

    def cleaned(self, kind: str, rows: dict[str, int]) -> None:
        """A pass of the cleanup has gone well."""
        for what, amount in rows.items():
            self.count(CLEANUP_ROWS, amount, what=what)
        self.count(CLEANUP_PASSES, kind=kind, outcome="ok")
        self.at(CLEANUP_LAST, kind=kind)


def sample(metrics: Metrics, *, replies: int, streams: int, pool: Any) -> None:
    """What stands in a gauge, looked at now and then."""
    metrics.now(PROCESSES, 1)
    metrics.now(REPLIES_RUNNING, replies)
    metrics.now(STREAMS, streams)
    metrics.now(POOL_SIZE, pool.size())
    metrics.now(POOL_IN_USE, pool.checkedout())
    for family, value in zip((POOL_WAITS, POOL_WAIT_SECONDS, POOL_TIMEOUTS), pool.waits.told(), strict=True):
        metrics.so_far(family, value)


__all__: Sequence[str] = ("COUNTED", "Metrics", "sample")
