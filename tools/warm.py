"""The tests, loaded once: processes that have the application and a database at hand, and of which a copy is made for each wrong line.

A copy gets the wrong line by the code of its functions being exchanged, wherever somebody keeps these functions. What ran while
the application was made has left its marks already, and what a module says of itself was read by others: such a wrong line goes
to a copy of a process that has not loaded the application yet ("cold"), which loads it with the line in its place.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from coverage import Coverage

from tools.mutations import SUBJECTS
from tools.wrong import ROOT, Instead, forget, noted, swapped

ENGINES = ("sqlite", "postgresql")
# On PostgreSQL those are asked whose lines mean something else there: locks, races, what goes along with a statement.
ON_POSTGRESQL_TOO = (
    "/core/",
    "races",
    "test_meanwhile",
    "test_cap",
    "test_along",
    "test_once",
    "test_exchanges",
    "test_callbacks",
    "test_chat",
    "test_sessions",
    "test_messages",
)
COLD = "cold"
# Heavy, and not ours.
LOADED: tuple[str, ...] = ("flask", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "marshmallow", "psycopg2", "argon2", "jsonschema_rs")
LOADED += ("flask_jwt_extended", "flask_migrate", "alembic.command", "httpx2", "orjson", "apispec.ext.marshmallow", "gevent")
QUIET = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--capture=no"]
QUIET += [word for name in ("cacheprovider", "cov", "rerunfailures") for word in ("-p", f"no:{name}")]
PASSED, FAILED, LATE, CANNOT = "passed", "failed", "late", "cannot"
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Job:
    """These tests, with this text in place of that module's; with no text, as it is."""

    path: str
    text: str
    tests: list[str]
    seconds: float
    walk: str = ""  # a file: all of them are run, and what they walk over is written there


@dataclass(frozen=True)
class Result:
    """What came of it, and the test that it ended with."""

    fate: str
    test: str = ""


# A copy, and what is heard of it


def in_a_copy(work: Callable[[Say], None], seconds: float) -> Result:
    """Does this in a copy of this process, which is gone afterwards with all that it has started."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _be_a_copy(work, theirs)
    os.close(theirs)
    try:
        return _heard(ours, time.monotonic() + seconds)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ours)


def _be_a_copy(work: Callable[[Say], None], pipe: int) -> None:
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        if not os.environ.get("CHAT_MUTANTS_SHOW"):
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)

        def say(word: str, test: str) -> None:
            os.write(pipe, f"{json.dumps([word, test])}\n".encode())

        work(say)
    except BaseException:  # whatever it is: it is a copy's own, and the test that it ran has failed
        traceback.print_exc()
    finally:
        os._exit(0)


def _heard(pipe: int, until: float) -> Result:
    """A copy that ends without a word has been broken by what it ran."""
    said, test = b"", ""
    while True:
        if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            return Result(LATE, test)
        some = os.read(pipe, 65536)
        said += some
        *lines, said = said.split(b"\n")
        for word, name in map(json.loads, lines):
            if word != "begins":
                return Result(word, name or test)
            test = name
        if not some:
            return Result(FAILED, test)


# Tests


class Loaded:
    """A plugin of pytest: in place of running all tests it hands what was collected to somebody, and tells which test fails."""

    def __init__(self, work: Callable[[pytest.Session, Loaded], None]) -> None:
        self.work = work
        self.failed = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.work(session, self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid
            if os.environ.get("CHAT_MUTANTS_SHOW"):
                print(report.longreprtext)  # noqa: T201

    def run(self, items: Sequence[pytest.Item], following: Any, say: Say) -> None:
        """Until one fails."""
        for item in items:
            say("begins", item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                say(FAILED, self.failed)
                return
        say(PASSED, "")

    def walk(self, items: Sequence[pytest.Item], following: Any, into: str, say: Say) -> None:
        """All of them; writes down how long each took, whether it passed, and which lines it ran."""
        coverage = Coverage(data_file=None, config_file=False, include=[str(ROOT / f"chatsvc/{one}.py") for some in SUBJECTS.values() for one in some])
        seconds, failed = dict[str, float](), list[str]()
        coverage.start()
        for item in items:
            say("begins", item.nodeid)
            forget()
            coverage.switch_context(item.nodeid)
            self.failed, began = "", time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = round(time.monotonic() - began, 3)
            failed += [self.failed] if self.failed else []
        coverage.stop()
        data = coverage.get_data()
        lines = {str(Path(file).relative_to(ROOT)): data.contexts_by_lineno(file) for file in data.measured_files()}
        Path(into).write_text(json.dumps({"seconds": seconds, "failed": failed, "lines": lines}))
        say(PASSED, "")


class Following:
    """Stands for any test that may come next: what all tests share stays as it is, the rest is taken down."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session

    def listchain(self) -> list[pytest.Session]:
        return [self.session]


