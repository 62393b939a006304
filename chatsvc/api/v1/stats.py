"""`/api/v1/chat-sessions/stats/user`: the caller's figures."""

from __future__ import annotations

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.v1 import schemas, wire
from chatsvc.core import stats

door = Door("v1_stats", __name__, url_prefix="/api/v1/chat-sessions/stats")


@door.route_for("GET", "/user", Route(Allow.USER, "Your sessions and messages in figures", answer=schemas.StatsOut))
def of_user(caller: Caller) -> wire.Body:
    return wire.stats(caller.user_id, stats.of_user(caller.user_id))
