"""How many guesses at a password are looked at, whoever makes them and however they are spread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from chatsvc.core import cleanup, database, throttle
from chatsvc.core.database import read
from chatsvc.core.errors import TooMany
from chatsvc.core.models import LoginThrottle
from tests.api.app.clock import time_passes

pytestmark = pytest.mark.usefixtures("context")

HOUR = 3600.0


def refused_for(account: str = "alice", address: str = "192.0.2.1") -> float:
    """For how long a guess is refused; 0 when it is looked at."""
    try:
        throttle.admit(account, address)
    except TooMany as error:
        return max(error.retry_after, 0.001)
    return 0.0


def until_refused(account: str = "alice", address: str = "192.0.2.1") -> tuple[int, float]:
    """How many guesses at once are looked at, and how long the next one has to wait."""
    for amount in range(200):
        if wait := refused_for(account, address):
            return amount, wait
    raise AssertionError("nothing is ever refused")


def guesses_looked_at(addresses: list[str], *, seconds: float, account: str = "alice") -> int:
    """How many guesses somebody gets in who comes back from each address as soon as it may."""
    looked_at, elapsed = 0, 0.0
    while elapsed < seconds:
        waits = []
        for address in addresses:
            amount, wait = until_refused(account, address)
            looked_at += amount
            waits.append(wait)
        step = min(waits) + 0.01
        time_passes(seconds=step)
        elapsed += step
    return looked_at


def use_the_allowance_up() -> None:
    """Somebody with very many addresses guesses."""
    for number in range(200):
        if refused_for(address=f"198.51.100.{number}"):
            return
    raise AssertionError("nothing is ever refused")


def test_a_few_wrong_guesses_cost_nothing() -> None:
    assert [refused_for() for _ in range(throttle.FREE_TRIES)] == [0] * throttle.FREE_TRIES


def test_each_further_guess_waits_twice_as_long_up_to_a_quarter_of_an_hour() -> None:
    waits = [throttle.wait_after(failures).total_seconds() for failures in range(1, 20)]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
    assert throttle.wait_after(10**9) == throttle.LONGEST_WAIT


def test_one_address_gets_fewer_than_twenty_guesses_an_hour() -> None:
    assert throttle.FREE_TRIES < guesses_looked_at(["192.0.2.1"], seconds=HOUR) < 20
    assert guesses_looked_at(["192.0.2.1"], seconds=HOUR) <= 5


def test_pausing_until_all_is_forgotten_gains_nothing() -> None:
    guesses_looked_at(["192.0.2.1"], seconds=HOUR)
    time_passes(hours=3.1)
    # The count starts anew, and with it the waits: over both hours and the pause, still fewer than twenty in any one hour.
    assert guesses_looked_at(["192.0.2.1"], seconds=HOUR) < 20


def test_many_addresses_share_one_allowance() -> None:
    addresses = [f"198.51.100.{number}" for number in range(70)]
    assert guesses_looked_at(addresses, seconds=1) == throttle.ALLOWANCE
    assert 9 <= guesses_looked_at(addresses[-10:], seconds=HOUR / 2) <= 11


def test_one_attacker_never_keeps_the_owner_out_wherever_the_owner_is() -> None:
    attacker = ["192.0.2.66"]
    for _ in range(10):
        guesses_looked_at(attacker, seconds=HOUR)
        assert refused_for(address="203.0.113.5") == 0
        throttle.forgive("alice", "203.0.113.5")
    assert refused_for(address="203.0.113.77") == 0


def test_an_owner_gets_in_from_a_known_address_while_the_whole_world_guesses() -> None:
    assert refused_for(address="203.0.113.5") == 0
    throttle.forgive("alice", "203.0.113.5")
    use_the_allowance_up()
    assert refused_for(address="203.0.113.99") > 0
    assert [refused_for(address="203.0.113.5") for _ in range(throttle.FREE_TRIES)] == [0] * throttle.FREE_TRIES


def test_an_address_is_known_for_ninety_days() -> None:
    throttle.admit("alice", "203.0.113.5")
    throttle.forgive("alice", "203.0.113.5")
    time_passes(days=91)
    use_the_allowance_up()
    assert refused_for(address="203.0.113.5") > 0


def test_a_refused_guess_does_not_make_the_wait_longer() -> None:
    _, first = until_refused()
    later = [refused_for() for _ in range(20)]
    assert max(later) <= first
    time_passes(seconds=first + 0.01)
    assert refused_for() == 0


def test_the_right_password_starts_anew_at_this_address_only() -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        until_refused(address=address)
    throttle.forgive("alice", "192.0.2.1")
    assert refused_for(address="192.0.2.1") == 0
    assert refused_for(address="192.0.2.2") > 0


def test_right_passwords_neither_use_the_allowance_up_nor_fill_it() -> None:
    strange = [f"198.51.100.{number}" for number in range(throttle.ALLOWANCE)]
    for address in strange[:40]:
        throttle.admit("alice", address)
    for _ in range(60):
        throttle.admit("alice", "203.0.113.5")
        throttle.forgive("alice", "203.0.113.5")
    more = [refused_for(address=address) for address in strange[40:]]
    assert more == [0] * 10
    assert refused_for(address="198.51.100.200") > 0


def test_a_guess_that_was_not_looked_at_is_not_held_against_anybody() -> None:
    for _ in range(throttle.FREE_TRIES * 3):
        throttle.admit("alice", "192.0.2.1")
        throttle.take_back("alice", "192.0.2.1")
    for number in range(throttle.ALLOWANCE + 10):
        throttle.admit("alice", f"198.51.100.{number}")
        throttle.take_back("alice", f"198.51.100.{number}")
    assert refused_for() == 0


def test_accounts_do_not_share_their_counts() -> None:
    until_refused("alice")
    assert refused_for("bob") == 0


def test_many_guesses_at_once_are_not_all_looked_at(context: Flask) -> None:
    ready = threading.Barrier(32)

    def guess(number: int) -> bool:
        with context.app_context():
            ready.wait()
            return refused_for() == 0

    with ThreadPoolExecutor(32) as pool:
        looked_at = sum(pool.map(guess, range(32)))
    # The fifth makes the next wait for a second; if the machine is slow enough for that to pass, one more gets in.
    assert throttle.FREE_TRIES <= looked_at <= throttle.FREE_TRIES + 2


def test_sign_ins_from_many_addresses_at_once_all_come_through(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "TRIES", 1)  # two that wait for each other would be undone, and are not tried again here

    def sign_in(number: int) -> float:
        with context.app_context():
            address = f"198.51.100.{number % 8}"
            wait = refused_for(address=address)
            throttle.forgive("alice", address)
            return wait

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(sign_in, range(24))) == 0


def test_a_record_that_is_cleaned_away_is_made_again() -> None:
    until_refused()
    time_passes(hours=4)
    assert cleanup.purge().sign_in_records == 2
    assert refused_for() == 0


def test_an_address_that_signed_in_stays_known_through_a_cleanup() -> None:
    throttle.admit("alice", "203.0.113.5")
    throttle.forgive("alice", "203.0.113.5")
    time_passes(hours=4)
    cleanup.purge()
    assert [row.address for row in read(select(LoginThrottle.address))] == ["203.0.113.5"]


def test_by_the_time_it_is_forgotten_the_allowance_is_full() -> None:
    assert throttle.FORGOTTEN_AFTER >= throttle.ALLOWANCE * throttle.ONE_MORE_EACH
    assert throttle.FORGOTTEN_AFTER >= throttle.LONGEST_WAIT
    assert timedelta(0) < throttle.ONE_MORE_EACH
