"""A database of one's own that is taken up and down."""

from __future__ import annotations

from collections.abc import Iterator

import flask_migrate
import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.extensions import db
from tests import factories, tables
from tests.migrations.catalog import catalog, dump, revision
from tests.migrations.raw import Raw


class Database:
    """A database and its migrations."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.raw = Raw(url)
        self.app: Flask = tables.open_to_tests(create_app(factories.settings(url)))

    def upgrade(self, to: str = "head") -> None:
        with self.app.app_context():
            flask_migrate.upgrade(revision=to)

    def downgrade(self, to: str = "-1", *, force: bool = False) -> None:
        with self.app.app_context():
            flask_migrate.downgrade(revision=to, x_arg=["force=true"] if force else None)

    @property
    def schema(self) -> list[str]:
        return catalog(self.raw)

    @property
    def revision(self) -> str | None:
        return revision(self.raw)

    @property
    def rows(self) -> dict[str, list[str]]:
        return dump(self.raw)

    def close(self) -> None:
        self.raw.close()
        with self.app.app_context():
            db.engine.dispose()


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    made = Database(empty_database)
    yield made
    made.close()
