"""What personas call: a server on loopback that answers by the address it is called at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.responders import upstream
from tests.responders.upstream import Caller


def script(caller: Caller) -> None:
    if caller.target.startswith("/later"):
        caller.answer(b"", 202)
    elif caller.target.startswith("/broken"):
        caller.answer(b"<html>no</html>", 500, "text/html")
    else:
        caller.answer(b'{"output": "Ferns"}')


@contextmanager
def running() -> Iterator[str]:
    """Its address."""
    with upstream.running() as found:
        found.script = script
        found.requests = _Forgetful()
        yield found.url


class _Forgetful(list[tuple[str, dict[str, str], object]]):
    """Nobody asks what was called, and a long run calls often."""

    def append(self, one: object) -> None:
        pass
