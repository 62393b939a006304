"""What processes count together: nothing is counted twice or lost, whoever dies, and nothing grows without an end."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from chatsvc.core import tallies, tally
from chatsvc.core.tally import CELLS, GAUGE, LATEST, LOST, SUM, Key, Tally
from metrics_folder import begin

SENT = Key(SUM, "sent_total", (("to", 'a "friend"\n'),))
OPEN = Key(GAUGE, "open")
WHEN = Key(LATEST, "when")


def counted(folder: Path | None = None, *, sent: float = 0, open_: float = 0, when: float = 0) -> Tally:
    found = Tally()
    if folder:
        found.keep_in(folder)
    found.add(found.place(SENT), sent)
    found.put(found.place(OPEN), open_)
    found.put(found.place(WHEN), when)
    return found


def somebody_else(folder: Path, script: str = "os._exit(0)") -> None:
    """Another process counts five, opens two, and ends without a word."""
    lines = (
        "import os, signal, sys; from pathlib import Path; from tests.core.test_tally import counted",
        f"held = counted(Path({str(folder)!r}), sent=5, open_=2, when=700)",
        script,
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False)


def test_in_memory_a_number_is_what_was_counted() -> None:
    assert counted(sent=3, open_=2).numbers() == {LOST: 0, SENT: 3, OPEN: 2, WHEN: 0}


def test_what_was_counted_before_there_was_a_folder_goes_along(tmp_path: Path) -> None:
    mine = counted(sent=3)
    mine.keep_in(tmp_path)
    mine.add(mine.place(SENT), 4)
    mine.keep_in(tmp_path)
    assert mine.numbers()[SENT] == 7
    assert tallies.together(tmp_path)[SENT] == 7
    assert len(list(tmp_path.glob("*.cells"))) == 1


def test_processes_are_added_up_and_of_moments_the_last_counts(tmp_path: Path) -> None:
    held = [counted(tmp_path, sent=1, open_=1, when=900), counted(tmp_path, sent=2, open_=3, when=800)]
    assert tallies.together(tmp_path) == {LOST: 0, SENT: 3, OPEN: 4, WHEN: 900}
    assert len(held) == 2


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_of_a_process_that_has_ended_the_counts_stay_and_the_gauges_go(tmp_path: Path, end: str) -> None:
    mine = counted(tmp_path, sent=1, open_=1)
    somebody_else(tmp_path, end)
    for _ in range(2):
        assert tallies.together(tmp_path) == {LOST: 0, SENT: 6, OPEN: 1, WHEN: 700}
    assert mine.numbers()[SENT] == 1


def test_files_of_the_dead_become_one(tmp_path: Path) -> None:
    for number in range(1, 4):
        somebody_else(tmp_path)
        assert tallies.together(tmp_path)[SENT] == 5 * number
        assert sorted(path.name for path in tmp_path.iterdir()) == ["gone.json", "lock"]


def test_who_is_killed_while_burying_has_buried_nobody_twice(tmp_path: Path) -> None:
    somebody_else(tmp_path)
    (dead,) = tmp_path.glob("*.cells")
    whole = dead.read_bytes()
    tallies.together(tmp_path)
    dead.write_bytes(whole)  # it was added up, and not yet removed
    assert tallies.together(tmp_path)[SENT] == 5
    assert not dead.exists()


def test_a_start_empties_the_folder_unless_a_service_uses_it(tmp_path: Path) -> None:
    somebody_else(tmp_path)
    first = begin(tmp_path)
    assert tallies.together(tmp_path) == {}
    somebody_else(tmp_path)
    second = begin(tmp_path)  # its successor, say
    assert tallies.together(tmp_path)[SENT] == 5
    os.close(first)
    os.close(second)
    os.close(begin(tmp_path))
    assert tallies.together(tmp_path) == {}


def test_threads_lose_nothing() -> None:
    mine = Tally()
    place = mine.place(SENT)

    def count() -> None:
        for _ in range(20_000):
            mine.add(place)
            mine.add_three(place, place, place, 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mine.numbers()[SENT] == 4 * 20_000 * 5


def test_where_there_is_no_room_it_is_said_how_much_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = counted(tmp_path, sent=1)
    monkeypatch.setattr(tally, "BYTES", tally.TEXT + 400)
    for number in range(20):
        mine.add(mine.place(Key(SUM, f"another_{number}")))
    numbers = tallies.together(tmp_path)
    assert numbers[LOST] > 5
    assert sum(numbers.values()) == 21
    assert CELLS > 10_000


def test_a_disk_that_is_full_is_told_at_once_and_the_counting_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    mine = counted(sent=1)
    with pytest.raises(OSError, match="No space"):
        mine.keep_in(tmp_path)
    mine.add(mine.place(SENT))
    assert mine.numbers()[SENT] == 2
    assert list(tmp_path.iterdir()) == []
    assert tallies.together(tmp_path) == {}


def test_a_scrape_waits_until_another_one_has_buried_the_dead(tmp_path: Path) -> None:
    mine = counted(tmp_path, sent=1)
    found: list[tallies.Numbers] = []
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: found.append(tallies.together(tmp_path)))
        thread.start()
        thread.join(0.2)
        assert not found
    thread.join(5)
    assert found[0][SENT] == mine.numbers()[SENT]


def test_names_and_labels_come_back_as_they_were(tmp_path: Path) -> None:
    mine = counted(tmp_path, sent=1)
    (path,) = tmp_path.glob("*.cells")
    assert tally.read(path) == mine.numbers()
    assert tally.as_key(orjson.loads(orjson.dumps(tuple(SENT)))) == SENT
