"""A machine of the service and the primary are killed under load: nothing that was acknowledged is lost, and everything goes on by itself."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from tests.cluster.clients import Connect, Mover, OverTls, through
from tests.cluster.report import Report
from tests.cluster.servers import NAME, Postgres
from tests.cluster.site import Site
from tests.faults.history import OK
from tests.faults.ledger import Run, ledger_run
from tests.faults.parts.following import ended

LOAD: dict[str, Any] = {"writers": 8, "readers": 8, "users": 8, "pause": 0.3}
STREAMS, WORDS = 16, 150  # fifteen seconds
HOST_SECONDS, BACK_SECONDS = 8.0, 30.0


def machines(site: Site, report: Report, seed: int, database_url: str, *, by_bouncer: bool) -> None:
    """First one that serves, then the primary, under one ledger."""
    front = site.front
    assert front is not None
    with ledger_run(f"https://{NAME}", database_url, seed=seed, shared=True, connect=through(front, site.net), verify=False, **LOAD) as run:
        run.until(80)
        _a_host(site, report, run, lambda: OverTls(front, site.net))
        _the_primary(site, report, run, by_bouncer=by_bouncer)
    verdict = run.verdict
    report.none("acknowledged messages lost, doubled, out of order or otherwise", verdict.breaches, verdict.acknowledged)
    odd = {status: amount for status, amount in verdict.answers.items() if not 200 <= status < 500}
    report.row("requests; those that were not answered, or with 503", f"{sum(verdict.answers.values())}; {sum(odd.values())} {odd}")


def _a_host(site: Site, report: Report, run: Run, door: Connect) -> None:
    """kill -9 of all that runs on one machine, with streams open; it is started again later."""
    host, message = site.hosts[0], " ".join(f"w{number}" for number in range(WORDS))
    followers = [Mover([door], f"watcher-{number}", message) for number in range(STREAMS)]
    for one in followers:
        one.start()
    time.sleep(4)
    killed_at, began = time.monotonic(), run.history.now()
    host.kill()
    run.until(run.acknowledged + 150)
    wrong = ended(list(followers)) + [f"{one.user} lost text that had been told half a second before" for one in followers if one.lost(killed_at)]
    host.start()
    run.until(run.acknowledged + 60)
    gap = silence(run, began)
    report.row(
        "one machine killed: the longest time without an acknowledged message",
        f"{gap:.1f} s",
        promised=f"{HOST_SECONDS:.0f} s at most",
        good=gap < HOST_SECONDS,
    )
    report.none("… streams without an end, or with another text than was saved half a second before", wrong, STREAMS)
    ends = Counter(one.end for one in followers)
    report.row("… how they ended", dict(ends), promised="done or interrupted", good=set(ends) == {"done", "interrupted"})


def _the_primary(site: Site, report: Report, run: Run, *, by_bouncer: bool) -> None:
    """kill -9 of the primary, which had a synchronous replica; that is promoted, and PgBouncer told where it is."""
    replica = site.replica
    assert replica is not None
    site.primary.set("synchronous_standby_names", "*")
    _until_synchronous(site.primary)
    run.until(run.acknowledged + 60)
    began = run.history.now()
    site.primary.kill()
    replica.ask("SELECT pg_promote(true, 30)")
    if by_bouncer:
        assert site.bouncer is not None
        site.bouncer.point_to(replica)
    moved = run.history.now() - began
    run.until(run.acknowledged + 150)
    gap, said = silence(run, began), site.said("since it follows no primary")
    report.row(
        "the primary killed: the longest time without an acknowledged message",
        f"{gap:.1f} s",
        promised=f"{BACK_SECONDS:.0f} s at most",
        good=gap < BACK_SECONDS,
    )
    report.row("… of which until the replica was promoted and the address moved", f"{moved:.1f} s")
    report.row("… workers that say that what was the replica is none any more", said, promised="4", good=said >= 4)


def silence(run: Run, since: float) -> float:
    """The longest time between two acknowledged messages from then on."""
    ends = sorted(one.ended for one in run.history.entries if one.kind == "message" and one.outcome == OK and one.ended >= since)
    return max(after - before for before, after in zip([since, *ends], ends, strict=False)) if ends else float("inf")


def _until_synchronous(primary: Postgres) -> None:
    until = time.monotonic() + 30
    while primary.ask("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
        if time.monotonic() > until:
            raise SystemExit("the replica does not become synchronous")
        time.sleep(0.1)
