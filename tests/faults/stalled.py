"""PostgreSQL that is there and does not answer: all connections taken behind a lock, and a server whose processes are stopped.

    python -m tests.faults.stalled            (a minute; needs no database)

Somebody holds LOCK TABLE for 20 s while 64 clients write; then every process of PostgreSQL is stopped for 15 s while the same clients
write and whoever watches asks /readyz ten times a second. Everybody is told 503 in time, nobody hangs, and afterwards nothing
has to be started again, no connection is left behind, and the ledger is in order.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from tests.faults.cluster import Cluster, own_cluster
from tests.faults.kills import first_success, middle
from tests.faults.ledger import Run, ledger_run
from tests.faults.service import serving
from tests.faults.told import tell

CLIENTS = 64
LOCKED, STOPPED = 20.0, 15.0
LONGEST_BUSY = 12.0  # nobody hangs: three seconds for a connection and a lock together, six for a server that says nothing, and what a busy machine adds
BACK_AFTER_LOCK, BACK_AFTER_STOP = 2.0, 5.0
PROBES_A_SECOND = 10


@contextlib.contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Somebody, say a migration, has the table to themselves."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.cursor().execute("LOCK TABLE chat_messages IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@dataclass
class Probe:
    """Whoever watches over the service."""

    url: str
    answers: list[tuple[str, int, float]] = field(default_factory=list)
    leave: threading.Event = field(default_factory=threading.Event)

    def ask(self, path: str) -> None:
        began, status = time.monotonic(), 0
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            pass
        self.answers.append((path, status, time.monotonic() - began))

    def watch(self) -> None:
        """Ten times a second, whether or not the last one was answered."""
        threads = []
        while not self.leave.wait(1 / PROBES_A_SECOND):
            for path in ("/readyz", "/healthz"):
                threads.append(threading.Thread(target=self.ask, args=[path]))
                threads[-1].start()
        for thread in threads:
            thread.join(60)

    def told(self, path: str) -> dict[str, Any]:
        seconds = [took for asked, _, took in self.answers if asked == path]
        statuses = Counter(status for asked, status, _ in self.answers if asked == path)
        return {"answers": dict(statuses), "median s": middle(seconds), "longest s": round(max(seconds, default=0.0), 2)}


def answers_since(run: Run, away: float) -> dict[str, Any]:
    """Those of the clients that began while it was away; waits until the last of them has come."""
    back = run.history.now()
    time.sleep(LONGEST_BUSY)
    found = [answer for answer in list(run.history.answers) if away <= answer.at < back and answer.writes]
    slow = [round(answer.seconds, 1) for answer in found if answer.seconds > LONGEST_BUSY]
    if slow:
        run.history.breach(f"{len(slow)} answers took longer than {LONGEST_BUSY:.0f} s: {slow[:5]}")
    seconds = sorted(answer.seconds for answer in found)
    within = {f"within {limit} s": sum(took <= limit for took in seconds) for limit in (3.5, 6.5)}
    statuses = dict(Counter(answer.status for answer in found))
    return {"answers": statuses, "median s": middle(seconds), "longest s": round(max(seconds, default=0.0), 2), **within}


def pool_exhausted(run: Run, url: str) -> dict[str, Any]:
    away = run.history.now()
    with locked(url):
        time.sleep(LOCKED)
    back = run.history.now()
    first = first_success(run, back, writes=True)
    if first > BACK_AFTER_LOCK:
        run.history.breach(f"the first success came {first:.1f} s after the lock had gone")
    return {**answers_since(run, away), "first success s": round(first, 2)}


def hung(run: Run, cluster: Cluster, service_url: str) -> dict[str, Any]:
    probe = Probe(service_url)
    watcher = threading.Thread(target=probe.watch)
    away = run.history.now()
    with cluster.hung():
        watcher.start()
        time.sleep(STOPPED)
        probe.leave.set()
    back = run.history.now()
    first = first_success(run, back, writes=True)
    watcher.join(90)
    if first > BACK_AFTER_STOP:
        run.history.breach(f"the first success came {first:.1f} s after PostgreSQL went on")
    ready, alive = probe.told("/readyz"), probe.told("/healthz")
    if set(alive["answers"]) != {200} or 0 in ready["answers"] or ready["longest s"] > LONGEST_BUSY:
        run.history.breach(f"the probes were answered {probe.told('/readyz')} and {probe.told('/healthz')}")
    return {**answers_since(run, away), "first success s": round(first, 2), "/readyz": ready, "/healthz": alive}


def left_behind(cluster: Cluster, url: str) -> dict[str, int]:
    """The service's connections by their state, once nobody asks anything."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM pg_stat_activity WHERE application_name = 'chatsvc' GROUP BY state")
        return dict(cursor.fetchall())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with own_cluster() as cluster:
        url = cluster.new_database()
        with serving(url, LOG_LEVEL="error") as service:
            with ledger_run(service.url, url, seed=given.seed, writers=CLIENTS, readers=2, pause=0.2) as run:
                run.until(200)
                exhausted = pool_exhausted(run, url)
                run.until(run.acknowledged + 100)
                stopped = hung(run, cluster, service.url)
                run.until(run.acknowledged + 100)
            time.sleep(1)
            connections = left_behind(cluster, url)
    verdict = run.verdict
    if set(connections) - {"idle"} or sum(connections.values()) > 2 * 16 + 2:
        verdict.breaches.append(f"connections were left behind: {connections}")
    tell(seed=given.seed, acknowledged=verdict.acknowledged, locked=exhausted, stopped=stopped, connections=connections, breaches=len(verdict.breaches))
    if verdict.breaches:
        tell(failed=verdict.told())
    sys.exit(0 if not verdict.breaches else 1)


if __name__ == "__main__":
    main()
