"""Numbers that this process counts. In memory; or, once it has a folder, in a file there that the other processes read and that outlives it.

A number is a cell of a mapped file: to count is to change eight bytes of memory, and a process that is killed has lost nothing
(docs/decisions/0016 has the figures of other ways).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

CELLS: Final = 16_384  # two thousand are used; what finds no room is counted in the first one
TEXT: Final = 8 * CELLS + 8  # where in the file the names begin, after the cells and the length of the names
BYTES: Final = TEXT + 2**20
SUM, LATEST, GAUGE = "sum", "latest", "gauge"


class Key(NamedTuple):
    """Which number: how those of several processes become one (SUM, LATEST or GAUGE, which is a sum over the living), its name, its labels."""

    kind: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()


LOST: Final = Key(SUM, "chatsvc_metrics_lost_total")


class Tally:
    """The cells of one process, and where each number is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells = memoryview(bytearray(8 * CELLS)).cast("d")
        self._places: dict[Key, int] = {LOST: 0}
        self._file: mmap.mmap | None = None
        self._end = TEXT

    def place(self, key: Key) -> int:
        """The cell of this number, the same one each time; look it up once and keep it."""
        with self._lock:
            found = self._places.get(key)
            if found is None:
                found = len(self._places)
                if found == CELLS or not self._spell(key):
                    return 0
                self._places[key] = found
            return found

    def add(self, place: int, amount: float = 1.0) -> None:
        with self._lock:
            self._cells[place] += amount

    def add_three(self, first: int, second: int, third: int, amount: float) -> None:
        """One more in the first and in the second, so much in the third: an event of a histogram that is counted elsewhere too."""
        with self._lock:
            cells = self._cells
            cells[first] += 1.0
            cells[second] += 1.0
            cells[third] += amount

    def put(self, place: int, value: float) -> None:
        with self._lock:
            self._cells[place] = value

    def numbers(self) -> dict[Key, float]:
        with self._lock:
            return {key: self._cells[place] for key, place in self._places.items()}

    def keep_in(self, folder: Path) -> None:
        """From here on in a file of that folder. What was counted before goes along; once is enough."""
        with self._lock:
            if self._file is not None:
                return
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Under another name until it is complete and locked: a file of ours that nobody has locked is one of the dead.
            unready = folder / f"{os.getpid()}-{secrets.token_hex(4)}.new"
            try:
                self._file = _mapped(unready)
            except OSError:
                unready.unlink(missing_ok=True)
                raise
            for key in self._places:
                self._spell(key)
            cells = memoryview(self._file)[: 8 * CELLS].cast("d")
            cells[:] = self._cells
            self._cells = cells
            unready.rename(unready.with_suffix(".cells"))

    def _spell(self, key: Key) -> bool:
        """Writes the name of the next cell; False when there is no room for it."""
        if self._file is not None:
            line = orjson.dumps(tuple(key)) + b"\n"
            if self._end + len(line) > BYTES:
                return False
            self._file[self._end : self._end + len(line)] = line
            self._end += len(line)
            self._file[TEXT - 8 : TEXT] = (self._end - TEXT).to_bytes(8, sys.byteorder)
        return True


def _mapped(path: Path) -> mmap.mmap:
    """A new file, locked until this process ends, however that is. All of its room at once: on a disk that is full this fails here, where
    later a change of memory would end the process."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        os.posix_fallocate(file, 0, BYTES)
        return mmap.mmap(file, BYTES)
    except OSError:
        os.close(file)
        raise


def read(path: Path) -> dict[Key, float]:
    """What stands in the file of a process."""
    whole = path.read_bytes()
    length = int.from_bytes(whole[TEXT - 8 : TEXT], sys.byteorder)
    values = memoryview(whole)[: 8 * CELLS].cast("d")
    return {as_key(orjson.loads(line)): values[place] for place, line in enumerate(whole[TEXT : TEXT + length].splitlines())}


def as_key(spelt: Any) -> Key:
    kind, name, labels = spelt
    return Key(kind, name, tuple((label, value) for label, value in labels))
