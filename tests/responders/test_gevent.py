"""The same under gevent, each in a process of its own in which everything is patched from the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUNS = (
    ("test_slow.py",),
    ("test_broken.py",),
    ("test_tls.py", "test_side_by_side.py", "test_openai.py", "test_anthropic.py"),
    ("test_webhook.py", "test_webhook_broken.py"),
)
PROGRAM = "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


@pytest.mark.long
def test_everything_that_waits_works_under_gevent_too() -> None:
    command = [sys.executable, "-c", PROGRAM, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", f"--confcutdir={HERE}"]
    started = [subprocess.Popen([*command, *(str(HERE / name) for name in names)], stdout=subprocess.PIPE, text=True) for names in RUNS]
    said = [process.communicate(timeout=600)[0] for process in started]
    for process, text in zip(started, said, strict=True):
        assert process.returncode == 0, text
        assert " passed" in text
