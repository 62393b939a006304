"""The documents keep pace with the code: a setting, a link or a command that is not there fails here."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from config import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE_PATH = re.compile(r"`((?:chatsvc|tests|migrations|docs)/[A-Za-z0-9_./-]+|[a-z]+\.py)(?:::([A-Za-z0-9_]+))?`")


def row_of(name: str, default: str, about: str) -> str:
    return f"| `{name}` | {f'`{default}`' if default else ''} | {about} |"


def test_every_setting_is_documented_as_it_is() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    wanted = [row_of(item.metadata["name"], item.metadata["default"], item.metadata["about"]) for item in fields(Settings)]
    missing = [row for row in wanted if row not in page]
    assert not missing, "docs/configuration.md lacks:\n" + "\n".join(missing)
    assert len(re.findall(r"^\| `[A-Z_]+` \|", page, re.MULTILINE)) == len(wanted), "docs/configuration.md names a setting that is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_test_named_is_there(page: Path) -> None:
    for name, inside in CODE_PATH.findall(page.read_text()):
        path = ROOT / name
        assert path.exists() or "<" in name or list(ROOT.glob(f"**/{name}")), f"{name} is not there"
        if inside:
            assert f"def {inside}(" in path.read_text(), f"{name} has no {inside}"


def test_every_make_target_of_the_documents_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for target in re.findall(r"^make ([a-z-]+)", block, re.MULTILINE):
                assert target in targets, f"{page.name}: make {target}"


def test_every_measurement_is_documented() -> None:
    targets = set(re.findall(r"^(bench[a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"^make (bench[a-z-]*)", (ROOT / "docs/performance.md").read_text(), re.MULTILINE))
    assert told == targets
