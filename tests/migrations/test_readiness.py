"""Whether the service says that it is ready: the database answers, and its tables are those of this code."""

from __future__ import annotations

from pathlib import Path

import flask_migrate
import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.core import health
from chatsvc.extensions import db
from tests import factories
from tests.migrations.conftest import Database
from tests.migrations.filling import NEWEST


def checked(app: Flask) -> dict[str, str]:
    with app.app_context():
        return health.check()


def test_a_database_without_tables_is_not_ready(database: Database) -> None:
    assert checked(database.app) == {"migrations": "The tables are not there. Run: flask db upgrade"}


def test_a_database_at_an_older_revision_is_not_ready(database: Database) -> None:
    database.upgrade("007")
    assert checked(database.app) == {"migrations": f"The database is at revision 007, this code needs {NEWEST:03}. Run: flask db upgrade"}
    database.downgrade("base")
    assert checked(database.app) == {"migrations": f"The database is at revision none, this code needs {NEWEST:03}. Run: flask db upgrade"}


def test_a_database_at_the_newest_revision_is_ready(database: Database) -> None:
    database.upgrade()
    assert checked(database.app) == {}


def test_a_database_of_a_newer_release_is_not_ready_and_upgrading_is_not_advised(database: Database) -> None:
    database.upgrade()
    database.raw.run("UPDATE alembic_version SET version_num = '999'")
    assert checked(database.app) == {"migrations": "The database is at revision 999, which this code does not know: it was migrated by a newer release"}


def test_the_newest_revision_is_the_last_of_the_folder() -> None:
    assert health.newest_revision() == f"{NEWEST:03}"


def test_a_database_that_does_not_answer_is_not_ready(engine_name: str, tmp_path: Path) -> None:
    nowhere = {"sqlite": f"sqlite:///{tmp_path / 'no such folder' / 'own.db'}", "postgresql": "postgresql://postgres@127.0.0.1:1/postgres"}
    assert checked(create_app(factories.settings(nowhere[engine_name]))) == {"database": "The database cannot be reached"}


@pytest.mark.parametrize(("revision", "status"), [("007", 503), ("head", 200)])
def test_readyz_answers_what_the_check_says(database: Database, revision: str, status: int) -> None:
    database.upgrade(revision)
    answer = database.app.test_client().get("/readyz")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, "2" if status == 503 else None)
    assert answer.json is not None
    assert ("checks" in answer.json) == (status == 503)


def test_a_new_sqlite_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "own.db"
    with create_app(factories.settings(f"sqlite:///{file}")).app_context():
        flask_migrate.upgrade()
        db.engine.dispose()
    assert file.stat().st_mode & 0o777 == 0o600
