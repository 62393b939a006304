"""The programs that the measurements call, found where distributions put them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

HOW = {
    "wrk": "wrk makes the load: `make wrk` installs it on Debian and Ubuntu (as root); elsewhere it is the package of that name.",
    "psql": "psql fills the databases: it is part of every PostgreSQL (on Debian and Ubuntu: apt install postgresql-client).",
    "pg_dump": "pg_dump shows what is left: it is part of every PostgreSQL (on Debian and Ubuntu: apt install postgresql-client).",
    **{name: f"{name} is part of every PostgreSQL server (on Debian and Ubuntu: apt install postgresql)." for name in ("initdb", "postgres", "pg_basebackup")},
    **{
        name: f"{name} is missing: `make fault-tools` installs it on Debian and Ubuntu (as root)."
        for name in ("nginx", "faketime", "slowhttptest", "redis-server", "pgbouncer")
    },
    "pgbench": "pgbench does the bare SQL: it comes with the PostgreSQL server (on Debian and Ubuntu: apt install postgresql).",
}


@functools.cache
def tool(name: str) -> str:
    """The path of this program, or an exit that says how to get it."""
    for folder in (None, "/usr/sbin", *_folders_of_postgresql()):
        found = shutil.which(name, path=str(folder) if folder else None)
        if found:
            return found
    raise SystemExit(HOW[name])


def wrk_version() -> str:
    said = subprocess.run([tool("wrk"), "-v"], check=False, capture_output=True, text=True).stdout  # it exits with 1
    return said.split()[1]


def _folders_of_postgresql() -> list[Path]:
    said = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip() if shutil.which("pg_config") else ""
    return [*([Path(said)] if said else []), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