def is_of(engine: str, test: str) -> bool:
    """Whether this test runs on this engine; one that runs on neither goes with SQLite."""
    words = test.partition("[")[2]
    return engine in words if engine == "postgresql" else "postgresql" not in words


def is_asked(engine: str, test: str) -> bool:
    return is_of(engine, test) and (engine == "sqlite" or any(word in test.partition("::")[0] for word in ON_POSTGRESQL_TOO))


def load(files: Sequence[str], ends: dict[str, list[Connection]]) -> None:
    """Collects the tests of these files once, and becomes a process for each of these ends."""
    sys.path.insert(0, str(ROOT))
    early = set[tuple[str, str]]()
    with noted(early):
        importlib.import_module("chatsvc")

    def divide(session: pytest.Session, plugin: Loaded) -> None:
        gc.freeze()
        children = []
        for engine, some in ends.items():
            for end in some:
                children.append(os.fork())
                if children[-1] == 0:
                    try:
                        for one in (one for all_of in ends.values() for one in all_of if one is not end):
                            one.close()
                        serve(session, plugin, engine, end, early)
                    except BaseException:
                        traceback.print_exc()
                    finally:
                        os._exit(0)
        for end in (end for some in ends.values() for end in some):
            end.close()
        for child in children:
            os.waitpid(child, 0)

    pytest.main([*QUIET, *files], plugins=[Loaded(divide)])


def serve(session: pytest.Session, plugin: Loaded, engine: str, end: Connection, early: set[tuple[str, str]]) -> None:
    """Has one database of this engine ready, and does jobs until nobody wants any more."""
    items = {item.nodeid: item for item in session.items if is_asked(engine, item.nodeid)}
    # The one that asks for the least, so that little more is noted as called early than making the application.
    some = [item for item in items.values() if "context" in getattr(item, "fixturenames", ()) and engine in item.nodeid]
    first, following = min(some, key=lambda item: len(item.fixturenames)), Following(session)  # type: ignore[attr-defined]
    early = set(early)
    with noted(early):
        first.ihook.pytest_runtest_setup(item=first)
    app = first.funcargs["app"]  # type: ignore[attr-defined]
    first.ihook.pytest_runtest_teardown(item=first, nextitem=following)
    first._request = False  # type: ignore[attr-defined]  # as pytest leaves it after a test
    tables, extensions = importlib.import_module("tests.tables"), importlib.import_module("chatsvc.extensions")
    with app.app_context():
        extensions.db.engine.dispose()  # no copy may use a connection of ours
    gc.unfreeze()  # what is frozen is not among the objects
    functions = [one for one in gc.get_objects() if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(ROOT / "chatsvc"))]
    gc.freeze()
    end.send((early, list(items)))

    def work(job: Job, say: Say) -> None:
        if job.text and not swapped(job.path, job.text, functions):
            return say(CANNOT, "")
        forget()
        tables.empty(app)
        if job.walk:
            return plugin.walk([items[name] for name in job.tests], following, job.walk, say)
        return plugin.run([items[name] for name in job.tests if name in items], following, say)

    _jobs(end, work)
    session._setupstate.teardown_exact(None)


def _jobs(end: Connection, work: Callable[[Job, Say], None]) -> None:
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while (job := end.recv()) is not None:
            end.send(in_a_copy(lambda say, job=job: work(job, say), job.seconds))  # type: ignore[misc]


def serve_cold(end: Connection) -> None:
    """Has loaded nothing of ours; each copy loads it all, with the wrong line where it belongs."""
    end.send((set(), []))

    def work(job: Job, say: Say) -> None:
        if job.text:
            sys.meta_path.insert(0, Instead(job.path, job.text))
        wanted = set(job.tests)
        plugin = Loaded(lambda session, plugin: plugin.run([item for item in session.items if item.nodeid in wanted], None, say))
        pytest.main([*QUIET, *sorted({test.partition("::")[0] for test in job.tests})], plugins=[plugin])
        say(FAILED, "")  # nothing was said before: the tests could not even be loaded

    _jobs(end, work)
