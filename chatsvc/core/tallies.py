"""The numbers of all processes of a service together, those of processes that have ended too."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from chatsvc.core.tally import GAUGE, LATEST, Key, as_key, read
from metrics_folder import GONE, locked

Numbers = dict[Key, float]


def together(folder: Path) -> Numbers:
    """What all have counted, and the gauges of those that live. The files of the dead become one on the way."""
    with locked(folder):
        living, dead = _found(folder)
        gone = _read_gone(folder)
        if dead:
            gone = _bury(folder, gone, dead)
        return merged([gone, *(read(path) for path in living)])


def merged(parts: Iterable[Mapping[Key, float]]) -> Numbers:
    total: Numbers = {}
    for part in parts:
        for key, value in part.items():
            total[key] = max(total.get(key, 0.0), value) if key.kind == LATEST else total.get(key, 0.0) + value
    return total


def _found(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of the living and of the dead: a lock ends with its process, however that ends."""
    living, dead = [], []
    for path in sorted(folder.glob("*.cells")):
        file = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            dead.append(path)
        except BlockingIOError:
            living.append(path)
        finally:
            os.close(file)
    return living, dead


def _read_gone(folder: Path) -> Numbers:
    with suppress(FileNotFoundError):
        kept = orjson.loads((folder / GONE).read_bytes())
        for name in kept["files"]:  # whoever buried these was killed before it could remove them
            (folder / name).unlink(missing_ok=True)
        return {as_key(spelt): value for spelt, value in kept["numbers"]}
    return {}


def _bury(folder: Path, gone: Numbers, dead: list[Path]) -> Numbers:
    """Adds up what the dead have counted, in one file; their gauges end with them."""
    there = [path for path in dead if path.exists()]
    total = merged([gone, *({key: value for key, value in read(path).items() if key.kind != GAUGE} for path in there)])
    text = orjson.dumps({"files": [path.name for path in there], "numbers": [(tuple(key), value) for key, value in total.items()]})
    new = folder / f"{GONE}.new"
    new.write_bytes(text)
    new.rename(folder / GONE)
    for path in there:
        path.unlink()
    return total
