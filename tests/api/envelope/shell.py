"""Command lines of documents, run in a shell against a real server as they are written there; hosts, tokens and ids replaced."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

STATUS = "\n%{http_code}"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """Serves the application on a port of its own; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def run(command: str, **replaced: str) -> tuple[int, Any]:
    """Status and body of what this curl line asks for; words in it stand for hosts, tokens and ids."""
    for word, value in replaced.items():
        command = re.sub(rf"(?<![A-Za-z_]){re.escape(word)}(?![A-Za-z_])", value, command)
    script = f"curl() {{ command curl -sS -w '{STATUS}' --noproxy '*' \"$@\"; }}\n{command}"
    done = subprocess.run(["sh", "-ec", script], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)
