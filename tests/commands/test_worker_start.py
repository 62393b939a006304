"""Workers that start while the database is away: the server stays, says so, and needs nobody when the database is back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask_migrate import upgrade

from chatsvc import create_app
from chatsvc.extensions import db
from config import ROOT
from tests import factories


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def becomes(url: str, wanted: int) -> bool:
    until = time.monotonic() + 60
    while (found := status(url)) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    return found == wanted


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """The folder of a database that is not there yet."""
    return tmp_path / "not there"


@pytest.fixture
def server(away: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {
        "CHAT_INSTANCE_PATH": str(tmp_path / "instance"),
        "DATABASE_URL": f"sqlite:///{away / 'own.db'}",
        "JWT_SECRET_KEY": factories.SECRET,
        "CHAT_ENCRYPTION_KEY": factories.SECRET,
    }
    environ = {**os.environ, **settings, "PORT": str(port), "WEB_CONCURRENCY": "1", "CHAT_THREADS": "4", "LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}", process
    process.terminate()
    process.wait(60)


def test_a_worker_that_starts_while_the_database_is_away_serves_as_soon_as_it_is_there(server: tuple[str, subprocess.Popen[bytes]], away: Path) -> None:
    url, process = server
    assert becomes(f"{url}/healthz", 200)
    time.sleep(1)  # in which it has tried its first beat
    assert (process.poll(), status(f"{url}/healthz"), status(f"{url}/readyz")) == (None, 200, 503)
    away.mkdir()
    with create_app(factories.settings(f"sqlite:///{away / 'own.db'}")).app_context():
        upgrade()
        db.engine.dispose()
    assert becomes(f"{url}/readyz", 200)
