"""Time that passes when a test says so: what the throttle remembers moves into the past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from chatsvc.core.models import LoginThrottle
from chatsvc.extensions import db

TIMES = ("blocked_until", "succeeded_at", "touched_at")


def time_passes(*, seconds: float = 0, hours: float = 0, days: float = 0) -> None:
    """As if everything had happened so much earlier."""
    gone = timedelta(seconds=seconds, hours=hours, days=days)
    with db.engine.begin() as connection:
        for row in connection.execute(select(LoginThrottle.__table__)).all():
            moved: dict[str, Any] = {name: row._mapping[name] - gone for name in TIMES if row._mapping[name]}
            connection.execute(update(LoginThrottle).where(LoginThrottle.account == row.account, LoginThrottle.address == row.address).values(**moved))
