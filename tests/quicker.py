"""What makes the tests quicker and changes nothing that they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import event
from werkzeug.routing import Rule

from chatsvc.core import runtime
from chatsvc.extensions import db

SHIPPED_BEAT = runtime.TICK_SECONDS  # for tests that are about what comes with it
BEAT = 0.1


def compile_addresses_once() -> None:
    """All applications of a test process have the same addresses, and compiling them is most of what making an application takes."""
    compiled: dict[str, Callable[..., tuple[str, str]]] = {}
    compile_one = Rule._compile_builder

    def remembering(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = repr((rule.rule, rule.defaults, rule._trace, append_unknown))  # all that goes into it
        if key not in compiled:
            compiled[key] = compile_one(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = remembering  # type: ignore[assignment]


def beat_faster() -> None:
    """Whoever waits for a heartbeat, to be stopped from elsewhere or to close an application, waits less."""
    runtime.TICK_SECONDS = BEAT


def trust_the_machine(app: Flask) -> Flask:
    """Does not wait until SQLite's file is safe from a power cut, as nobody pulls the plug on a test; `postgres.new_database` does the same."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _not_waiting_for_the_disk)
    return app


def _not_waiting_for_the_disk(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF").fetchall()
