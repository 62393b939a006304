"""Fetches the files of others that the pages are made of, as `chatsvc/web/vendored.json` lists them; `--latest` takes the newest versions instead."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "chatsvc" / "web" / "vendored.json"
FOLDER = "chatsvc/web/static/vendor"  # of those that the pages use; what only tests use says where it goes
MAP_COMMENT = re.compile(rb"\n//# sourceMappingURL=\S+\s*$")


def fetched(package: str, version: str, into: Path) -> tarfile.TarFile:
    """The package as its registry has it, by way of npm, which checks what came."""
    # A developer runs it.
    found = subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=into, check=True, capture_output=True, text=True)  # noqa: S607  # nosec B603 B607
    return tarfile.open(into / found.stdout.strip().splitlines()[-1])


def latest(package: str) -> str:
    # A developer runs it.
    found = subprocess.run(["npm", "view", "--silent", package, "version"], check=True, capture_output=True, text=True)  # noqa: S607  # nosec B603 B607
    return found.stdout.strip()


def as_served(text: bytes, imports: dict[str, str]) -> bytes:
    """Browsers know no bare names without an inline import map; and there are no source maps to ask for."""
    for name, path in imports.items():
        text = text.replace(f'from"{name}"'.encode(), f'from"{path}"'.encode())
    return MAP_COMMENT.sub(b"\n", text)


def renew(name: str, entry: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as scratch, fetched(entry["package"], entry["version"], Path(scratch)) as archive:
        for target, file in entry["files"].items():
            member = archive.extractfile(f"package/{file['from']}")
            assert member is not None
            text = as_served(member.read(), entry.get("imports", {}))
            path = ROOT / entry.get("folder", FOLDER) / name / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            file["sha256"] = hashlib.sha256(text).hexdigest()


def main() -> None:
    listed: dict[str, Any] = json.loads(LIST.read_text())
    for name, entry in listed.items():
        if "--latest" in sys.argv and "held" not in entry:
            entry["version"] = latest(entry["package"])
        renew(name, entry)
        print(f"{entry['package']} {entry['version']}")  # noqa: T201
    LIST.write_text(json.dumps(listed, indent=2) + "\n")


if __name__ == "__main__":
    main()
