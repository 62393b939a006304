"""What a fault run says of itself."""

from __future__ import annotations

import json


def tell(**facts: object) -> None:
    """A line of JSON."""
    print(json.dumps(facts), flush=True)  # noqa: T201 - this is its output
