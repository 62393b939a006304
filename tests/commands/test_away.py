"""A command whose database is away says so in a sentence, without a word of the program's own insides."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.streams import free_port
from tests.migrations import processes

COMMANDS = ("verify", "users list", "users promote somebody", "keys list", "cleanup all", "db upgrade", "db current", "backup somewhere")


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_where_to_look(command: str, tmp_path: Path) -> None:
    code, said = processes.flask(
        tmp_path, f"postgresql://nobody@127.0.0.1:{free_port()}/nothing", *command.replace("somewhere", str(tmp_path / "a.backup")).split()
    )
    assert code == 1
    assert "Traceback" not in said
    assert "refused" in said  # by whom it was refused, in the driver's words
