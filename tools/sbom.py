"""`make sbom`: all that is in the service that others wrote, as a bill of materials (CycloneDX 1.6, JSON): what is installed, and what the pages load.

python -m tools.sbom > chatsvc.cdx.json
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from chatsvc import __version__

ROOT = Path(__file__).resolve().parent.parent
# One version a package, and the digests of all files that may be installed for it.
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)", re.MULTILINE)
DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def installed() -> list[Component]:
    found = PINNED.finditer((ROOT / "requirements.txt").read_text())
    return [_library("pypi", one["name"].lower(), one["version"], DIGEST.findall(one["rest"])) for one in found]


def loaded_by_the_pages() -> list[Component]:
    found = json.loads((ROOT / "chatsvc/web/vendored.json").read_text()).values()
    return [_library("npm", one["package"], one["version"], [file["sha256"] for file in one["files"].values()]) for one in found]


def _library(kind: str, name: str, version: str, digests: list[str]) -> Component:
    space, _, short = name.rpartition("/")
    url = PackageURL(kind, space or None, short, version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]
    return Component(type=ComponentType.LIBRARY, group=space or None, name=short, version=version, purl=url, bom_ref=str(url), hashes=hashes)


def bill() -> str:
    bom = Bom(components=[*installed(), *loaded_by_the_pages()])
    bom.metadata.component = Component(type=ComponentType.APPLICATION, name="chatsvc", version=__version__, bom_ref="chatsvc")
    bom.register_dependency(bom.metadata.component, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


if __name__ == "__main__":
    print(bill())  # noqa: T201
