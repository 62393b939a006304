"""Databases to copy from and to: each migrated, on either engine, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.extensions import db
from config import ROOT
from tests import factories, postgres
from tests.migrations.raw import Raw

PAIRS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")]
AS_NOBODY = "?options=-c%20chatsvc.acts_for%3D"  # what a copy sees of PostgreSQL it sees because it says for whom it reads
Make = Callable[[str], str]


def service(url: str, **changes: str) -> Flask:
    """The service on this database, as a shell starts it: nothing acts for anybody that does not say so."""
    return create_app(factories.settings(url, **changes))


def closed(app: Flask) -> None:
    app.extensions["chatsvc.runtime"].stop(wait=True)
    app.extensions["chatsvc.key_uses"].finish()
    with app.app_context():
        db.engine.dispose()


def migrated(url: str, to: str = "head") -> None:
    app = service(url)
    with app.app_context():
        flask_migrate.upgrade(revision=to) if to == "head" else flask_migrate.downgrade(revision=to)
    closed(app)


@pytest.fixture(scope="module")
def blank(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A migrated database of each engine, to be copied by the engine's own means."""
    with postgres.new_database(server) as url:
        made = {"sqlite": f"sqlite:///{tmp_path_factory.mktemp('blank') / 'blank.db'}", "postgresql": url}
        for each in made.values():
            migrated(each)
        yield made


@pytest.fixture
def make(blank: dict[str, str], server: str, tmp_path: Path) -> Iterator[Make]:
    """Another migrated and empty database of this engine."""
    with ExitStack() as stack:

        def one(engine: str) -> str:
            if engine == "sqlite":
                path = tmp_path / f"{uuid.uuid4().hex}.db"
                shutil.copyfile(blank["sqlite"].removeprefix("sqlite:///"), path)
                return f"sqlite:///{path}"
            return stack.enter_context(postgres.new_database(server, template=blank["postgresql"].rpartition("/")[2]))

        yield one


def copied(source: str, target: str, **rest: str) -> tuple[int, str]:
    """`flask copy` within this process: its exit code and what it says."""
    app = service(target)
    try:
        result = app.test_cli_runner().invoke(args=["copy", source if source.startswith(("sqlite", "-")) else source + AS_NOBODY], **rest)
    finally:
        closed(app)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def copying(source: str, target: str) -> subprocess.Popen[str]:
    """`flask copy` in a process of its own."""
    environ = {**os.environ, "DATABASE_URL": target, "JWT_SECRET_KEY": factories.SECRET, "CHAT_ENCRYPTION_KEY": factories.ENCRYPTION_KEY}
    command = [sys.executable, "-m", "flask", "copy", source]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def empty(url: str) -> bool:
    """Whether no table has a row."""
    with Raw(url) as raw:
        return not any(raw.one(f"SELECT count(*) FROM {table}") for table in names())


def names() -> list[str]:
    return [table.name for table in db.metadata.sorted_tables]
