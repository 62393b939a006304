"""What tests of personas share: a real server in the place of n8n."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.responders.upstream import Upstream, running


@pytest.fixture
def n8n() -> Iterator[Upstream]:
    """Answers each question with `{"output": "Ferns"}` until a test says otherwise."""
    with running() as server:
        server.script = lambda caller: caller.answer(b'{"output": "Ferns"}')
        yield server
