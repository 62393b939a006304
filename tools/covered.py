"""Which lines and branches no test walks over: at least 95 of 100 of everything must be walked, and all where people's chats would be lost.

python -m tools.covered                (after pytest --cov; `make coverage` does both)
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from coverage import Coverage

from tools.mutations import SUBJECTS

LEAST = 95.0
WHOLE = ("ownership", "lifecycle", "idempotency", "cleanup")


def wanted_whole() -> list[str]:
    return [f"chatsvc/{module}.py" for subject in WHOLE for module in SUBJECTS[subject] if module.startswith("core/")]


def measured() -> dict[str, Any]:
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        coverage.json_report(outfile=str(Path(folder) / "coverage.json"))
        found: dict[str, Any] = json.loads((Path(folder) / "coverage.json").read_text())
    return found


def main() -> None:
    found = measured()
    files, total = found["files"], found["totals"]
    for path in sorted(files, key=lambda path: float(files[path]["summary"]["percent_covered"])):
        one = files[path]
        if one["missing_lines"] or one["missing_branches"]:
            branches = [f"{start}->{'exit' if end < 0 else end}" for start, end in one["missing_branches"]]
            print(f"{one['summary']['percent_covered']:6.1f} {path}: lines {one['missing_lines']}, branches {branches}")  # noqa: T201
    lines = 100 * total["covered_lines"] / total["num_statements"]
    branches = 100 * total["covered_branches"] / total["num_branches"]
    print(f"lines {lines:.2f} %, branches {branches:.2f} %, of {len(files)} files")  # noqa: T201
    short = [path for path in wanted_whole() if files[path]["missing_lines"] or files[path]["missing_branches"]]
    if short:
        print(f"must be walked over to the last line: {', '.join(short)}")  # noqa: T201
    sys.exit(0 if min(lines, branches) >= LEAST and not short else 1)


if __name__ == "__main__":
    main()
