"""`flask serve`: what `make run` does once the packages are there."""

from __future__ import annotations

import logging

import click
from flask_migrate import upgrade

from chatsvc.core import health, users
from chatsvc.core.errors import Conflict
from chatsvc.extensions import settings
from serve import start

log = logging.getLogger(__name__)
DEMO = (("alice", "alicepass123"), ("testuser", "testpass123"))


@click.command("serve")
def serve() -> None:
    """Migrate the database, make the demo accounts if they are wanted, and serve; the repeating cleanup runs beside."""
    start()


def make_ready() -> None:
    """What the server has done before it serves."""
    upgrade()
    if fault := health.wall_missing():
        log.warning("%s", fault)
    open_demo_accounts() if settings().demo_accounts else close_demo_accounts()


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
