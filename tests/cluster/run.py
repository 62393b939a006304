"""Several machines as docs/scaling.md has them, with the files of deploy/: what they share, what they read from a replica, and what is lost when one is lost.

    python -m tests.cluster.run                       (as root; needs make cluster-tools)
    python -m tests.cluster.run --address hosts       (the service knows both database servers, without PgBouncer)

nginx, two hosts of the service, PgBouncer, PostgreSQL with a streaming replica and Redis, each in a network namespace of its own; where those
are not to be had, at addresses of loopback. Four minutes.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster import losing, reading, sharing
from tests.cluster.report import Report
from tests.cluster.site import site
from tests.faults.ledger import flask_verify

LONGEST = 6 * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--address", choices=("pgbouncer", "hosts"), default="pgbouncer", help="how the address of the primary moves")
    parser.add_argument("--only", choices=("sharing", "reading", "losing"))
    given = parser.parse_args()
    by_bouncer = given.address == "pgbouncer"
    report = Report()
    with site(bouncer=by_bouncer, many_addresses=not by_bouncer, CHAT_ECHO_DELAY_MS="100") as found:
        replica = found.replica
        assert replica is not None
        either = found.primary.url(replica)
        report.row("machines", f"{'namespaces' if found.net.apart else 'loopback'}, seed {given.seed}, address by {given.address}")
        if given.only in (None, "sharing"):
            for check in (sharing.sessions, sharing.streams, sharing.limits, sharing.breakers):
                check(found, report)
        if given.only in (None, "reading"):
            reading.own_writes(found, report, replica)
            reading.without_it(found, report, replica)
        if given.only in (None, "losing"):
            losing.machines(found, report, given.seed, either, by_bouncer=by_bouncer)
        report.none("what flask verify finds at the end", flask_verify(either), 1)
        if code := report.told():
            found.tell()
    sys.exit(code)


if __name__ == "__main__":
    main()
