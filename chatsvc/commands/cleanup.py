"""`flask cleanup`: what may go, now or again and again."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import click
from flask.cli import AppGroup

from chatsvc.core import cleanup as core
from chatsvc.core import tallies
from chatsvc.extensions import metrics, settings

cleanup = AppGroup("cleanup", help="End exchanges that nobody answers; erase what has been deleted for long, and records that no longer count.")
log = logging.getLogger(__name__)

every = click.option("--every", type=click.FloatRange(min=0.001), metavar="HOURS", help="Stay, and repeat after so many hours.")
parent = click.option("--parent", type=int, hidden=True, help="End when this process is no longer the parent.")


@cleanup.command("purge")
@every
@parent
def purge(every: float | None, parent: int | None) -> None:
    """Erase what was soft-deleted more than CHAT_SESSION_CLEANUP_DAYS ago. Two at once do no harm."""
    _repeat(_purge, every, parent)


@cleanup.command("timeout")
@every
@parent
def timeout(every: float | None, parent: int | None) -> None:
    """End exchanges without an answer for CHAT_SESSION_TIMEOUT_HOURS as TIMEOUT. Two at once do no harm."""
    _repeat(_time_out, every, parent)


@cleanup.command("all")
@every
@parent
def all_(every: float | None, parent: int | None) -> None:
    """Both."""
    _repeat(_both, every, parent)


def _both() -> None:
    _time_out()
    _purge()


def _time_out() -> None:
    click.echo(f"timed out {core.time_out()} exchanges")


def _purge() -> None:
    done = core.purge()
    records = f"{done.keys} idempotency keys, {done.sign_in_records} sign-in records, {done.audit_events} audit events"
    click.echo(f"purged {done.sessions} sessions, {done.messages} messages, {records}")


def _count_together() -> None:
    """With the service of this environment, where one has been started, so that its figures tell of this pass too. One that cannot be counted
    is none the worse."""
    folder = Path(settings().metrics_dir)
    if settings().metrics_on and folder.is_dir():
        try:
            metrics().keep_in(folder)
            tallies.together(folder)  # puts away what earlier ones have left
        except OSError as error:
            log.warning("this cleanup is not counted: METRICS_DIR cannot be written (%s)", error.strerror)


def _repeat(task: object, every: float | None, parent: int | None) -> None:
    assert callable(task)
    _count_together()
    if every is None:
        task()
        return
    while True:
        try:
            task()
        except Exception:
            # The next pass may well succeed; a cleanup that has stopped would be noticed far too late.
            log.exception("this cleanup pass failed; the next one is in %s hours", every)
        wake_at = time.monotonic() + every * 3600
        while time.monotonic() < wake_at:
            if parent is not None and os.getppid() != parent:
                return
            time.sleep(min(1.0, every * 3600))
