"""How an exchange whose messages are not kept has ended, when somebody else was quicker."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from chatsvc.core import endings
from tests.api.v1 import rows
from tests.factories import unknown_id

FAILED = {"error": {"kind": "timeout", "message": "Too slow"}}


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("ACTIVE", ("complete", {})),
        ("COMPLETED", ("complete", {})),
        ("CANCELLED", ("cancelled", {})),
        ("FAILED", ("failed", FAILED)),
        ("TIMEOUT", ("failed", FAILED)),
    ],
)
def test_whoever_comes_second_is_told_how_it_ended(context: Flask, before: str, told: tuple[str, dict[str, Any]]) -> None:
    session_id = rows.exchange(context, status=before)
    if told[0] == "failed":
        rows.run(context, "UPDATE chat_sessions SET error_kind = 'timeout', error_message = 'Too slow' WHERE status = :status", status=before)
    assert endings.unkept(session_id, "complete", {}) == told
    assert rows.of_session(context, session_id).status == ("COMPLETED" if before == "ACTIVE" else before)


def test_of_one_that_is_gone_there_is_nothing_to_tell(context: Flask) -> None:
    assert endings.unkept(unknown_id(), "complete", {}) is None
