"""A clock of a process's own that is wrong, and may be set while it runs: libfaketime, loaded without its wrapper.

The wrapper would be the service's parent, and die of the signals that are meant for it.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from bench.tools import tool

# What is measured stays right, as on a machine whose clock is set: only the time of day is another. The times of files stay as they are.
AS_IT_IS = ("FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", f"PYTHONPATH={Path(__file__).parent / 'faked'}")
LOOKED_AT = 1  # seconds between two looks at the file that says how wrong it is


@functools.cache
def _library() -> str:
    """As faketime itself would load it, in the form for threads."""
    said = subprocess.run([tool("faketime"), "-m", "-f", "+0", "env"], check=True, capture_output=True, text=True).stdout
    return next(line.partition("=")[2] for line in said.splitlines() if line.startswith("LD_PRELOAD="))


def faked(step: str) -> tuple[str, ...]:
    """What a command begins with whose clock is so far off, say `+25h`."""
    return ("env", f"LD_PRELOAD={_library()}", f"FAKETIME={step}", *AS_IT_IS)


def kept_in(file: Path) -> tuple[str, ...]:
    """The same for a clock that is as far off as a file says, whenever that changes."""
    return ("env", f"LD_PRELOAD={_library()}", f"FAKETIME_TIMESTAMP_FILE={file}", f"FAKETIME_CACHE_DURATION={LOOKED_AT}", *AS_IT_IS)
