"""The text of a reply that is told from two sides, the rows and Redis: each piece once, whichever comes first."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator

import pytest

from chatsvc.core.feed import EARLY, Feed

WHOLE = "".join(chr(0x4E00 + number) for number in range(2000))


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that interrupt each other at every turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def pieces(seed: int, longest: int) -> list[tuple[int, str]]:
    """The whole text, cut somewhere."""
    chance, at, found = random.Random(seed), 0, []
    while at < len(WHOLE):
        size = chance.randint(1, longest)
        found.append((at, WHOLE[at : at + size]))
        at += size
    return found


def tell(feed: Feed, told: list[tuple[int, str]]) -> None:
    for at, piece in told:
        feed.add(piece, at)


def test_what_was_heard_already_is_left_out() -> None:
    feed = Feed()
    for at, piece in ((0, "one "), (0, "one two "), (2, "e tw"), (4, "two three"), (0, "one")):
        feed.add(piece, at)
    assert feed.since(0) == "one two three"


def test_what_comes_too_early_is_kept_until_what_lies_before_it_has_come() -> None:
    feed = Feed()
    feed.add("three ", 8)
    feed.add("four ", 14)
    assert (feed.since(0), feed.length) == ("", 0)
    feed.add("one ", 0)
    assert feed.since(0) == "one "
    feed.add("one two t", 0)
    assert feed.since(0) == "one two three four "


def test_what_comes_too_early_does_not_pile_up() -> None:
    feed = Feed()
    for number in range(10_000):
        feed.add("x", 10 + number)
    feed.add("y" * 10, 0)
    assert feed.since(0) == "y" * 10 + "x" * EARLY


@pytest.mark.parametrize("seed", range(5))
def test_two_who_tell_the_same_at_once_tell_it_once(hasty: None, seed: int) -> None:
    feed = Feed()
    told = [pieces(seed, 5), pieces(seed + 100, 40)]
    random.Random(seed).shuffle(told[0])  # one of them out of order, and so with gaps
    threads = [threading.Thread(target=tell, args=(feed, mine)) for mine in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert feed.since(0) == WHOLE
    assert feed.length == len(WHOLE)
