"""`flask users`: local accounts; and all that a user has, to be carried away or erased."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from chatsvc.core import acting, belongings, exporting, forgetting
from chatsvc.core import users as accounts
from chatsvc.core.paging import Window
from chatsvc.core.users import MAX_PASSWORD, MIN_PASSWORD

users = AppGroup("users", help="Make, promote, disable and list local accounts, and give them passwords; carry away or erase all that a user has.")


with_password = click.option("--password", help="The password; asked for when it is not given. Beware of shell history.")


def _asked_for(password: str | None) -> str:
    """What was given, or is typed twice, or comes by the standard input."""
    if password is None:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True)) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise click.ClickException(f"The password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    return password


@users.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make the account an ADMIN.")
@with_password
def create(name: str, *, admin: bool, password: str | None) -> None:
    """Make an account."""
    user = accounts.create(name, _asked_for(password), role="ADMIN" if admin else "USER")
    click.echo(f"{user.username} ({user.role}) {user.id}")


@users.command("password")
@click.argument("name")
@with_password
def password_(name: str, *, password: str | None) -> None:
    """Give an account another password; every sign-in to it ends at once."""
    user = accounts.change_password(name, _asked_for(password))
    click.echo(f"{user.username} has a new password, and every sign-in has ended{'; the account is still disabled' if user.disabled_at else ''}.")


@users.command("promote")
@click.argument("name")
def promote(name: str) -> None:
    """Make an account an ADMIN; its tokens count as such at once."""
    click.echo(f"{accounts.promote(name).username} is an ADMIN now.")


@users.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Close an account; it cannot sign in, and its tokens are refused at once."""
    click.echo(f"{accounts.disable(name).username} is disabled.")


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


exact = click.option("--id", "is_id", is_flag=True, help="It is an id; do not look for an account of this name.")


@users.command("export")
@click.argument("id_or_name")
@exact
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def export(id_or_name: str, *, is_id: bool, file: Path | None) -> None:
    """Write all that a user has to FILE, or to stdout, as lines of JSON. The last line says that it was all. An existing FILE is not overwritten."""
    user_id = id_or_name if is_id else accounts.id_of(id_or_name)
    try:
        # Its owner's alone from the first byte on.
        where: AbstractContextManager[Any] = (
            os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") if file else nullcontext(sys.stdout.buffer)
        )
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    with acting.acting_for(acting.user(user_id)):
        exporting.begin(user_id, actor=None)
        lines = current_app.extensions["chatsvc.export"](user_id)
    last = b""
    with where as out:
        for last in lines:
            out.write(last)
    if not last.startswith(b'{"type":"end"'):
        raise click.ClickException("This is not all: the last line says why")


@users.command("erase")
@click.argument("id_or_name")
@exact
@click.option("--keep-account", is_flag=True, help="Leave the local account; erase only what it has.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what there is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(id_or_name: str, *, is_id: bool, keep_account: bool, dry_run: bool, yes: bool) -> None:
    """Erase all that a user has, for good. Broken off, it goes on when it is asked for again, and by itself after a while."""
    user_id = id_or_name if is_id else accounts.id_of(id_or_name)
    with acting.acting_for(acting.user(user_id)):
        account = belongings.account_of(user_id)
        found = belongings.count(user_id, account.username_key if account else None, keep_account=keep_account)
        click.echo(f"user {user_id}{f' ({account.username})' if account else ', who has no account here'}: {_told(found)}")
        if dry_run:
            return
        if not yes:
            click.confirm("Erase all of it? Nothing brings it back but a backup", abort=True)
        receipt = forgetting.go_on(forgetting.ask(user_id, by="command", keep_account=keep_account))
    _show(receipt)


@users.command("receipts")
@click.argument("id")
def receipts(id: str) -> None:
    """Show the receipts of what was erased of a user, by the ID that they had (names are gone)."""
    for receipt in forgetting.receipts_of(id):
        _show(receipt)


def _show(receipt: Any) -> None:
    state = f"finished {receipt.finished_at:%Y-%m-%d %H:%M:%S} UTC" if receipt.finished_at else "goes on"
    anew = {True: ", file written anew", False: ", file not written anew yet (flask cleanup scrub)", None: ""}[receipt.scrubbed]
    click.echo(f"receipt {receipt.id}: begun {receipt.started_at:%Y-%m-%d %H:%M:%S} UTC, {state}{anew}; erased {_told(receipt.counts)}")


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in belongings.NAMES if counts.get(name)) or "nothing"
