"""`flask openapi`: the document of every route, as `/openapi.json` serves it."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext


@click.command("openapi")
@click.option("--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write to this file rather than to stdout.")
@with_appcontext
def openapi(output: Path | None) -> None:
    """Write the OpenAPI document."""
    text: bytes = current_app.extensions["chatsvc.openapi"]()
    if output is None:
        click.echo(text)
    else:
        output.write_bytes(text + b"\n")
