"""A figure is held against its gate in the right direction, and a missed one is told."""

from __future__ import annotations

import pytest

from bench.gates import Gate, Line, missed

AT_LEAST, AT_MOST, ALONE = Gate(1.5, 2.2, at_least=True), Gate(1.0, 0.6), Gate(1.5)


@pytest.mark.parametrize(
    ("gate", "value", "verdict"),
    [
        (AT_LEAST, 2.2, "goal"),
        (AT_LEAST, 2.19, "gate"),
        (AT_LEAST, 1.5, "gate"),
        (AT_LEAST, 1.45, "MISSED by less than 5 %"),
        (AT_LEAST, 1.42, "MISSED"),
        (AT_MOST, 0.6, "goal"),
        (AT_MOST, 1.0, "gate"),
        (AT_MOST, 1.04, "MISSED by less than 5 %"),
        (AT_MOST, 1.06, "MISSED"),
        (ALONE, 1.5, "kept"),
        (Gate(0), 0, "kept"),
        (Gate(0), 1, "MISSED"),
    ],
)
def test_a_figure_is_told_how_it_stands(gate: Gate, value: float, verdict: str) -> None:
    assert gate.verdict(value) == verdict


def test_every_missed_gate_is_found() -> None:
    lines = [Line("kept", 2, AT_LEAST), Line("nearly", 1.45, AT_LEAST), Line("far", 3, AT_MOST)]
    assert [line.what for line in missed(lines)] == ["nearly", "far"]
