"""Races, round after round: what is asked at the same moment has one outcome, the one that is promised, whoever comes first.

    python -m tests.faults.races --rounds 1000        (--engine sqlite or postgresql for one, --only cap,name; needs no database)

Against `flask serve` with two workers, so that those who meet are of two processes as often as of one. Each round is of a user of its own; several
rounds go on at once. At the end `flask verify` holds every counter against the rows.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from itertools import count

from tests.faults.ledger import flask_verify
from tests.faults.parts.contests import CONTESTS
from tests.faults.parts.racing import Racer
from tests.faults.prove import databases
from tests.faults.service import serving
from tests.faults.told import tell

LANES = 6  # rounds of one race that go on at once
LANES_OF_MANY = 2  # where each has forty connections


async def race(port: int, name: str, rounds: int) -> tuple[Counter[str], list[str]]:
    """How often it came to which end, and what was wrong."""
    contest, connections = CONTESTS[name]
    numbers, ends, wrong = count(), Counter[str](), list[str]()

    async def lane(number: int) -> None:
        racer = Racer(port, connections)
        try:
            while (turn := next(numbers)) < rounds:
                try:
                    ends[await contest(racer, f"{name}-{number}-{turn}")] += 1
                except (AssertionError, EOFError, OSError, TimeoutError, LookupError, TypeError) as error:
                    wrong.append(f"round {turn}: {type(error).__name__} {error}")
                    racer.close()  # the next round begins on connections on which nothing is under way
        finally:
            racer.close()

    await asyncio.gather(*(lane(number) for number in range(LANES if connections < 10 else LANES_OF_MANY)))
    return ends, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"))
    parser.add_argument("--only", default=",".join(CONTESTS), help="some of them, with commas between")
    given = parser.parse_args()
    good = True
    for engine in (given.engine,) if given.engine else ("postgresql", "sqlite"):
        with databases(engine) as new_database, serving(url := new_database(), LOG_LEVEL="error") as service:
            began = time.monotonic()
            for name in given.only.split(","):
                at = time.monotonic()
                ends, wrong = asyncio.run(race(service.port, name, given.rounds))
                tell(engine=engine, race=name, rounds=given.rounds, ends=ends, wrong=len(wrong), some=wrong[:3], seconds=round(time.monotonic() - at, 1))
                good = good and not wrong
            verified = flask_verify(url)
            tell(engine=engine, verified=not verified, said=verified[:3], seconds=round(time.monotonic() - began))
            good = good and not verified
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
