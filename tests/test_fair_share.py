"""Workers take in connections evenly, and nobody waits for one that takes in none."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import fair_share
from bench.processes import workers
from bench.streams import free_port, served
from fair_share import LEAVING, PATIENCE_SECONDS, Share, Shares

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CLIENTS = 32


def two(mine: int, other: int) -> tuple[Share, Share]:
    shares = Shares(8)
    one, two = shares.place(), shares.place()
    one.holds(mine)
    two.holds(other)
    return one, two


@pytest.mark.parametrize(("mine", "other", "theirs"), [(0, 0, False), (1, 0, True), (0, 1, False), (2, 1, True), (9, 8, False), (10, 8, True), (72, 64, False)])
def test_who_holds_less_goes_first(mine: int, other: int, theirs: bool) -> None:
    assert two(mine, other)[0].is_anothers_turn() is theirs


def test_the_least_of_all_counts() -> None:
    shares = Shares(8)
    places = [shares.place() for _ in range(3)]
    for place, amount in zip(places, (5, 9, 3), strict=True):
        place.holds(amount)
    assert [place.is_anothers_turn() for place in places] == [True, True, False]


def test_nobody_waits_for_one_that_does_not_come() -> None:
    mine, _ = two(5, 1)
    began = time.monotonic()
    while mine.is_anothers_turn():
        time.sleep(0.001)
    assert PATIENCE_SECONDS <= time.monotonic() - began < 20 * PATIENCE_SECONDS


def test_one_that_comes_is_waited_for_again() -> None:
    mine, other = two(50, 1)
    ends_at = time.monotonic() + 3 * PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        assert mine.is_anothers_turn()
        other.holds(other.amount + 1)
        time.sleep(0.005)


def test_nobody_waits_for_one_that_has_left() -> None:
    mine, other = two(5, 1)
    other.leave()
    assert not mine.is_anothers_turn()
    other.holds(3)  # what it held ends one by one
    assert other.amount == LEAVING
    assert not mine.is_anothers_turn()


def test_a_place_is_given_to_the_next_one() -> None:
    shares = Shares(2)
    first, second, third = shares.place(), shares.place(), shares.place()
    first.holds(5)
    third.holds(9)  # there is no place for it, so it is on its own
    assert not third.is_anothers_turn()
    assert second.amount == 0
    first.leave()
    assert shares.place().amount == 0, "it still ends, and its place is its own"
    assert list(shares.counts) == [LEAVING, 0]
    first.free()
    assert shares.place().amount == 0
    assert list(shares.counts) == [0, 0]


def test_the_place_of_a_worker_that_has_ended_is_free() -> None:
    """However it ended: kill -9 lets it say nothing."""
    hooks, server = runpy.run_path("gunicorn.conf.py"), object()
    worker, other = SimpleNamespace(share=None), SimpleNamespace(share=None)
    hooks["pre_fork"](server, worker)
    hooks["pre_fork"](server, other)
    other.share.holds(5)
    assert other.share.is_anothers_turn()
    hooks["child_exit"](server, worker)
    assert not other.share.is_anothers_turn()


@contextmanager
def running(database_url: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    with served(port, DATABASE_URL=database_url, WEB_CONCURRENCY="2", LOG_LEVEL="error") as pid:
        ends_at = time.monotonic() + 20
        while len(workers(pid, "gunicorn")) < 2:
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        time.sleep(0.5)  # both are there once they listen
        yield port, pid


def held_by(pid: int, port: int) -> int:
    """How many connections to this port a process holds."""
    inodes = {
        line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01"
    }
    return sum(os.readlink(link) in {f"socket:[{inode}]" for inode in inodes} for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists())


def test_connections_that_come_at_once_are_shared(empty_database: str) -> None:
    with running(empty_database) as (port, pid), ExitStack() as clients:
        ours = [clients.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20))) for _ in range(CLIENTS)]
        for client in ours:
            client.sendall(REQUEST)
        for client in ours:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        amounts = Counter({worker: held_by(worker, port) for worker in workers(pid, "gunicorn")})
        served_by = sorted(amount for amount in amounts.values() if amount)
        assert sum(served_by) == CLIENTS
        assert len(served_by) == 2
        assert served_by[1] - served_by[0] <= 4, amounts


def test_a_worker_that_is_stuck_keeps_nobody_waiting(empty_database: str) -> None:
    with running(empty_database) as (port, pid), ExitStack() as clients:
        first = clients.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20)))
        first.sendall(REQUEST)
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        holder = next(worker for worker in workers(pid, "gunicorn") if held_by(worker, port))
        stuck = next(worker for worker in workers(pid, "gunicorn") if worker != holder)
        os.kill(stuck, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for _ in range(5):
                client = clients.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20)))
                client.sendall(REQUEST)
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
            assert time.monotonic() - began < 5 * 10 * PATIENCE_SECONDS
        finally:
            os.kill(stuck, signal.SIGCONT)


def test_the_server_as_shipped_shares() -> None:
    shipped = (Path(fair_share.__file__).parent / "gunicorn.conf.py").read_text()
    assert "fair_share.threads(" in shipped
    assert "fair_share.greenlets(" in shipped
