"""`make run`: starts the server, which makes everything ready before it serves (gunicorn.conf.py).

Nothing of the service is loaded here, since the server is another program and would load it once more: that was half the time of a start.
"""

from __future__ import annotations

import os
import sys

from config import ROOT, SettingError, load

MAKES_READY = "CHATSVC_MAKES_READY"  # from here to gunicorn.conf.py; other ways to the server leave migrations and the cleanup to somebody else
# With a store of free memory for each thread a worker of many threads grows by a fifth before it stays as it is. The system's library has
# two kinds of them.
MEMORY = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


def start() -> None:
    try:
        load()
    except SettingError as error:
        sys.exit(str(error))
    os.chdir(ROOT)
    # This program again, with nothing from outside in it.
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    os.execve(sys.executable, command, MEMORY | os.environ | {MAKES_READY: "yes"})  # nosec B606


if __name__ == "__main__":
    start()
