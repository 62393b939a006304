"""The disk fills up under load and is emptied again: 503 and never 500, nothing acknowledged that is not kept, and all goes on by itself.

    python -m tests.faults.disk_full --rounds 3        (as root: it mounts small disks; --only postgresql, sqlite or logs)

A PostgreSQL of its own, or the SQLite file, lives on a disk of its own that is filled to the last byte for some seconds, round after
round, while the ledger writes and reads; in every second round PostgreSQL loses its log's last files as well. A PostgreSQL that ends for want of space is started again once there is some, as a system's own
supervisor would; the service is not. In the third run it is the service's log and instance folder that has no space.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from tests.faults.cluster import Cluster, _programs
from tests.faults.history import History
from tests.faults.ledger import Run, ledger_run
from tests.faults.parts.disks import Disk, small_disk
from tests.faults.parts.service import running
from tests.faults.service import serving
from tests.faults.told import tell
from tests.faults.verdicts import tell_verdict

FULL_SECONDS = 6.0
BACK_SECONDS = 5.0
MESSAGES = 300  # between two rounds
LITTLE = "max_wal_size = 64MB\nmin_wal_size = 32MB\nshared_buffers = 16MB\ncheckpoint_timeout = 30s\n"


@contextlib.contextmanager
def cluster_on(disk: Disk) -> Iterator[Cluster]:
    """A PostgreSQL all of which lies on this disk."""
    user = None if os.geteuid() else "postgres" if Path("/var/lib/postgresql").exists() else "nobody"
    folder = disk.folder / "cluster"
    folder.mkdir()
    if user:
        shutil.chown(folder, user)
    cluster = Cluster(folder, _programs(), user)
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write(LITTLE)
    cluster.start()
    try:
        yield cluster
    finally:
        with contextlib.suppress(OSError):  # it may have ended
            cluster.kill()


def answers(history: History, since: float, until: float) -> dict[str, dict[int, int]]:
    """How often each status, of writes and of reads that were asked in this time."""
    found = {"writes": Counter[int](), "reads": Counter[int]()}
    for one in list(history.answers):
        if since <= one.at < until:
            found["writes" if one.writes else "reads"][one.status] += 1
    return {name: dict(sorted(counted.items())) for name, counted in found.items()}


def first_good_write(history: History, since: float, within: float) -> float | None:
    """Seconds from then until a write was acknowledged that was asked after it."""
    while history.now() < since + within:
        good = [one.at + one.seconds for one in list(history.answers) if one.writes and one.at >= since and one.status == 201]
        if good:
            return round(min(good) - since, 2)
        time.sleep(0.02)
    return None


def start_again(cluster: Cluster) -> bool:
    """True when it had ended and was started."""
    try:
        psycopg2.connect(cluster.url, connect_timeout=5).close()
    except psycopg2.OperationalError:
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)
        cluster.start()
        return True
    return False


def use_up_the_log(cluster: Cluster) -> bool:
    """PostgreSQL keeps some of its log's files for the next changes; without space even those come to an end, and it with them."""
    with contextlib.suppress(psycopg2.Error), contextlib.closing(psycopg2.connect(cluster.url, connect_timeout=5)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for _ in range(100):
            cursor.execute("SELECT pg_switch_wal()")
            time.sleep(0.02)  # somebody else writes meanwhile, and there is something to switch from
        return False
    return True


def one_round(run: Run, disk: Disk, number: int, cluster: Cluster | None) -> None:
    run.until(run.acknowledged + MESSAGES)
    history, before = run.history, run.history.now()
    disk.fill()
    full_at = history.now()
    died = cluster is not None and number % 2 == 1 and use_up_the_log(cluster)
    time.sleep(FULL_SECONDS)
    while_full = answers(history, full_at, history.now())
    disk.empty()
    started = cluster is not None and start_again(cluster)
    back = first_good_write(history, history.now(), 30)
    if back is None or back > BACK_SECONDS:
        history.breach(f"round {number}: no write was acknowledged within {BACK_SECONDS:.0f} s of the space's return ({back})")
    if not while_full["writes"].get(503):
        history.breach(f"round {number}: no write met the full disk, so nothing was shown: {while_full}")
    tell(
        round=number, filled_in=round(full_at - before, 2), while_full=while_full, postgresql_died=died, postgresql_was_started=started, first_write_after=back
    )


def of_engine(engine: str, rounds: int, seed: int) -> bool:
    """The data on a small disk."""
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk(320 if engine == "postgresql" else 48))
        cluster = stack.enter_context(cluster_on(disk)) if engine == "postgresql" else None
        url = cluster.new_database() if cluster else f"sqlite:///{disk.folder / 'chatsvc.db'}"
        service = stack.enter_context(serving(url))
        with ledger_run(service.url, url, seed=seed, pause=0.01) as run:
            for number in range(rounds):
                one_round(run, disk, number, cluster)
            run.until(run.acknowledged + MESSAGES)
    return tell_verdict(run.verdict, disk_of=f"{engine}'s data")


def of_logs(seed: int) -> bool:
    """Nothing can be logged or kept beside the database: nobody who asks must notice."""
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk(4))
        data = stack.enter_context(small_disk(64))
        url = f"sqlite:///{data.folder / 'chatsvc.db'}"
        service = stack.enter_context(running(url, folder=disk.folder, RATELIMIT_ENABLED="false", LOG_LEVEL="debug", PYTHONDONTWRITEBYTECODE="1"))
        with ledger_run(service.url, url, seed=seed, pause=0.01) as run:
            run.until(MESSAGES)
            disk.fill()
            size = service.log.stat().st_size
            since = run.history.now()
            run.until(4 * MESSAGES)
            service.kill_workers()  # others take their place, and have nowhere to say so
            run.until(6 * MESSAGES)
            while_full = answers(run.history, since, run.history.now())
            if service.log.stat().st_size > size + 4096 or set(while_full["writes"]) - {0, 201, 400, 404, 503}:
                run.history.breach(f"the log grew on a full disk, or somebody noticed: {while_full}")
            disk.empty()
            run.until(run.acknowledged + MESSAGES)
    return tell_verdict(run.verdict, disk_of="the log", while_full=while_full)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("postgresql", "sqlite", "logs"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    tell(seed=given.seed)
    wanted = [given.only] if given.only else ["postgresql", "sqlite", "logs"]
    good = [of_logs(given.seed) if what == "logs" else of_engine(what, given.rounds, given.seed) for what in wanted]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
