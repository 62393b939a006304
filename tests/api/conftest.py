"""What tests of the faces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.api.v1.streams import HandedOut


@pytest.fixture
def handed(app: Flask) -> Iterator[HandedOut]:
    """The responder of this test."""
    before = app.extensions["chatsvc.responder"]
    app.extensions["chatsvc.responder"] = found = HandedOut()
    yield found
    app.extensions["chatsvc.responder"] = before
