"""`flask users`: local accounts."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from chatsvc.core import users as accounts
from chatsvc.core.errors import ChatError
from chatsvc.core.paging import Window
from chatsvc.core.users import MAX_PASSWORD, MIN_PASSWORD

users = AppGroup("users", help="Make, promote, disable and list local accounts.")


@users.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make the account an ADMIN.")
@click.option("--password", help="The password; asked for when it is not given. Beware of shell history.")
def create(name: str, *, admin: bool, password: str | None) -> None:
    """Make an account."""
    if password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise click.ClickException(f"The password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    try:
        user = accounts.create(name, password, role="ADMIN" if admin else "USER")
    except ChatError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"{user.username} ({user.role}) {user.id}")


@users.command("promote")
@click.argument("name")
def promote(name: str) -> None:
    """Make an account an ADMIN; its tokens count as such at once."""
    try:
        click.echo(f"{accounts.promote(name).username} is an ADMIN now.")
    except ChatError as error:
        raise click.ClickException(error.message) from None


@users.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Close an account; it cannot sign in, and its tokens are refused at once."""
    try:
        click.echo(f"{accounts.disable(name).username} is disabled.")
    except ChatError as error:
        raise click.ClickException(error.message) from None


@users.command("list")
def list_() -> None:
    """List the accounts, oldest first."""
    cursor = None
    while True:
        rows, cursor = accounts.everybody(Window(100, cursor=cursor))
        for user in rows:
            click.echo(f"{user.id}  {user.role:5}  {'disabled' if user.disabled_at else 'active  '}  {user.username}")
        if cursor is None:
            return
