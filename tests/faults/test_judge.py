"""What the ledger calls a breach, one by one, on histories written by hand; `tests/faults/prove.py` does it with real defects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import judge
from tests.faults.history import FAIL, OK, UNKNOWN, Entry, History, digest
from tests.faults.rows import Message, Rows, Session

TAG = "user-0 w0 n1"


class Case:
    """One session of one user, and what was meant, done and seen in it."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder, seed=1)
        self.history.add(Entry("session", "user-0", "s", TAG, "", "k0", "v1", True, 0, 1, OK, "s"))
        self.rows = Rows({"s": Session("s", "user-0", None, None, None, 0, TAG)}, {"s": []})

    def meant(self, content: str, outcome: str = OK, *, id_: int = 0, at: float = 0, key: str | None = "k") -> None:
        self.history.add(Entry("message", "user-0", "s", content, "user", key, "v1", True, at, at + 1, outcome, str(id_) if id_ else ""))

    def there(self, content: str, id_: int, user: str = "user-0", *, whole: bool = True) -> None:
        self.rows.messages["s"].append(Message(id_, "s", user, "user", content, digest(content), id_, whole))

    def counted(self) -> None:
        """The counters as the rows have them."""
        messages = self.rows.messages["s"]
        first, last = (messages[0], messages[-1]) if messages else (None, None)
        title, preview = first.content if first else None, last.content if last else None
        self.rows.sessions["s"] = Session("s", "user-0", title, preview, last and last.created_at, len(messages), TAG)

    def found(self, *, settled: bool = True) -> list[str]:
        checks = (judge.against_rows(self.history, self.rows, settled=settled), judge.counters(self.rows), judge.order(self.history, self.rows))
        return [breach for check in (*checks, judge.seen(self.history, self.rows)) for breach in check]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Two messages that were acknowledged and seen, and one that was refused."""
    made = Case(tmp_path)
    made.meant("one", id_=1, at=0)
    made.meant("two", id_=2, at=2)
    made.meant("no", FAIL, at=4)
    made.there("one", 1)
    made.there("two", 2)
    made.counted()
    made.history.observe("s", 0, [(1, digest("one")), (2, digest("two"))])
    return made


def test_what_is_as_it_was_told_is_no_breach(case: Case) -> None:
    assert case.found() == []


def test_what_nobody_knows_may_be_there_or_not_until_it_was_asked_again(case: Case) -> None:
    case.meant("maybe", UNKNOWN)
    assert case.found(settled=False) == []
    assert case.found() == ["unknown 'maybe' of s is there 0 times and was not settled"]
    case.there("maybe", 3)
    case.counted()
    assert case.found(settled=False) == []


def test_what_nobody_knows_and_nobody_can_ask_again_may_be_there_or_not(case: Case) -> None:
    case.meant("maybe", UNKNOWN, key=None)
    assert case.found() == []


def lost(case: Case) -> None:
    del case.rows.messages["s"][1]
    case.counted()
    case.history.seen.clear()


def doubled(case: Case) -> None:
    case.there("two", 3)
    case.counted()


def under_another_id(case: Case) -> None:
    case.rows.messages["s"][1:] = []
    case.there("two", 7)
    case.counted()
    case.history.seen.clear()


def refused_and_kept(case: Case) -> None:
    case.there("no", 3)
    case.counted()


def in_no_ledger(case: Case) -> None:
    case.there("whence?", 3)
    case.counted()


def unknown_and_doubled(case: Case) -> None:
    case.meant("maybe", UNKNOWN, key=None)
    case.there("maybe", 3)
    case.there("maybe", 4)
    case.counted()


def somebody_elses(case: Case) -> None:
    case.meant("three", id_=3, at=6)
    case.there("three", 3, "user-1")
    case.counted()


def half_done(case: Case) -> None:
    case.meant("three", id_=3, at=6)
    case.there("three", 3, whole=False)
    case.counted()


def miscounted(case: Case) -> None:
    case.rows.sessions["s"] = Session("s", "user-0", "one", "two", 2, 3, TAG)


def an_old_preview(case: Case) -> None:
    case.rows.sessions["s"] = Session("s", "user-0", "one", "one", 1, 2, TAG)


def out_of_order(case: Case) -> None:
    case.rows.messages["s"].reverse()
    case.counted()
    case.history.seen.clear()


def seen_and_gone(case: Case) -> None:
    case.history.observe("s", 2, [(9, digest("ghost"))])


def a_session_twice(case: Case) -> None:
    case.rows.sessions["t"] = Session("t", "user-0", None, None, None, 0, TAG)
    case.rows.messages["t"] = []


def a_session_of_nobody(case: Case) -> None:
    case.rows.sessions["t"] = Session("t", "user-0", None, None, None, 0, None)
    case.rows.messages["t"] = []


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lost, "LOST OR DOUBLED: ok 'two' of s, acknowledged as 2, is there as []"),
        (doubled, "LOST OR DOUBLED: ok 'two' of s, acknowledged as 2, is there as [2, 3]"),
        (under_another_id, "LOST OR DOUBLED: ok 'two' of s, acknowledged as 2, is there as [7]"),
        (refused_and_kept, "fail 'no' of s was refused and is there as [3]"),
        (in_no_ledger, "message 3 of s is in no ledger: 'whence?'"),
        (unknown_and_doubled, "unknown 'maybe' of s is there 2 times and was not settled"),
        (somebody_elses, "ok 'three' of s is not as it was written: user-1 user whole"),
        (half_done, "ok 'three' of s is not as it was written: user-0 user removed or unfinished"),
        (miscounted, "COUNTERS: session s keeps (3, 'two', 2, 'one'), its rows say (2, 'two', 2, 'one')"),
        (an_old_preview, "COUNTERS: session s keeps (2, 'one', 1, 'one'), its rows say (2, 'two', 2, 'one')"),
        (out_of_order, "OUT OF ORDER: message 1 of s was acknowledged before one that stands above it had been begun"),
        (seen_and_gone, "SEEN: at position 2 of s a reader saw message 9; nothing is there"),
        (a_session_twice, f"LOST OR DOUBLED: session {TAG!r}, acknowledged as s, is there as ['s', 't']"),
        (a_session_of_nobody, "session t (None) is in no ledger"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_breach_is_told(case: Case, breaks: Callable[[Case], None], told: str) -> None:
    breaks(case)
    assert case.found() == [told]


def test_two_readers_who_saw_different_messages_at_one_position_are_a_breach_at_once(case: Case) -> None:
    case.history.observe("s", 1, [(3, digest("three"))])
    assert case.history.breaches == ["at position 1 of s a reader saw message 3, and another time message 2"]
