"""Slow HTTP and floods, behind nginx and bare: what do others' reads cost meanwhile, and does memory stay as it is?

    python -m tests.faults.slow_http --seconds 15        (DATABASE_URL, an empty database, or one made on the server of the tests)
    python -m tests.faults.slow_http --only headers,body,read --bare

Needs nginx, slowhttptest and wrk. The service is `flask serve` with two workers; the attacker has a thousand connections that send their
headers or bodies byte by byte, or read an answer so; or asks as quickly as it goes, or guesses passwords from one address and from many.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from contextlib import ExitStack
from typing import Any

from bench.streams import token
from bench.tools import tool
from config import ROOT
from tests.faults.parts.databases import database
from tests.faults.parts.nginx import ADDRESS, nginx
from tests.faults.parts.service import Service, running
from tests.faults.parts.times import Asker, compared

CONNECTIONS = "1000"
SLOW = {
    # A few bytes of a header every second, and no end.
    "headers": ["-H", "-i", "1", "-x", "16"],
    # A body of which a few bytes come every second.
    "body": ["-B", "-i", "1", "-s", "8192", "-x", "16", "-t", "POST"],
    # Many answers on one connection, of which the attacker reads five bytes a second through a small window.
    "read": ["-X", "-w", "1", "-y", "64", "-n", "1", "-z", "5", "-k", "3"],
}
PATHS = {"headers": "/api/v1/chat-sessions", "body": "/auths/login", "read": "/openapi.json"}
FLOODS = ("flood", "logins from one address", "logins from many addresses")
GROWTH_MB = 64.0
HASHES_MB = 4 * 19.0  # what two sign-ins at once of each of two workers take is kept for the next ones
COLOURS = re.compile("\\x1b\\[[0-9;]*m")


async def attack(name: str, port: int, seconds: float) -> str:
    """In a process of its own, ended by its own clock; its last words. It gives way to all others: in life it has a machine of its own."""
    address = f"http://127.0.0.1:{port}"
    if name in SLOW:
        options = [*SLOW[name], "-c", CONNECTIONS, "-r", "500", "-l", str(int(seconds)), "-v", "1", "-p", "3"]
        command = [tool("slowhttptest"), *options, "-u", address + PATHS[name]]
    elif name == "flood":
        headers = ["-H", f"Authorization: Bearer {token('flood')}", "-H", f"{ADDRESS}: 203.0.113.9"]
        command = [tool("wrk"), "-t1", "-c64", f"-d{int(seconds)}s", *headers, f"{address}/api/v1/chat-sessions"]
    else:
        command = [sys.executable, "-m", "tests.faults.parts.guessing", str(port), str(seconds), "1" if "one" in name else "250"]
    process = await asyncio.create_subprocess_exec("nice", "-n", "19", *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
    said = (await process.communicate())[0].decode(errors="replace")
    lines = [COLOURS.sub("", line).strip() for line in said.splitlines()]
    return ", ".join(line for line in lines if line.startswith(("{", "Exit status", "Non-2xx")) or "requests in" in line)


async def measured(service: Service, port: int, names: list[str], seconds: float) -> dict[str, Any]:
    """Each attack by itself, with the times of reads before it and during it."""
    asker = Asker(port, names=("list", "read"), who=f"measured-{port}", address="192.0.2.7")
    await asker.ask(2)
    told: dict[str, Any] = {}
    for name in names:
        quiet = await asker.ask(seconds)
        before = service.megabytes()
        under_way = asyncio.create_task(attack(name, port, seconds + 3))
        await asyncio.sleep(3)  # until its connections are there
        found = await asker.ask(seconds)
        grown = service.megabytes() - before
        told[name] = {**compared(quiet, found), "memory_grew_mb": round(grown, 1), "attacker": await under_way}
        alive = service.status("/readyz") == 200
        refused = [one for one in ("list", "read") if "refused" in told[name][one]]
        told[name]["wrong"] = [
            *([] if alive else ["the service is not ready afterwards"]),
            *(f"{one}s were refused: {told[name][one]['refused']}" for one in refused),
            *([f"memory grew by {grown:.0f} MB"] if grown > GROWTH_MB + HASHES_MB * name.startswith("login") else []),
            *(["a refusal did not say when to come back"] if "without" in told[name]["attacker"] else []),
        ]
        await asyncio.sleep(2)
    return told


def run(url: str, names: list[str], seconds: float, *, bare: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    with ExitStack() as stack:
        service = stack.enter_context(running(url, WEB_CONCURRENCY="2", PROXY_HOPS="1"))
        door = stack.enter_context(nginx([service.port], limited=True))
        told["behind nginx"] = asyncio.run(measured(service, door, names, seconds))
        if bare:
            told["bare"] = asyncio.run(measured(service, service.port, [name for name in names if name in SLOW], seconds))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each is measured, quiet and under attack")
    parser.add_argument("--only", default=",".join([*SLOW, *FLOODS]), help="some of them, with commas between")
    parser.add_argument("--bare", action="store_true", help="the slow ones also without nginx")
    given = parser.parse_args()
    with database() as url:
        told = run(url, given.only.split(","), given.seconds, bare=given.bare)
    print(json.dumps(told, indent=1))  # noqa: T201
    sys.exit(1 if any(one["wrong"] for one in told["behind nginx"].values()) else 0)


if __name__ == "__main__":
    main()
