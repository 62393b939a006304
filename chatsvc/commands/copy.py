"""`flask copy`: from one database to another, and whether it arrived."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from chatsvc.core import copying as core
from chatsvc.core.errors import ChatError
from config import database_url

SHOWN = 20


@click.command("copy")
@click.argument("source_url", metavar="SOURCE_URL")
@with_appcontext
def copy(source_url: str) -> None:
    """Fill the empty database of DATABASE_URL with all that is in SOURCE_URL (-: read it from the standard input), and compare the two.

    What is written to the source after it began is not in the copy: stop the service, copy, start it on the new one. docs/scaling.md.
    """
    try:
        source = database_url((sys.stdin.readline() if source_url == "-" else source_url).strip())
    except ValueError as error:
        raise click.ClickException(f"SOURCE_URL {error}.") from None
    try:
        done = core.copy(source, lambda line: click.echo(line, err=True))
    except core.NotCopied as error:
        raise click.ClickException(f"{error}.") from None
    except ChatError as error:
        raise click.ClickException(f"{error.message}. Nothing was copied.") from None
    _show(done)
    if done.breaches:
        sys.exit(1)


def _show(done: core.Copied) -> None:
    width = max(len(each.table) for each in done.tables)
    click.echo(f"{'table':{width}}  {'rows':>12}  {'digest, of both':32}")
    for each in done.tables:
        click.echo(f"{each.table:{width}}  {each.rows:>12,}  {each.digest}  equal")
    for breach in done.breaches[:SHOWN]:
        click.echo(f"{breach.session_id}: {breach.what} is {breach.kept!r}, the rows say {breach.found!r}")
    if done.breaches:
        click.echo(f"The copy is equal and is kept, but contradicts itself in {len(done.breaches)} places, as the source does; flask verify shows all.")
    else:
        click.echo("copied: every row is equal, and everything agrees with the rows")
