"""Prometheus' own checker, and Prometheus itself, where they are there: `make promtool` puts them into .promtool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / ".promtool"


def program(name: str) -> Path:
    """Where it is; without it the test is skipped and says so, or fails where CHAT_TEST_PROMTOOL says that it has to be there."""
    own = FOLDER / "usr/bin" / name
    found = own if own.exists() else shutil.which(name)
    if found is None:
        assert not os.environ.get("CHAT_TEST_PROMTOOL"), f"{name} is not there: make promtool"
        pytest.skip(f"{name} is not there, so its own check was not made: make promtool")
    return Path(found)
