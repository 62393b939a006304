"""What production refuses to run with, beside the secrets that tests/test_config.py tells of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from tests.factories import ENCRYPTION_KEY

STRONG = "tV9x-Kq3mWz7Lp0RbYc8Hs2NdEf5Ju1G"
PRODUCTION = {"CHAT_ENV": "production", "JWT_SECRET_KEY": STRONG, "CHAT_ENCRYPTION_KEY": ENCRYPTION_KEY}


def started(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    command = [sys.executable, "-m", "flask", *words, "openapi", "--output", os.devnull]
    settings = {**kept, **PRODUCTION, "DATABASE_URL": f"sqlite:///{folder / 'x.db'}", "CHAT_INSTANCE_PATH": str(folder), **environ}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120, check=False)


def test_it_runs_as_it_is_meant(tmp_path: Path) -> None:
    done = started(tmp_path)
    assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(("words", "environ"), [((), {"FLASK_DEBUG": "1"}), (("--debug",), {})])
def test_it_does_not_start_with_the_debugger(tmp_path: Path, words: tuple[str, ...], environ: dict[str, str]) -> None:
    done = started(tmp_path, *words, **environ)
    assert done.returncode != 0
    assert "FLASK_DEBUG is on. In production it must not be" in done.stdout + done.stderr


@pytest.mark.parametrize("secret", ["", "short", "a" * 40, "your-secret-key-your-secret-key-12345"])
def test_it_does_not_start_with_a_secret_that_is_none_and_does_not_show_it(tmp_path: Path, secret: str) -> None:
    done = started(tmp_path, JWT_SECRET_KEY=secret)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "JWT_SECRET_KEY is" in told
    assert not secret or secret not in told
