"""All fault runs that need no more than this machine, one after another; each says what it found in a line of JSON.

    python -m tests.faults.all                 (a few minutes on a quiet machine)
    python -m tests.faults.all --long          (the full figures of docs/reliability.md: about an hour)

A run that fails names its seed and the folder of its history; the others go on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.streams import ROOT
from tests.faults.told import tell


@dataclass(frozen=True, slots=True)
class Part:
    """One run: what it is called with, and what instead in the long one."""

    module: str
    short: str = ""
    long: str = ""
    seeded: bool = True


PARTS = (
    Part("prove"),
    Part("kills", "--engine postgresql --workers 20 --clusters 6 --messages 2000", "--engine postgresql --workers 200 --clusters 50 --messages 50000"),
    Part("kills", "--engine sqlite --workers 20 --messages 2000", "--engine sqlite --workers 40 --messages 10000"),
    Part("sqlite_kills", "--kills 40", "--kills 500"),
    Part("stalled"),
    Part("races", "--rounds 20", "--rounds 1000", seeded=False),
    Part("stop_reading", "--clients 150", "--clients 300"),
)
# Around the service: these need root, nginx, faketime, slowhttptest, wrk or redis-server (`make fault-tools`).
AROUND = (
    Part("disk_full", "--rounds 2", "--rounds 6"),
    Part("rolling", "--rounds 1", "--rounds 5"),
    Part("redis_away", "--seconds 6", "--seconds 20", seeded=False),
    Part("slow_http", "--seconds 8", "--seconds 20 --bare", seeded=False),
    Part("migrating", "--messages 50000 --rounds 2", "--messages 1000000 --rounds 6"),
    Part("clocks"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="the full figures")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", help="the parts of this name")
    parser.add_argument("--around", action="store_true", help="the runs around the service instead")
    given = parser.parse_args()
    failed = []
    for part in AROUND if given.around else PARTS:
        if given.only in (None, part.module):
            command = f"{part.module} {part.long if given.long else part.short}".split()
            tell(run=" ".join(command), seed=given.seed)
            seed = ["--seed", str(given.seed)] if part.seeded else []
            if subprocess.run([sys.executable, "-m", f"tests.faults.{command[0]}", *command[1:], *seed], cwd=ROOT, check=False).returncode:
                failed.append(" ".join(command))
    tell(failed_runs=failed)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
