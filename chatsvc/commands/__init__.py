"""`flask …`: each command parses, calls a core verb and prints. What core refuses is said in a sentence, and the exit code is 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from flask import Flask

from chatsvc.commands import backup, cleanup, copy, keys, openapi, serve, users, verify
from chatsvc.core.errors import ChatError

COMMANDS = (serve.serve, users.users, keys.keys, cleanup.cleanup, verify.verify, openapi.openapi, backup.backup, copy.copy)


def install(app: Flask) -> None:
    for command in COMMANDS:
        app.cli.add_command(command)


def _refuse_in_words(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _refuse_in_words(one)
    elif command.callback:
        command.callback = _in_words(command.callback)


def _in_words(work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def run(*given: Any, **named: Any) -> Any:
        try:
            return work(*given, **named)
        except ChatError as error:
            raise click.ClickException(error.message) from None

    return run


for _command in COMMANDS:
    _refuse_in_words(_command)
