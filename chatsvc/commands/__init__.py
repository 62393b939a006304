"""`flask …`: each command parses, calls a core verb and prints."""

from __future__ import annotations

from flask import Flask

from chatsvc.commands import backup, cleanup, copy, keys, openapi, serve, users, verify


def install(app: Flask) -> None:
    for command in (serve.serve, users.users, keys.keys, cleanup.cleanup, verify.verify, openapi.openapi, backup.backup, copy.copy):
        app.cli.add_command(command)
