"""A short run of tests/faults/cleanup_race.py; `make race-cleanup` runs the long one."""

from __future__ import annotations

from tests.faults import cleanup_race


def test_every_exchange_ends_exactly_once_whoever_ends_it(empty_database: str) -> None:
    found = cleanup_race.race(empty_database, sends=60, processes=2, seed=7)
    assert found.wrong == []
    assert found.statuses.total() == 60 - found.refused
    assert found.refused <= 6
    assert found.statuses["TIMEOUT"] > 0
    assert found.passes > 10
    assert cleanup_race.verified(empty_database)
