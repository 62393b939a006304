"""What processes use, out of /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psycopg2

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MiB."""

    resident: float
    proportional: float  # what it shares with others is divided among them
    peak: float


def family(pid: int) -> list[int]:
    """This process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """What this process, all below it and its children that have ended have used."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = _stat(one)
            ticks += sum(int(field) for field in fields[11 : 15 if one == pid else 13])
    return ticks / TICKS


def workers(pid: int, mark: str) -> list[int]:
    """The direct children whose command line holds this mark."""
    found = []
    for one in family(pid):
        with contextlib.suppress(OSError):
            if int(_stat(one)[1]) == pid and mark in (PROC / str(one) / "cmdline").read_text():
                found.append(one)
    return found


def memory(pid: int) -> Memory:
    def kib(file: str, name: str) -> int:
        lines = (PROC / str(pid) / file).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    return Memory(kib("smaps_rollup", "Rss") / 1024, kib("smaps_rollup", "Pss") / 1024, kib("status", "VmHWM") / 1024)


def postmaster(url: str) -> int | None:
    """The process above all of this PostgreSQL server's, or None when it does not run where its processes can be seen."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        backend = connection.get_backend_pid()
        try:
            if b"postgres" not in (PROC / str(backend) / "cmdline").read_bytes():
                return None
            return int(_stat(backend)[1])
        except OSError:
            return None


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, …"""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
