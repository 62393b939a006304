"""`flask verify`: whether everything that is kept agrees with the rows."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from chatsvc.core import acting
from chatsvc.core import verify as core

SHOWN = 100


@click.command("verify")
@with_appcontext
def verify() -> None:
    """Check every counter, title, preview and cap against the rows. Changes nothing; exit code 1 on a breach."""
    amount = 0
    with acting.acting_for(acting.EVERYBODY):
        for breach in core.breaches():
            amount += 1
            if amount <= SHOWN:
                click.echo(f"{breach.session_id}: {breach.what} is {breach.kept!r}, the rows say {breach.found!r}")
    if amount:
        click.echo(f"{amount} breaches" + (f"; the first {SHOWN} are shown" if amount > SHOWN else ""))
        sys.exit(1)
    click.echo("verified: everything agrees with the rows")
