"""`flask backup`: a copy of the database, while the service runs."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext

from chatsvc.core import backup as core


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Write a copy of the database to FILE, as of one moment, while everything goes on. docs/backup.md says how it is put back."""
    try:
        size = core.to_file(file)
    except core.NoBackup as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {size} bytes")
