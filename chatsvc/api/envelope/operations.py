"""What an operator looks at and sets off: statistics, the cleanup, the audit trail."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from chatsvc.api.common import reading
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.core import acting, audit, cleanup, exchange_stats
from chatsvc.core.errors import Forbidden
from chatsvc.core.exchange_stats import Days, Scope
from chatsvc.core.paging import Window

DAYS = 30

door = wire.EnvelopeDoor("envelope_operations", __name__, url_prefix="/api")


@door.route_for(
    "GET",
    "/chat-sessions/stats",
    Route(Allow.USER, "How your sessions went, in figures", query=schemas.StatsQuery, answer=shapes.StatsOut, says="Statistics retrieved successfully"),
)
def stats(
    caller: Caller, *, persona_id: str | None, user_id: str | None, scope: str | None, group_by: str | None, first: date | None, last: date | None
) -> Any:
    if not caller.admin and (scope is not None or user_id not in (None, caller.user_id)):
        raise Forbidden("Only an admin may see the statistics of others")
    of = Scope(None if scope else user_id or caller.user_id, persona_id)
    last = last or datetime.now(UTC).date()
    days = None if group_by is None else Days(first or last - timedelta(days=DAYS - 1), last)
    with acting.acting_for(acting.EVERYBODY if scope else acting.user(user_id) if user_id else acting.current()):
        whole, each = exchange_stats.of(of, days)
    return {**wire.figures(whole), **({"series": wire.series(each)} if days else {})}


@door.route_for(
    "POST",
    "/chat-sessions/cleanup",
    Route(Allow.ADMIN, "End exchanges that nobody has answered for too long", answer=shapes.CleanedOut, says="Cleanup completed successfully"),
)
def clean(caller: Caller) -> wire.Body:
    # As the document's own curl line sends it: with the content type of a form, or with no body at all.
    given = reading.body(schemas.Cleanup(), optional=True, any_type=True)
    return {"timedOut": cleanup.time_out(given.get("max_age_hours"), actor=caller.user_id)}


@door.route_for(
    "GET",
    "/audit-events",
    Route(Allow.ADMIN, "Who did what, newest first", query=schemas.AuditList, answer=shapes.AuditOut, says="Audit events retrieved successfully"),
)
def events(caller: Caller, *, page: int | None, limit: int, cursor: str | None, action: str | None, actor_id: str | None, subject: str | None) -> wire.Body:
    return wire.audit_events(audit.page(audit.Filters(action, actor_id, subject), Window(limit, ((page or 1) - 1) * limit, cursor)))
