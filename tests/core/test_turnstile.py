"""Many who come at once are let in one after another, and nobody who dawdles inside keeps the others out for long."""

from __future__ import annotations

import threading
import time

from chatsvc.core.turnstile import Turnstile


def crowd(turnstile: Turnstile, people: int, stay: float) -> tuple[int, float]:
    """How many were inside together at most, and how long it took until all were through."""
    inside, most = 0, 0
    lock = threading.Lock()

    def one() -> None:
        nonlocal inside, most
        with turnstile.turn():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(stay)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=one) for _ in range(people)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return most, time.monotonic() - began


def test_those_who_are_quick_go_one_by_one() -> None:
    most, _ = crowd(Turnstile(seconds=5, most=10), people=30, stay=0.005)
    assert most == 1


def test_one_who_dawdles_keeps_the_next_for_so_long_only() -> None:
    most, took = crowd(Turnstile(seconds=0.01, most=100), people=20, stay=0.5)
    assert most > 10
    assert took < 2


def test_never_more_than_so_many_are_inside() -> None:
    most, _ = crowd(Turnstile(seconds=0.001, most=4), people=20, stay=0.1)
    assert most == 4


def test_one_who_falls_over_inside_is_through() -> None:
    turnstile = Turnstile(seconds=5, most=1)
    for _ in range(3):
        try:
            with turnstile.turn():
                raise LookupError
        except LookupError:
            pass
    assert crowd(turnstile, people=3, stay=0)[1] < 2
