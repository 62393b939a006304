"""Who may import whom, read from the imports themselves; and how large a room may grow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("chatsvc", "config", "config_secrets", "config_values", "fair_share", "log_lines", "metrics_folder", "serve", "whole_answers", "wsgi")
FILES = sorted([*ROOT.glob("chatsvc/**/*.py"), *(ROOT / f"{name}.py" for name in OURS[1:])])

# For each room: which of our own modules it may import, and which packages it may not.
RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "config_values": ((), ("flask", "sqlalchemy")),
    "config_secrets": (("config_values",), ("flask", "sqlalchemy")),
    "log_lines": ((), ("flask", "sqlalchemy")),
    "metrics_folder": ((), ("flask", "sqlalchemy")),
    "fair_share": ((), ("flask", "sqlalchemy")),
    "serve": (("config",), ("flask", "sqlalchemy")),
    "whole_answers": ((), ("flask", "sqlalchemy")),
    "config": (("config_secrets", "config_values"), ("flask", "sqlalchemy")),
    "wsgi": (("chatsvc",), ()),
    "chatsvc.extensions": (("config",), ()),
    "chatsvc.responders": (("chatsvc.responders",), ("flask", "sqlalchemy", "marshmallow")),
    "chatsvc.core": (
        ("chatsvc.core", "chatsvc.extensions", *(f"chatsvc.responders.{name}" for name in ("base", "addresses", "signing")), "config", "metrics_folder"),
        ("flask", "marshmallow", "werkzeug"),
    ),
    "chatsvc.commands": (("chatsvc.commands", "chatsvc.core", "chatsvc.extensions", "config", "serve"), ("sqlalchemy",)),
    "chatsvc.web": (("chatsvc.web", "chatsvc.extensions", "chatsvc.api.common"), ("sqlalchemy",)),
    "chatsvc.web.files": ((), ("sqlalchemy",)),
    "chatsvc.api": (("chatsvc.api", "chatsvc.core", "chatsvc.extensions", "chatsvc.web.files", "config"), ("sqlalchemy", "flask_sqlalchemy")),
    "chatsvc": (("chatsvc", "config", "log_lines"), ()),
}
FACES = ("v1", "envelope", "app")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each imported module, and each name taken from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from ((node.module or "", alias.name) for alias in node.names)


def room_of(module: str) -> str:
    return max((room for room in RULES if module == room or module.startswith(f"{room}.")), key=len)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_room_imports_only_what_its_rule_allows(path: Path) -> None:
    allowed, forbidden = RULES[room_of(module_of(path))]
    for module, name in imports(path):
        whole = f"{module}.{name}"
        if module.split(".")[0] in OURS:
            assert any(f"{whole}.".startswith(f"{one}.") for one in allowed), f"{module_of(path)} imports {whole}"
        assert module.split(".")[0] not in forbidden, f"{module_of(path)} imports {module}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("chatsvc/api/**/*.py")), ids=module_of)
def test_a_door_knows_neither_the_database_nor_another_door(path: Path) -> None:
    parts = module_of(path).split(".")
    for module, name in imports(path):
        assert (module, name) != ("chatsvc.extensions", "db")
        assert not module.startswith("chatsvc.core.models"), f"{module_of(path)} imports {module}"
        other = module.split(".")
        if len(parts) > 2 and parts[2] in (*FACES, "common") and other[:2] == ["chatsvc", "api"] and len(other) > 2:
            assert other[2] in (parts[2], "common"), f"{module_of(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_and_functions_stay_small_enough_to_live_in(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 45, f"{node.name} is too long"


def test_only_core_commits() -> None:
    for path in FILES:
        if not module_of(path).startswith("chatsvc.core.database"):
            assert ".commit(" not in path.read_text(), path


def test_core_decides_by_the_databases_clock() -> None:
    """That of one process may be wrong, and what it ends or erases is gone for all. SQLite has no clock but that of its process."""
    for path in FILES:
        if module_of(path).startswith("chatsvc.core") and module_of(path) not in ("chatsvc.core.connections", "chatsvc.core.models.types"):
            text = path.read_text().replace("meta or {}, status, datetime.now(UTC)", "")  # what is shown of a reply that is not kept
            assert not re.search(r"datetime\.now|utcnow|date\.today", text), path


def test_only_config_reads_the_environment() -> None:
    for path in FILES:
        if module_of(path) not in ("config", "serve"):  # serve hands the environment on to the server it starts
            assert not re.search(r"os\.environ|getenv", path.read_text()), path


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))
