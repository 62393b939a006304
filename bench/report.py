"""How results are shown, and kept: a section of docs/performance.md and of docs/performance.json, with the machine, the date and the command."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.gates import Line, missed
from bench.streams import ROOT

PAGE, DATA = ROOT / "docs/performance.md", ROOT / "docs/performance.json"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def verdicts(lines: Iterable[Line], what: str = "") -> str:
    """The lines with their gates."""
    rows = [
        (one.what, f"**{number(one.value, 4)}**{one.unit}", one.around, one.gate.shown(one.gate.gate), one.gate.shown(one.gate.goal), one.verdict)
        for one in lines
    ]
    return table((what, "figure", "", "gate", "goal", "verdict"), rows)


def number(value: float | None, digits: int = 3) -> str:
    """So many digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def machine() -> dict[str, str]:
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    total = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    counted = "in Redis" if os.environ.get("REDIS_URL") else "in each process"
    return {
        "processor": f"{len(os.sched_getaffinity(0))} × {cpu}",
        "memory": f"{total / 1024**2:.0f} GiB",
        "Python": platform.python_version(),
        "rate limits counted": counted,
    }


def command(target: str) -> str:
    given = [one for one in sys.argv[1:] if one != "--write"]
    return f'make {target} ARGS="{shlex.join(given)}"' if given else f"make {target}"


def head(target: str, facts: dict[str, str]) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}, `{command(target)}`. " + "; ".join(f"{name}: {value}" for name, value in facts.items()) + "."


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What all measurements take."""
    parser.add_argument(
        "--users", type=int, help="users of the data set, ten sessions each (10,000; 1,000 on SQLite alone); at least 500, or a user's rate limit is met"
    )
    parser.add_argument("--keep", action="store_true", help="keep the filled databases for the next run")
    parser.add_argument("--superuser", action="store_true", help="let the service be a superuser, whom row-level security does not concern")
    parser.add_argument("--write", action="store_true", help="write the results into docs/performance.md")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers are stopped and databases dropped
    given.users = given.users or (1000 if getattr(given, "sqlite", False) else 10_000)
    if given.users < 500:
        parser.error("--users must be 500 or more")
    return given


def finish(given: argparse.Namespace, section: str, target: str, *, lines: list[Line], text: str, data: Any, about: dict[str, str]) -> int:
    """Prints the results, keeps them where that is wanted, and says with what to exit."""
    facts = machine() | about
    header = head(target, facts)
    print(f"{header}\n\n{text}")
    if given.write:
        write_section(section, f"{header}\n\n{text}")
        kept = json.loads(DATA.read_text()) if DATA.exists() else {}
        kept[section] = {"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", "command": command(target), "machine": facts, "results": data}
        DATA.write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    for line in missed(lines):
        print(f"{line.verdict}: {line.what}: {number(line.value, 4)}, gate {line.gate.shown(line.gate.gate)}", file=sys.stderr)
    return 1 if missed(lines) else 0


def write_section(section: str, text: str, page: Path = PAGE) -> None:
    """Replaces what stands between this section's two markers."""
    begin, end = f"<!-- results of {section} -->", f"<!-- end of {section} -->"
    written, found = re.subn(f"(?s){begin}.*?{end}", lambda _: f"{begin}\n\n{text}\n\n{end}", page.read_text())
    if found != 1:
        raise SystemExit(f"{page.name} has no place for {section}")
    page.write_text(written)
