"""`flask …` in real processes that share nothing but the database. They are forked from a server that has the code loaded, so they start at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

from flask import cli
from sqlalchemy import Engine, event

import chatsvc  # noqa: F401 - loaded once, in the server that the processes are forked from
from config import ROOT
from tests.factories import ENCRYPTION_KEY, SECRET

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([__name__])


@dataclass
class Running:
    """A process under way."""

    process: BaseProcess
    log: Path

    def wait(self, seconds: float = 60) -> int:
        """Its exit code; negative, the signal that killed it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running: {self.output()}"
        return self.process.exitcode

    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, seconds: float = 30) -> None:
        """Until it has said these words."""
        end = time.monotonic() + seconds
        while words not in self.output():
            assert time.monotonic() < end, self.output()
            assert self.process.is_alive() or words in self.output(), self.output()
            time.sleep(0.05)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def start(folder: Path, url: str, *arguments: str, dies_at: int | None = None, **environ: str) -> Running:
    """`flask <arguments>` on this database; killed before its statement number `dies_at`, if that is given."""
    log = folder / f"{time.monotonic_ns()}.log"
    log.touch()
    settings = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "CHAT_ENCRYPTION_KEY": ENCRYPTION_KEY, "LOG_LEVEL": "warning", **environ}
    process = _server.Process(target=_flask, args=(arguments, str(log), settings, dies_at), daemon=True)
    process.start()
    return Running(process, log)


def flask(folder: Path, url: str, *arguments: str) -> tuple[int, str]:
    """The exit code of `flask <arguments>`, and what it said."""
    with start(folder, url, *arguments) as running:
        return running.wait(), running.output()


def _flask(arguments: tuple[str, ...], log: str, environ: dict[str, str], dies_at: int | None) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ.update(environ)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    if dies_at is not None:
        _die_at(dies_at)
    cli.cli.main(list(arguments), prog_name="flask")


def _die_at(number: int) -> None:
    """Statements and commits count; the process gets no chance to do anything about it."""
    met = 0

    def count(*given: object) -> None:
        nonlocal met
        met += 1
        if met == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
