"""Every route that changes something, asked by everybody for what is theirs; `test_authorization.py` has the table, and asks for the rest."""

from __future__ import annotations

import pytest

from tests.api.test_authorization import TABLE, World, reach_their_own, world

__all__ = ["world"]


@pytest.mark.parametrize(("method", "rule"), [key for key in TABLE if key[0] != "GET"])
def test_everybody_changes_their_own(world: World, method: str, rule: str) -> None:
    reach_their_own(world, method, rule)
