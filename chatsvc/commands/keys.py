"""`flask keys`: what products that have a login of their own call with."""

from __future__ import annotations

import re

import click
from flask.cli import AppGroup

from chatsvc.core import api_keys
from chatsvc.core.errors import NotFound
from chatsvc.core.paging import Window

MAX_NAME = 255
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

keys = AppGroup("keys", help="Make, revoke and list API keys.")


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(api_keys.SCOPES), multiple=True, required=True, help="What it may do; more than one may be given.")
@click.option("--expires-in-days", type=click.IntRange(1, api_keys.MAX_DAYS), metavar="N", help="Until when it is good; for ever when this is not given.")
def create(name: str, *, scopes: tuple[str, ...], expires_in_days: int | None) -> None:
    """Make a key. It stands alone on the standard output, and is shown this once."""
    if not name.strip() or len(name) > MAX_NAME or "\0" in name:
        raise click.ClickException(f"The name must have 1 to {MAX_NAME} characters and not be blank.")
    made, text = api_keys.create(None, name=name, scopes=scopes, expires_in_days=expires_in_days)
    until = f"good until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "good until it is revoked"
    click.echo(f"{_printable(made.name)} ({made.scopes}) {made.id}, {until}. The key is not shown again:", err=True)
    click.echo(text)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Refuse this key from now on; `list` shows the ids."""
    if not ID.fullmatch(key_id.lower()):
        raise NotFound("API key")
    click.echo(f"{_printable(api_keys.revoke(None, key_id.lower()).name)} is revoked.")


@keys.command("list")
def list_() -> None:
    """List all keys, newest first: id, last letters, state, when it was used last (UTC), scopes, name."""
    cursor = None
    while True:
        page = api_keys.page(Window(100, cursor=cursor))
        for key in page.rows:
            used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            click.echo(f"{key.id}  {api_keys.PREFIX}…{key.last_four}  {key.status:7}  {used:21}  {key.scopes:16}  {_printable(key.name)}")
        cursor = page.next_cursor
        if cursor is None:
            return


def _printable(name: str) -> str:
    """A name may have come from elsewhere: on one line, and without what steers a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
