"""`flask serve`: what `make run` does once the packages are there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import click
from flask.cli import with_appcontext
from flask_migrate import upgrade

import metrics_folder
from chatsvc.core import health, users
from chatsvc.core.errors import Conflict
from chatsvc.extensions import settings
from config import ROOT, SettingError

log = logging.getLogger(__name__)
DEMO = (("alice", "alicepass123"), ("testuser", "testpass123"))


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Migrate the database, make the demo accounts if they are wanted, and serve; the repeating cleanup runs beside."""
    config = settings()
    upgrade()
    if fault := health.wall_missing():
        log.warning("%s", fault)
    open_demo_accounts() if config.demo_accounts else close_demo_accounts()
    begin_to_count()
    environ = {**os.environ, "FLASK_APP": str(ROOT / "wsgi.py")}
    # It gives way to everybody who waits for an answer, and to the start itself.
    # The cleanup's parent is this process, which is about to become gunicorn's master; when that ends, it ends.
    # This service's own command, with nothing from outside in it.
    subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "flask", "cleanup", "all", "--every", str(config.cleanup_interval), "--parent", str(os.getpid())],
        cwd=ROOT,
        env=environ,
        preexec_fn=_give_way,  # noqa: PLW1509 - no thread runs here
    )
    click.echo(f"chatsvc listens on http://{config.host}:{config.port}  (Ctrl+C stops it)")
    sys.stdout.flush()
    os.chdir(ROOT)
    # With a store of free memory for each thread a worker of many threads grows by a fifth before it stays as it is. The system's
    # library has two kinds of them.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")
    # This program again, with nothing from outside in it.
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "wsgi:app"])  # nosec B606


def begin_to_count() -> None:
    """Here and not when the server starts, since the cleanup counts in the same folder."""
    if settings().metrics_on:
        try:
            metrics_folder.begin(Path(settings().metrics_dir), for_programs_after=True)
        except OSError as error:
            raise SettingError(f"METRICS_DIR cannot be written ({error.strerror}); name a folder that can.") from None


def _give_way() -> None:
    os.nice(10)


def open_demo_accounts() -> None:
    """Makes them, or opens them again; an account of that name with a password of its own is somebody's and stays as it is."""
    for name, password in DEMO:
        if users.has_password(name, password):
            users.enable(name)
        else:
            try:
                users.create(name, password)
            except Conflict:
                continue
        click.echo(f"demo account: {name} / {password}")


def close_demo_accounts() -> None:
    """A database that was tried out with them must not be open to everybody who has read the manual."""
    for name, password in DEMO:
        if users.has_password(name, password):
            users.disable(name)
            click.echo(f"the demo account {name} still had its well-known password and is disabled")
