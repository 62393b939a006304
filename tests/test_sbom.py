"""The bill of materials names all that is installed and loaded, in the form that its readers expect."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from config import ROOT
from tools import sbom


def test_it_is_what_its_readers_expect() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.bill()) is None


def test_every_package_is_in_it_with_the_version_that_is_installed() -> None:
    found = {one["purl"] for one in json.loads(sbom.bill())["components"]}
    pinned = re.findall(r"^([\w.-]+)==([^ \\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {one for one in found if one.startswith("pkg:pypi/")} == {f"pkg:pypi/{name}@{version}" for name, version in pinned}
    here = {name: importlib.metadata.version(name) for name, _ in pinned if _is_here(name)}
    assert len(here) > 20
    assert {f"pkg:pypi/{name}@{version}" for name, version in here.items()} <= found


def _is_here(name: str) -> bool:
    """Some are for other systems."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_what_the_pages_load_is_in_it_with_the_digests_of_its_files() -> None:
    parts = {one["purl"]: {digest["content"] for digest in one["hashes"]} for one in json.loads(sbom.bill())["components"]}
    listed = json.loads(Path(ROOT / "chatsvc/web/vendored.json").read_text()).values()
    assert len(listed) > 5
    for one in listed:
        name = one["package"].replace("@", "%40")
        assert parts[f"pkg:npm/{name}@{one['version']}"] == {file["sha256"] for file in one["files"].values()}
