"""kill -9 of a worker with many streams open, round after round: no reply stays open, no text that a client saw is lost.

    python -m tests.faults.kill_streams --rounds 20 --streams 50        (DATABASE_URL, or a new SQLite file)

A seeded run against the service as `flask serve` starts it. A client takes a piece as acknowledged once it has come; what is asked
afterwards is that the saved text holds everything up to the last checkpoint interval before the kill, and that resuming on the
worker that is left gives the rest and an end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.streams import SECRET, request

ROOT = Path(__file__).resolve().parents[2]
LONGEST_OPEN = 60.0
CHECKPOINT = 0.5


@dataclass
class Client:
    """One stream as its client saw it: each piece with the time at which it came."""

    user: str
    reply_id: int = 0
    text: str = ""
    came: list[tuple[float, int]] | None = None

    def certain(self, killed_at: float) -> str:
        """What had come half a second before the kill: it must have been saved by then."""
        length = max((reached for at, reached in self.came or [] if at <= killed_at - CHECKPOINT), default=0)
        return self.text[:length]


async def watch(port: int, client: Client) -> None:
    """Sends a long message and reads until the connection is gone."""
    client.came = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"message": " ".join(f"w{number}" for number in range(400))}).encode()
    writer.write(request(port, client.user, "POST", "/api/v1/chat/stream", body))
    buffer = ""
    try:
        while data := await reader.read(65536):
            buffer += data.decode()
            while "\n\n" in buffer:
                block, buffer = buffer.split("\n\n", 1)
                _take(client, block)
    except OSError:
        pass
    writer.close()


def _take(client: Client, block: str) -> None:
    for line in block.splitlines():
        if line.startswith("data: "):
            told: dict[str, Any] = json.loads(line[6:])
            if "reply_id" in told:
                client.reply_id = told["reply_id"]
            elif "content" in told:
                client.text += told["content"]
                assert client.came is not None
                client.came.append((time.monotonic(), len(client.text)))


async def read_reply(port: int, client: Client) -> tuple[str, str]:
    """Status and text of the reply, by the message list."""
    _, answer = await ask(port, client.user, "GET", "/api/v1/chat/sessions")
    session_id = answer["sessions"][0]["session_id"]
    _, answer = await ask(port, client.user, "GET", f"/api/v1/chat-sessions/{session_id}/messages?order=desc&page_size=1")
    return answer["messages"][0]["status"], answer["messages"][0]["content"]


async def ask(port: int, user: str, method: str, path: str) -> tuple[int, Any]:
    for _ in range(50):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port, user, method, path).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
            data = await reader.read()
            writer.close()
            head, _, body = data.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            if status != 503:
                return status, json.loads(body)
        except (OSError, IndexError, ValueError):
            pass
        await asyncio.sleep(0.2)
    raise AssertionError(f"{path} was not answered")


def workers_of(master: int) -> list[int]:
    """The gunicorn workers; the repeating cleanup beside them is not one."""
    found = []
    for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"gunicorn" in command:
            found.append(int(pid))
    return found


async def one_round(port: int, master: int, number: int, streams: int) -> dict[str, Any]:
    clients = [Client(f"r{number}-{index}-{random.getrandbits(32):x}") for index in range(streams)]
    watchers = [asyncio.create_task(watch(port, client)) for client in clients]
    await asyncio.sleep(random.uniform(2, 4))
    victim = random.choice(workers_of(master))
    killed_at = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    open_: list[Client] = [client for client in clients if client.reply_id]
    cut = 0
    lost: list[str] = []
    while open_ and time.monotonic() - killed_at < LONGEST_OPEN:
        await asyncio.sleep(2)
        for client in list(open_):
            status, text = await read_reply(port, client)
            if status != "streaming":
                open_.remove(client)
                if status == "failed":
                    cut += 1
                    if not text.startswith(client.certain(killed_at)):
                        lost.append(client.user)
    for watcher in watchers:
        watcher.cancel()
    return {
        "round": number,
        "begun": sum(bool(client.reply_id) for client in clients),
        "cut": cut,
        "still_open": len(open_),
        "lost": lost,
        "seconds": round(time.monotonic() - killed_at, 1),
    }


async def run(port: int, master: int, rounds: int, streams: int) -> bool:
    good = True
    for number in range(rounds):
        found = await one_round(port, master, number, streams)
        print(json.dumps(found), flush=True)  # noqa: T201
        good = good and not found["still_open"] and not found["lost"] and found["cut"] > 0
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--port", type=int, default=8124)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    random.seed(given.seed)
    print(f"seed {given.seed}")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "PORT": str(given.port),
            "JWT_SECRET_KEY": SECRET,
            "CHAT_ECHO_DELAY_MS": "100",
            "CHAT_INSTANCE_PATH": folder,
            "CHAT_DEMO_ACCOUNTS": "false",
            "LOG_LEVEL": "warning",
            "RATELIMIT_ENABLED": "false",
        }
        server = subprocess.Popen([sys.executable, "serve.py"], cwd=ROOT, env=environ)
        try:
            while True:
                status, _ = asyncio.run(ask(given.port, "nobody", "GET", "/readyz"))
                if status == 200:
                    break
            good = asyncio.run(run(given.port, server.pid, given.rounds, given.streams))
            verified = subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, check=False)
        finally:
            server.terminate()
            server.wait(60)
    sys.exit(0 if good and verified.returncode == 0 else 1)


if __name__ == "__main__":
    main()
