"""Every test that touches the database runs on SQLite and on a real PostgreSQL, both made by the migrations."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade

from chatsvc import create_app
from chatsvc.extensions import db
from config import Settings
from tests import factories, openapi_check, postgres, quicker, secrecy, tables
from tests.factories import Person

ENGINES = ("sqlite", "postgresql")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays to the end, and is not looked through again and again for what may go."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long come first: two processes share the tests, and one would wait for the other's last."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


quicker.compile_addresses_once()
quicker.beat_faster()


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def server(scratch: Path) -> str:
    """A PostgreSQL server where databases may be made."""
    return postgres.find_server(scratch)[0]


@pytest.fixture(scope="session", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def database_url(engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database, shared by the tests of this process."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'chatsvc.db'}"
        return
    with postgres.new_database(request.getfixturevalue("server")) as url:
        yield url


@pytest.fixture
def empty_database(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this test's own in which nothing has been migrated yet."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'own.db'}"
        return
    with postgres.new_database(request.getfixturevalue("server")) as url:
        yield url


@pytest.fixture(scope="session")
def shared_app(database_url: str) -> Iterator[Flask]:
    app = watched(factories.settings(database_url))
    with app.app_context():
        upgrade()
    yield app
    close(app)


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """The application on an empty database."""
    yield shared_app
    tables.empty(shared_app)


@pytest.fixture
def make_app(app: Flask, database_url: str) -> Iterator[Callable[..., Flask]]:
    """Another application on the same database, with other settings."""
    made: list[Flask] = []

    def make(**changes: str) -> Flask:
        made.append(watched(factories.settings(database_url, **changes)))
        return made[-1]

    yield make
    for other in made:
        other.extensions["chatsvc.runtime"].stop()  # all at once, then each is waited for
    for other in made:
        close(other)


@pytest.fixture(autouse=True)
def answers_are_as_documented() -> Iterator[None]:
    """Every answer of the test must be one that the document promises."""
    openapi_check.mismatches()
    yield
    found = openapi_check.mismatches()
    assert not found, "\n".join(found)


@pytest.fixture(autouse=True, scope="session")
def logs_are_watched() -> Iterator[None]:
    """Ours down to the last level, the others' as far as they are told."""
    logging.getLogger().addHandler(secrecy.WATCH)
    yield
    logging.getLogger().removeHandler(secrecy.WATCH)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """No answer, event or log line of the test may hold a secret, or what somebody else wrote."""
    secrecy.WATCH.forget()
    yield
    secrecy.WATCH.look_at_lines()
    found = list(dict.fromkeys(secrecy.WATCH.found))
    secrecy.WATCH.forget()
    assert not found, "\n".join(found)


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """For tests of core: the application's context, as a command has it."""
    with app.app_context():
        yield app


@pytest.fixture
def owner(app: Flask) -> Person:
    return factories.person(app, "owner")


@pytest.fixture
def stranger(app: Flask) -> Person:
    return factories.person(app, "stranger")


@pytest.fixture
def admin(app: Flask) -> Person:
    return factories.person(app, "admin", role="ADMIN")


def watched(settings: Settings) -> Flask:
    """An application whose every answer is held against the document, and searched for what is not the caller's."""
    return secrecy.watch(openapi_check.watch(quicker.trust_the_machine(tables.open_to_tests(create_app(settings)))))


def close(app: Flask) -> None:
    """Ends what goes on in it, and its connections."""
    app.extensions["chatsvc.runtime"].stop(wait=True)
    app.extensions["chatsvc.key_uses"].finish()
    with app.app_context():
        db.engine.dispose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which tests needed a second try, and how many ran on which engine."""
    again = terminalreporter.stats.get("rerun", [])
    if again:
        terminalreporter.section("failed, and were tried a second time: find out why", yellow=True)
        for report in again:
            crash = getattr(report.longrepr, "reprcrash", None)
            terminalreporter.write_line(f"{report.nodeid}: {crash.message.splitlines()[0] if crash else report.longreprtext.splitlines()[-1]}")
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    counts = {name: sum(1 for nodeid in passed if name in nodeid.partition("[")[2]) for name in ENGINES}
    terminalreporter.section("engines")
    terminalreporter.write_line(f"passed on sqlite: {counts['sqlite']}, on postgresql: {counts['postgresql']}, on none: {len(passed) - sum(counts.values())}")
