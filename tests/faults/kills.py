"""kill -9 of workers, of the master, and of PostgreSQL, under writers and readers: nothing acknowledged is lost, doubled or out of order.

    python -m tests.faults.kills --engine postgresql --workers 200 --clusters 50 --messages 50000        (needs no database)
    python -m tests.faults.kills --engine sqlite --workers 20

PostgreSQL is a cluster of the run's own, killed in three ways: kill -9 of the postmaster and all backends, a stop that leaves
everything to the recovery, and kill -9 of one backend, after which the postmaster ends the others. The service is not started again
for it. One worker kill in twenty is one of the master, after which the service is started again, as a supervisor would.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.databases import say
from tests.faults.cluster import Cluster, own_cluster
from tests.faults.ledger import Run, ledger_run
from tests.faults.prove import databases
from tests.faults.service import Service, serving
from tests.faults.verdicts import tell_verdict

PROMISED_BACK = 5.0  # seconds from the database's return to the first success
MASTERS = 20  # one worker kill in so many is one of the master
LONGEST_GOING = 30.0


@dataclass
class Outages:
    """What was measured of each time that the database was away."""

    first_success: list[float] = field(default_factory=list)
    longest_answer: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        return {
            "first success after the return, s": {"median": middle(self.first_success), "longest": max(self.first_success, default=0.0)},
            "longest answer while away, s": {"median": middle(self.longest_answer), "longest": max(self.longest_answer, default=0.0)},
            "answers while away": dict(sorted(self.answers.items())),
        }


def middle(values: list[float]) -> float:
    return round(statistics.median(values), 2) if values else 0.0


def kill_worker(service: Service, chance: random.Random) -> None:
    until = time.monotonic() + 20
    while not service.kill_worker(chance):
        assert time.monotonic() < until, "no worker came back"
        time.sleep(0.05)


def kill_master(service: Service) -> None:
    """Its workers see that they are alone and go; then a supervisor starts it again."""
    orphans = service.workers()
    service.kill_master()
    until = time.monotonic() + LONGEST_GOING
    while any(_is_there(pid) for pid in orphans):
        assert time.monotonic() < until, f"workers are still there {LONGEST_GOING:.0f} s after their master"
        time.sleep(0.1)
    service.start()


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_database(cluster: Cluster, run: Run, chance: random.Random, outages: Outages) -> str:
    """In one of the three ways; returns when the service has had its first success since."""
    way = chance.choice(("database: all", "database: immediate stop", "database: one backend"))
    history, away = run.history, run.history.now()
    if way.endswith("one backend"):
        cluster.kill_backend(chance.choice(cluster.backends()))
    else:
        cluster.kill() if way.endswith("all") else cluster.stop()
        time.sleep(chance.choice((0, 0.5, 1, 2)))
        cluster.start()
    cluster.until_back()
    back = history.now()
    first = first_success(run, back)
    outages.first_success.append(round(first, 2))
    meanwhile = [answer for answer in list(history.answers) if away <= answer.at < back]
    outages.longest_answer.append(round(max((answer.seconds for answer in meanwhile), default=0.0), 2))
    outages.answers.update(answer.status for answer in meanwhile)
    if first > PROMISED_BACK:
        history.breach(f"the first success came {first:.1f} s after the return ({way})")
    return way


def first_success(run: Run, back: float, *, writes: bool = False) -> float:
    """Seconds until an answer that says that something was written (or read)."""
    looked = 0
    while True:
        answers = run.history.answers
        for answer in answers[looked:]:
            if answer.at >= back and 200 <= answer.status < 300 and (answer.writes or not writes):
                return answer.at + answer.seconds - back
        looked = max(0, len(answers) - 200)  # they stand in the order of their ends
        if run.history.now() - back > 60:
            return run.history.now() - back
        time.sleep(0.01)


def go(engine: str, given: argparse.Namespace, new_database: Callable[[], str], cluster: Cluster | None) -> bool:
    chance = random.Random(given.seed)
    events = ["worker"] * given.workers + ["database"] * (given.clusters if cluster else 0) + ["master"] * (given.workers // MASTERS)
    chance.shuffle(events)
    done, outages, url, began = Counter[str](), Outages(), new_database(), time.monotonic()
    with (
        serving(url, LOG_LEVEL="error") as service,
        ledger_run(service.url, url, seed=given.seed, writers=given.writers, readers=2, users=max(2, given.writers // 5)) as run,
    ):
        for number, event in enumerate(events):
            if time.monotonic() - began > given.minutes * 60:
                break  # what was done by then is what is told
            run.until(run.acknowledged + 10, seconds=60)  # everybody is at work again
            run.until(given.messages * number // len(events), seconds=600)
            time.sleep(chance.uniform(0, 0.3))
            if event == "worker":
                kill_worker(service, chance)
            elif event == "master":
                kill_master(service)
            else:
                assert cluster is not None
                event = kill_database(cluster, run, chance, outages)  # noqa: PLW2901
            done[event] += 1
            if not number % 20:
                say(f"{number} of {len(events)} kills, {run.acknowledged} acknowledged, {len(run.history.breaches)} breaches")
        if sum(done.values()) == len(events):
            run.until(given.messages, seconds=600)
        run.until(run.acknowledged + 100)
    return tell_verdict(
        run.verdict,
        engine=engine,
        seed=given.seed,
        kills=dict(done),
        seconds=round(time.monotonic() - began),
        **(outages.told() if cluster else {}),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), required=True)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--clusters", type=int, default=6)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after so long")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if given.engine == "postgresql":
        with own_cluster() as cluster:
            good = go(given.engine, given, cluster.new_database, cluster)
    else:
        with databases(given.engine) as new_database:
            good = go(given.engine, given, new_database, None)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
