"""The ledger's own test: on a service with a defect it must fail, each time, and for the reason that is there; without one it must not.

    python -m tests.faults.prove            (two minutes; --engine sqlite or postgresql for one, --seed)

Workers are killed meanwhile, as they are in the runs that follow.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from bench.streams import ROOT
from tests.faults.cluster import own_cluster
from tests.faults.ledger import Verdict, ledger_run
from tests.faults.service import serving
from tests.faults.told import tell

GUNICORN = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py")]
# How one of the breaches must begin that are found: not just anything.
DEFECTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "reply_before_commit": ("LOST OR DOUBLED",),
    "count_outside_the_transaction": ("COUNTERS", "at position"),  # the newest page is numbered by the counter
    "order_by_time": ("SEEN",),
    "no_owner_check": ("LET IN",),
    "only_the_wall": (),  # no defect on PostgreSQL, whose row-level security holds by itself
}
MESSAGES, KILLS = 500, 6


def one(database_url: str, defect: str, seed: int) -> Verdict:
    """A run on a service with this defect."""
    migrate = [sys.executable, "-m", "flask", "db", "upgrade"]
    settings = {} if defect == "none" else {"LEDGER_DEFECT": defect}
    command = [*GUNICORN, "tests.faults.defective:app" if settings else "wsgi:app"]
    with serving(database_url, ["sh", "-c", f"{' '.join(migrate)} && exec {' '.join(command)}"], LOG_LEVEL="error", **settings) as service:
        chance = random.Random(f"{seed} {defect}")
        with ledger_run(service.url, database_url, seed=seed, writers=8, readers=3) as run:
            for part in range(KILLS):
                run.until(MESSAGES * (part + 1) // (KILLS + 1))
                time.sleep(chance.uniform(0, 0.2))
                service.kill_worker(chance)
            run.until(run.acknowledged + MESSAGES // (KILLS + 1))
    return run.verdict


@contextlib.contextmanager
def databases(engine: str) -> Iterator[Callable[[], str]]:
    """A function that gives a new empty database."""
    if engine == "postgresql":
        with own_cluster() as cluster:
            yield cluster.new_database
        return
    with tempfile.TemporaryDirectory(prefix="chatsvc-ledger-") as folder:
        yield lambda: f"sqlite:///{folder}/{time.monotonic_ns()}.db"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--engine", choices=("sqlite", "postgresql"))
    parser.add_argument("--defect", choices=tuple(DEFECTS))
    given = parser.parse_args()
    tell(seed=given.seed)
    good = True
    for engine in (given.engine,) if given.engine else ("sqlite", "postgresql"):
        with databases(engine) as new_database:
            for defect, wanted in DEFECTS.items():
                if given.defect not in (None, defect) or (engine == "sqlite" and defect == "only_the_wall"):
                    continue
                verdict = one(new_database(), defect, given.seed)
                found = [breach for breach in verdict.breaches if breach.startswith(wanted)]
                right = bool(found) if wanted else not verdict.breaches
                good = good and right
                tell(engine=engine, defect=defect, right=right, messages=verdict.acknowledged, breaches=len(verdict.breaches), one=(found or [""])[0][:160])
                if right and verdict.history:
                    shutil.rmtree(verdict.history, ignore_errors=True)
                elif not right:
                    tell(failed=verdict.told())
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
