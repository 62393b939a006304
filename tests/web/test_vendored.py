"""What others wrote: exactly what the list says, each with its licence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from chatsvc.web.files import WEB
from tools import vendor

FOLDERS = (vendor.ROOT / vendor.FOLDER, vendor.ROOT / "tests/web/vendor")
LIST: dict[str, Any] = json.loads((WEB / "vendored.json").read_text())


def folder_of(name: str) -> Path:
    return Path(vendor.ROOT, LIST[name].get("folder", vendor.FOLDER), name)


def test_every_file_is_as_it_was_fetched_and_there_are_no_others() -> None:
    listed = {folder_of(name) / file: found["sha256"] for name, entry in LIST.items() for file, found in entry["files"].items()}
    there = {path: hashlib.sha256(path.read_bytes()).hexdigest() for folder in FOLDERS for path in folder.rglob("*") if path.is_file()}
    assert there == listed


def test_each_has_a_version_and_a_licence_beside_it() -> None:
    for name, entry in LIST.items():
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", entry["version"]), name
        assert (folder_of(name) / "LICENSE").stat().st_size > 500, name


def test_no_file_asks_for_one_that_is_not_there() -> None:
    for path in FOLDERS[0].rglob("*.js"):
        if path.parent.name in ("redoc", "swagger-ui"):
            continue
        for asked in re.findall(r"""(?:import|export)[^;"'()]*from\s*"([^"]+)\"""", path.read_text()):
            assert (path.parent / asked).is_file(), f"{path.name} asks for {asked}"


def test_bare_names_become_addresses_and_maps_are_left_out() -> None:
    text = b'import{h}from"preact";let a=1;\n//# sourceMappingURL=x.js.map\n'
    assert vendor.as_served(text, {"preact": "../preact/preact.js"}) == b'import{h}from"../preact/preact.js";let a=1;\n'
