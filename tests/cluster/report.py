"""What a run found, as a table; and whether every promise held."""

from __future__ import annotations

import time


class Report:
    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, bool]] = []
        self._began = time.monotonic()

    def row(self, what: str, found: object, *, promised: str = "", good: bool = True) -> None:
        self._rows.append((what, str(found), promised, good))
        say(f"{time.monotonic() - self._began:6.1f} s  {what}: {found}{'' if good else '   <- BROKEN'}")

    def none(self, what: str, wrong: list[str], of: int) -> None:
        """Of so many, none may be wrong; and so many there must have been."""
        for one in wrong[:10]:
            say(f"          {one}")
        self.row(what, f"{len(wrong)} of {of}", promised="0", good=not wrong and of > 0)

    def told(self) -> int:
        """Prints the table; the exit code."""
        say("\n| what | found | promised | |\n|---|---|---|---|")
        for what, found, promised, good in self._rows:
            say(f"| {what} | {found} | {promised} | {'' if good else '**broken**'} |")
        broken = [what for what, _, _, good in self._rows if not good]
        say(f"\n{time.monotonic() - self._began:.0f} s; " + (f"broken: {'; '.join(broken)}" if broken else "every promise held"))
        return 1 if broken else 0


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is its output
