"""What is asked of a figure, and whether it keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NEARLY = 0.05


@dataclass(frozen=True, slots=True)
class Gate:
    """Below (or above) the gate the promise is broken; the goal is what is aimed at."""

    gate: float
    goal: float | None = None
    at_least: bool = False

    def verdict(self, value: float) -> str:
        if self.goal is not None and self._keeps(value, self.goal):
            return "goal"
        if self._keeps(value, self.gate):
            return "gate" if self.goal is not None else "kept"
        return "MISSED by less than 5 %" if abs(value - self.gate) < NEARLY * self.gate else "MISSED"

    def shown(self, limit: float | None) -> str:
        return "" if limit is None else f"{'≥' if self.at_least else '≤'} {limit:g}"

    def _keeps(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit


@dataclass(frozen=True, slots=True)
class Line:
    """A figure beside its gate; `around` says what else belongs to it."""

    what: str
    value: float
    gate: Gate
    around: str = ""
    unit: str = ""

    @property
    def verdict(self) -> str:
        return self.gate.verdict(self.value)


def missed(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.verdict.startswith("MISSED")]
