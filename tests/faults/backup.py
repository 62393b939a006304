"""Backups while people write: each is put back elsewhere, agrees with itself, and holds every message that was answered before it began.

    python -m tests.faults.backup --seconds 60        (SQLite, and PostgreSQL where pg_dump and pg_restore are; --engine takes one)

The service is `flask serve` with two workers. Writers append and write down what was answered; `flask backup` runs beside, again and
again. Some backups are killed (kill -9) in the middle: nothing of them may look like one. At the end the last one is served, and
written to. A PostgreSQL is the one that the tests would take; only a database of this run's own is made there.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.streams import ROOT, SECRET, free_port, token
from tests import postgres
from tests.migrations.raw import Raw
from tests.restoring import has_programs, restored

ENGINES = ("sqlite", "postgresql")


@dataclass
class Ledger:
    """What was answered, in the order it was; each message says who it is."""

    answered: list[str] = field(default_factory=list)
    refused: int = 0


@dataclass
class Found:
    """What a run came to."""

    backups: int = 0
    killed: int = 0
    lost: int = 0
    breaches: int = 0
    leftovers: int = 0
    complaints: list[str] = field(default_factory=list)


def environment(url: str, folder: Path, port: int) -> dict[str, str]:
    settings = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "CHAT_INSTANCE_PATH": str(folder), "PORT": str(port)}
    return {**os.environ, **settings, "RATELIMIT_ENABLED": "false", "CHAT_DEMO_ACCOUNTS": "false", "LOG_LEVEL": "warning", "CHAT_THREADS": "48"}


def flask(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "flask", *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300)


@contextlib.contextmanager
def service(environ: dict[str, str]) -> Iterator[int]:
    port = int(environ["PORT"])
    log = Path(environ["CHAT_INSTANCE_PATH"]) / "log"
    with log.open("a") as file:
        process = subprocess.Popen([sys.executable, "serve.py"], cwd=ROOT, env=environ, stdout=file, stderr=file)
    try:
        for _ in range(600):
            if process.poll() is None and ask(port, "GET", "/readyz")[0] == 200:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"the service does not start: {log.read_text()}")
        yield port
    finally:
        process.terminate()
        process.wait(60)


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {token('owner')}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()


def write_on(port: int, number: int, ledger: Ledger, enough: threading.Event) -> None:
    session = ask(port, "POST", "/api/v1/chat-sessions", {"agent_type": None})[1]["id"]
    count = 0
    while not enough.is_set():
        count += 1
        content = f"message {count} of writer {number}"
        status, _ = ask(port, "POST", f"/api/v1/chat-sessions/{session}/messages", {"content": content, "message_type": "user"})
        if status == 201:
            ledger.answered.append(content)
        else:
            ledger.refused += 1


def check(file: Path, folder: Path, server: str | None, before: list[str], found: Found) -> None:
    """Puts a backup back, asks `flask verify`, and looks for everything that was answered before it began."""
    with restored(file, folder / f"of-{file.name}", server) as url:
        verified = flask(environment(url, folder, 1), "verify")
        if verified.returncode:
            found.breaches += 1
            found.complaints.append(verified.stdout + verified.stderr)
        raw = Raw(url)
        kept = {content for (content,) in raw.run("SELECT content FROM chat_messages")}
        raw._connection.close()
    found.lost += len(set(before) - kept)


def kill_one(environ: dict[str, str], file: Path, found: Found) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "backup", str(file)], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    part = f".{file.name}.{process.pid}.part"
    while process.poll() is None and not file.with_name(part).exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    if not file.exists():
        found.killed += 1  # or it was quicker, and is whole
    else:
        file.unlink()
    for left in file.parent.glob(".*.part"):  # a hidden file, which no restore takes for a backup
        left.unlink()
    found.leftovers += len(list(file.parent.glob(f"{file.name}*")))


def run(engine: str, seconds: float, writers: int) -> Found:
    found = Found()
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        server = None if engine == "sqlite" else postgres.find_server(folder)[0]
        url = f"sqlite:///{folder / 'chatsvc.db'}" if server is None else held.enter_context(postgres.new_database(server))
        environ = environment(url, folder, free_port())
        ledger, enough = Ledger(), threading.Event()
        with service(environ) as port:
            threads = [threading.Thread(target=write_on, args=(port, number, ledger, enough)) for number in range(writers)]
            for thread in threads:
                thread.start()
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at or not found.backups:
                time.sleep(random.uniform(0.2, 1.5))
                kill_one(environ, folder / f"killed{found.backups}", found)
                before, file = list(ledger.answered), folder / f"backup{found.backups}"
                made = flask(environ, "backup", str(file))
                if made.returncode:
                    found.complaints.append(made.stdout + made.stderr)
                    break
                found.backups += 1
                check(file, folder, server, before, found)
            enough.set()
            for thread in threads:
                thread.join()
        serve_again(folder, server, found)
    print(f"{engine}: {len(ledger.answered)} messages answered, {ledger.refused} refused, {found.backups} backups put back, {found.killed} killed")  # noqa: T201
    print(f"{engine}: {found.lost} lost, {found.breaches} that do not verify, {found.leftovers} half files")  # noqa: T201
    return found


def serve_again(folder: Path, server: str | None, found: Found) -> None:
    """The service on the last backup takes up where it was."""
    with restored(folder / f"backup{found.backups - 1}", folder / "again", server) as url:
        environ = environment(url, folder, free_port())
        with service(environ) as port:
            session = ask(port, "GET", "/api/v1/chat-sessions?page_size=1")[1]["sessions"][0]["id"]  # type: ignore[index]
            status, _ = ask(port, "POST", f"/api/v1/chat-sessions/{session}/messages", {"content": "And on", "message_type": "user"})
        if status != 201 or flask(environ, "verify").returncode:
            found.complaints.append(f"the service on the last backup answered {status}, or does not verify afterwards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    random.seed(given.seed)
    print(f"seed {given.seed}")  # noqa: T201
    good, engines = True, [given.engine] if given.engine else list(ENGINES)
    if "postgresql" in engines and not has_programs():
        print("postgresql: NOT RUN: pg_dump and pg_restore are not on this machine's PATH")  # noqa: T201
        engines.remove("postgresql")
        good = not given.engine
    for engine in engines:
        found = run(engine, given.seconds, given.writers)
        for complaint in found.complaints:
            print(complaint)  # noqa: T201
        good = good and not (found.lost or found.breaches or found.leftovers or found.complaints)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
