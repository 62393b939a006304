"""What the ledger's verdict is told as, the same for each run."""

from __future__ import annotations

from tests.faults.ledger import Verdict
from tests.faults.told import tell

KINDS = {"lost_or_doubled": "LOST OR DOUBLED", "out_of_order": "OUT OF ORDER", "seen_otherwise": "SEEN", "counters_off": "COUNTERS"}


def tell_verdict(verdict: Verdict, **facts: object) -> bool:
    """A line with these facts before it; what was wrong in another. Whether nothing was."""
    tell(
        **facts,
        acknowledged=verdict.acknowledged,
        **{kind: sum(breach.startswith(mark) for breach in verdict.breaches) for kind, mark in KINDS.items()},
        breaches=len(verdict.breaches),
        asked_again=verdict.retried,
        reads=verdict.reads,
        positions_seen=verdict.positions,
        answers=verdict.answers,
        longest_answer=verdict.longest,
    )
    if verdict.breaches:
        tell(failed=verdict.told())
    return not verdict.breaches
