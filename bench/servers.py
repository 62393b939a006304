"""The servers that are compared, each started as its users would."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from bench.processes import workers
from bench.streams import ROOT, SECRET, free_port, served

PEER_PYTHON = ROOT / ".venv-peer/bin/python"
WORKERS = "2"


@dataclass(frozen=True, slots=True)
class Face:
    """How a server spells the three kinds of request; {id} stands for the session."""

    list: str
    read: str
    append: str
    role: str

    def body(self, content: str) -> dict[str, str]:
        return {self.role: "user", "content": content}


PEER = Face("/api/v1/chat/sessions?page=1&page_size=20", "/api/v1/chat/sessions/{id}?limit=50", "/api/v1/chat/sessions/{id}/messages", "role")
PRODUCT = Face(
    "/api/v1/chat-sessions?page=1&page_size=20", "/api/v1/chat-sessions/{id}?message_limit=50", "/api/v1/chat-sessions/{id}/messages", "message_type"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running one."""

    name: str
    face: Face
    port: int
    pid: int
    mark: str  # what the command lines of its workers hold

    @property
    def workers(self) -> list[int]:
        return workers(self.pid, self.mark)


@contextlib.contextmanager
def product(database_url: str, **settings: str) -> Iterator[Server]:
    """chatsvc as `make run` serves it, everything on."""
    port = free_port()
    with served(port, DATABASE_URL=database_url, WEB_CONCURRENCY=WORKERS, **settings) as pid:
        yield Server("chatsvc", PRODUCT, port, pid, "gunicorn")


@contextlib.contextmanager
def peer(database_url: str) -> Iterator[Server]:
    """bench/peer.py under uvicorn, with as many workers."""
    if not PEER_PYTHON.exists():
        raise SystemExit("the peer's packages are not installed: make bench does it")
    port = free_port()
    options = ["--workers", WORKERS, "--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    environ = {**os.environ, "DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET}
    process = subprocess.Popen([PEER_PYTHON, "-m", "uvicorn", "bench.peer:app", *options], cwd=ROOT, env=environ)
    try:
        until_it_answers(f"http://127.0.0.1:{port}/openapi.json", process)
        yield Server("FastAPI peer", PEER, port, process.pid, "spawn_main")
    finally:
        process.terminate()
        process.wait(40)


def until_it_answers(address: str, process: subprocess.Popen[bytes], *, within: float = 30, every: float = 0.05) -> None:
    ends_at = time.monotonic() + within
    while time.monotonic() < ends_at and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        time.sleep(every)
    raise SystemExit(f"nobody answers at {address}")
