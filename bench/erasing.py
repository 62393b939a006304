"""All that one user has is erased through the service while another one appends: how long it takes, what the other one notices, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.growth import Wire, connected
from bench.tools import tool

QUIET_SECONDS = 5.0
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Erased:
    """How long it took, its receipt, and the milliseconds of the other one's appends before it and meanwhile."""

    seconds: float
    receipt: dict[str, Any]
    before: list[float]
    meanwhile: list[float]


def erase(port: int, user: str, append: Callable[[Wire], bytes]) -> Erased:
    """To its end; the other one's appends are what `append` asks for."""
    with connected(port) as mine, ThreadPoolExecutor(1) as other:
        over = threading.Event()
        appending = other.submit(_append, port, append, over)
        time.sleep(QUIET_SECONDS)
        over.set()
        before = appending.result()
        over.clear()
        appending = other.submit(_append, port, append, over)
        began = time.monotonic()
        try:
            receipt = _finished(mine, user)
        finally:
            over.set()
        return Erased(time.monotonic() - began, receipt, before, appending.result())


def _finished(mine: Wire, user: str) -> dict[str, Any]:
    _, body = mine.ask(mine.request(user, f"/api/users/{user}/data", method="DELETE"))
    while True:
        receipt: dict[str, Any] = json.loads(body)["data"]
        if receipt["finishedAt"]:
            return receipt
        time.sleep(0.2)
        _, body = mine.ask(mine.request(user, f"/api/erasures/{receipt['receiptId']}"))


def _append(port: int, append: Callable[[Wire], bytes], over: threading.Event) -> list[float]:
    took = []
    with connected(port) as to:
        while not over.is_set():
            took.append(to.ask(append(to))[0])
            time.sleep(PAUSE_SECONDS)
    return took


def in_dump(url: str, mark: bytes) -> int:
    """How often a dump of the whole database holds this text."""
    environ = {**os.environ, "PGOPTIONS": "-c role=none"}
    with subprocess.Popen([tool("pg_dump"), url], env=environ, stdout=subprocess.PIPE) as dumping:
        assert dumping.stdout is not None
        found = sum(line.count(mark) for line in dumping.stdout)
    if dumping.returncode:
        raise SystemExit("the database could not be dumped")
    return found
