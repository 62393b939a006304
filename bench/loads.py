"""A load of one kind against a server or the bare database: how much went through, how long it took, what it used."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_seconds, memory
from bench.servers import Face, Server
from bench.streams import percentile
from bench.tools import tool

FOLDER = Path(__file__).parent
KINDS = ("list", "read", "append", "mix")
MIX = {"append": 30, "list": 35, "read": 35}
CONTENT = "Benchmark message that has about the length of a short question a person would type into a chat window, no more."


@dataclass(frozen=True, slots=True)
class Load:
    kind: str
    seconds: int
    connections: int
    people: Path


@dataclass(frozen=True, slots=True)
class Measured:
    """One load on one server. Times in milliseconds, processor time in microseconds per request, memory in MiB of the largest worker's peak."""

    rps: float
    p50: float
    p99: float
    errors: int = 0
    app_us: float | None = None
    db_us: float | None = None
    memory: float | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What wrk says."""

    requests: int
    us: int
    p50: int
    p99: int
    bytes: int
    errors: int


def on_server(server: Server, load: Load, postmaster: int | None) -> Measured:
    app, db = cpu_seconds(server.pid), cpu_seconds(postmaster) if postmaster else 0.0
    seen = wrk(server.port, server.face, load)
    app, db = cpu_seconds(server.pid) - app, cpu_seconds(postmaster) - db if postmaster else 0.0
    each = 1e6 / max(1, seen.requests)
    peak = max(memory(worker).peak for worker in server.workers)
    return Measured(seen.requests / (seen.us / 1e6), seen.p50 / 1000, seen.p99 / 1000, seen.errors, app * each, db * each if postmaster else None, peak)


def wrk(port: int, face: Face, load: Load) -> Counted:
    threads = min(2, load.connections)
    environ = {**os.environ, "KIND": load.kind, "PEOPLE": str(load.people), "LIST": face.list, "READ": face.read, "APPEND": face.append}
    environ["BODY"] = json.dumps(face.body(CONTENT))
    command = [tool("wrk"), "-t", str(threads), "-c", str(load.connections), "-d", f"{load.seconds}s", "-s", str(FOLDER / "load.lua")]
    ran = subprocess.run([*command, f"http://127.0.0.1:{port}"], check=False, env=environ, capture_output=True, text=True)
    for line in ran.stdout.splitlines():
        if line.startswith("JSON "):
            return Counted(**json.loads(line[5:]))
    raise SystemExit(f"wrk failed:\n{ran.stdout}{ran.stderr}")


def pgbench(url: str, load: Load, users: int, postmaster: int | None) -> Measured:
    """The same kinds as one prepared statement each, with nothing around them."""
    parts = {kind: MIX[kind] for kind in MIX} if load.kind == "mix" else {load.kind: 1}
    files = [part for kind, weight in parts.items() for part in ("-f", f"{FOLDER}/sql/{kind}.sql@{weight}")]
    with tempfile.TemporaryDirectory() as folder:
        amount = ["-c", str(load.connections), "-j", str(min(2, load.connections)), "-T", str(load.seconds)]
        logs = ["-l", "--log-prefix", f"{folder}/log"]
        db = cpu_seconds(postmaster) if postmaster else 0.0
        ran = subprocess.run(
            [tool("pgbench"), "-n", "-M", "prepared", "-D", f"users={users}", *amount, *logs, *files, url], check=False, capture_output=True, text=True
        )
        if ran.returncode:
            raise SystemExit(f"pgbench failed:\n{ran.stderr}")
        db = cpu_seconds(postmaster) - db if postmaster else 0.0
        times = [int(line.split()[2]) / 1000 for log in Path(folder).iterdir() for line in log.read_text().splitlines()]
    tps = next(float(line.split()[2]) for line in ran.stdout.splitlines() if line.startswith("tps"))
    return Measured(tps, percentile(times, 0.5), percentile(times, 0.99), db_us=db / len(times) * 1e6 if postmaster else None)
