"""`flask cleanup`: what may go, now or again and again."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import click
from flask.cli import AppGroup

from chatsvc.core import cleanup as core
from chatsvc.core import forgetting, old_addresses, retention, scrubbing, tallies
from chatsvc.extensions import metrics, settings

cleanup = AppGroup("cleanup", help="End exchanges that nobody answers; erase what has been deleted, or kept, for long; hide old addresses.")
log = logging.getLogger(__name__)
Task = Callable[[bool], None]

every = click.option("--every", type=click.FloatRange(min=0.001), metavar="HOURS", help="Stay, and repeat after so many hours.")
parent = click.option("--parent", type=int, hidden=True, help="End when this process is no longer the parent.")
dry_run = click.option("--dry-run", is_flag=True, help="Change nothing; say how many it would be.")


@cleanup.command("purge")
@every
@parent
@dry_run
def purge(every: float | None, parent: int | None, dry_run: bool) -> None:
    """Erase what was soft-deleted more than CHAT_SESSION_CLEANUP_DAYS ago. Two at once do no harm."""
    _repeat(_purge, every, parent, dry_run)


@cleanup.command("timeout")
@every
@parent
@dry_run
def timeout(every: float | None, parent: int | None, dry_run: bool) -> None:
    """End exchanges without an answer for CHAT_SESSION_TIMEOUT_HOURS as TIMEOUT. Two at once do no harm."""
    _repeat(_time_out, every, parent, dry_run)


@cleanup.command("retention")
@every
@parent
@dry_run
def retain(every: float | None, parent: int | None, dry_run: bool) -> None:
    """Erase sessions that nobody has touched for the days of CHAT_RETENTION and CHAT_RETENTION_DAYS. Two at once do no harm."""
    _repeat(_retain, every, parent, dry_run)


@cleanup.command("addresses")
@every
@parent
@dry_run
def addresses(every: float | None, parent: int | None, dry_run: bool) -> None:
    """Shorten or drop IP addresses older than CHAT_IP_RETENTION_DAYS. Two at once do no harm."""
    _repeat(_hide, every, parent, dry_run)


@cleanup.command("scrub")
def scrub() -> None:
    """SQLite: write the file anew, so that nothing of what was erased is left in it. Others who write wait meanwhile."""
    if not scrubbing.is_due():
        click.echo("nothing to do: PostgreSQL cleans its files by itself (autovacuum)")
    elif scrubbing.scrub(largest=None):
        click.echo(f"the file was written anew; {forgetting.scrubbed()} receipts say so now")
    else:
        raise click.ClickException("The file could not be written anew while others use it. Stop the service, or try again at a quiet hour.")


@cleanup.command("all")
@every
@parent
@dry_run
def all_(every: float | None, parent: int | None, dry_run: bool) -> None:
    """All of these, and erasures that were broken off."""
    _repeat(_all, every, parent, dry_run)


def _all(dry: bool) -> None:
    for task in (_time_out, _purge, _retain, _hide, _take_up):
        task(dry)


def _time_out(dry: bool) -> None:
    click.echo(f"would time out {core.count_time_out()} exchanges" if dry else f"timed out {core.time_out()} exchanges")


def _purge(dry: bool) -> None:
    done = core.count_purge() if dry else core.purge()
    kept = f"{done.audit_events} audit events, {done.receipts} receipts, {done.secrets} replaced secrets"
    records = f"{done.keys} idempotency keys, {done.sign_in_records} sign-in records, {kept}"
    click.echo(f"{'would purge' if dry else 'purged'} {done.sessions} sessions, {done.messages} messages, {records}")


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


def _retain(dry: bool) -> None:
    done = retention.count_outlived() if dry else retention.erase_outlived()
    messages = done.pop("messages", 0)
    by_status = f" ({', '.join(f'{amount} {status}' for status, amount in sorted(done.items()))})" if done else ""
    click.echo(f"{'would erase' if dry else 'erased'} {sum(done.values())} sessions kept long enough{by_status}, {messages} messages")


def _hide(dry: bool) -> None:
    done = old_addresses.count() if dry else old_addresses.hide()
    events = f"{done.exchanges} exchanges, {done.audit_events} audit events, {done.sign_in_records} sign-in records"
    click.echo(f"{'would hide' if dry else 'hid'} the addresses of {events}")


def _take_up(dry: bool) -> None:
    found = forgetting.unfinished()
    if not dry:
        for receipt_id in found:
            forgetting.go_on(receipt_id)
    click.echo(f"{'would finish' if dry else 'finished'} {len(found)} erasures that were broken off")


def _repeat(task: Task, every: float | None, parent: int | None, dry: bool) -> None:
    _count_together()
    if every is None:
        task(dry)
        return
    while True:
        try:
            task(dry)
        except Exception:
            # The next pass may well succeed; a cleanup that has stopped would be noticed far too late.
            log.exception("this cleanup pass failed; the next one is in %s hours", every)
        wake_at = time.monotonic() + every * 3600
        while time.monotonic() < wake_at:
            if parent is not None and os.getppid() != parent:
                return
            time.sleep(min(1.0, every * 3600))
