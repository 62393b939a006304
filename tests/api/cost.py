"""What a request costs, counted instead of timed: the same on a busy machine and on a fast one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

TRIES = 3


def instructions(work: Callable[[], object]) -> int:
    """How many instructions the interpreter carries out for this, in this thread. The least of a few runs: now and then somebody tidies up."""
    return min(_counted(work) for _ in range(TRIES))


def calls(work: Callable[[], object]) -> int:
    """How many functions are called for this, those written in C too, whose inside the instructions do not show."""
    return min(_called(work) for _ in range(TRIES))


def _counted(work: Callable[[], object]) -> int:
    amount = 0

    def step(frame: FrameType, event: str, given: Any) -> Any:
        nonlocal amount
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            amount += 1
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        work()
    finally:
        sys.settrace(before)
    return amount


def _called(work: Callable[[], object]) -> int:
    amount = 0

    def step(frame: FrameType, event: str, given: Any) -> None:
        nonlocal amount
        amount += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(before)
    return amount
