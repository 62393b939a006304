"""Rolling restarts behind nginx, with streams open: no plain request fails, each stream ends as it is told, each process is gone in time.

    python -m tests.faults.rolling --rounds 2        (DATABASE_URL, an empty PostgreSQL database, or one made on the server of the tests; needs nginx)

Two `flask serve` behind nginx, on one PostgreSQL. While the ledger writes and reads through nginx and streams are followed, the workers of
one are renewed (SIGHUP) and then those of the other, one service is stopped (SIGTERM) and started again, and then the other.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack

from tests.faults.ledger import Run, ledger_run
from tests.faults.parts.databases import database
from tests.faults.parts.following import Follower, begun, ended
from tests.faults.parts.nginx import nginx
from tests.faults.parts.service import Service, running
from tests.faults.told import tell

GRACE = 20.0  # graceful_timeout of gunicorn.conf.py
STREAMS, WORDS = 25, 120  # for each restart: some 12 seconds
WHO = "follower"


def renewed(service: Service) -> float:
    """SIGHUP: other workers, the same master; seconds until none of the old ones is left."""
    old, began = set(service.workers()), time.monotonic()
    service.send(signal.SIGHUP)
    while old & set(service.workers()):
        if time.monotonic() > began + 2 * GRACE:
            break
        time.sleep(0.1)
    return time.monotonic() - began


def stopped_and_started(service: Service) -> float:
    """SIGTERM; seconds until it was gone."""
    service.send(signal.SIGTERM)
    seconds = service.ended(within=3 * GRACE)
    service.start()
    return seconds


def one_round(run: Run, port: int, services: list[Service], number: int) -> list[Follower]:
    followers: list[Follower] = []
    for restart in (renewed, stopped_and_started):
        for index, service in enumerate(services):
            users = [f"{WHO}-{number}-{restart.__name__}-{index}-{stream}" for stream in range(STREAMS)]
            followers += begun(port, users, WORDS)
            time.sleep(3)
            seconds = restart(service)
            if seconds > GRACE + 2:
                run.history.breach(f"{restart.__name__} took {seconds:.1f} s")
            tell(at=round(run.history.now(), 1), round=number, restart=restart.__name__, service=index, seconds=round(seconds, 1), messages=run.acknowledged)
            run.until(run.acknowledged + 100)
    return followers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    tell(seed=given.seed)
    with ExitStack() as stack:
        url = stack.enter_context(database())
        services = [stack.enter_context(running(url, RATELIMIT_ENABLED="false", CHAT_ECHO_DELAY_MS="100", PROXY_HOPS="1")) for _ in range(2)]
        port = stack.enter_context(nginx([service.port for service in services], buffering=False))
        with ledger_run(f"http://127.0.0.1:{port}", url, seed=given.seed, pause=0.01, shared=True) as run:
            run.until(200)
            followers = [one for number in range(given.rounds) for one in one_round(run, port, services, number)]
            wrong = ended(followers)
            failed = [one for one in list(run.history.answers) if one.status == 0 or one.status >= 500]
    verdict = run.verdict
    ends = Counter(one.end for one in followers)
    tell(streams=len(followers), ends=ends, resumed=sum(one.resumed > 0 for one in followers), wrong=wrong[:10])
    tell(
        messages=verdict.acknowledged,
        requests=sum(verdict.answers.values()),
        failed=[f"{one.method} at {one.at:.1f} s: {one.status} after {one.seconds:.2f} s" for one in failed],
        longest=verdict.longest,
        breaches=len(verdict.breaches),
    )
    if verdict.breaches:
        tell(breaches=verdict.told())
    sys.exit(1 if verdict.breaches or failed or wrong or set(ends) - {"done", "interrupted"} else 0)


if __name__ == "__main__":
    main()
