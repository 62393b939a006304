"""IP addresses that were kept long enough: of an exchange's sender, of sign-ins, and of who guesses passwords. Nothing else keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import and_, delete, func, select, update

from chatsvc.core import acting, throttle
from chatsvc.core.database import read, unit
from chatsvc.core.models import AuditEvent, ChatSession, LoginThrottle
from chatsvc.core.models.types import ago, seconds_ago
from chatsvc.core.rows import changed
from chatsvc.core.walking import in_slices
from chatsvc.extensions import settings

BATCH = 200
NETWORKS = {4: 24, 6: 48}
# Where a row keeps one: the table, its column of JSON, and the name in it.
PLACES: tuple[tuple[Any, str, str], ...] = ((ChatSession, "meta", "ipAddress"), (AuditEvent, "details", "address"))


@dataclass(frozen=True, slots=True)
class Hidden:
    """How many rows of each kind."""

    exchanges: int = 0
    audit_events: int = 0
    sign_in_records: int = 0


def hide() -> Hidden:
    """Shortens or drops those that are older than CHAT_IP_RETENTION_DAYS, some at a time."""
    if not settings().ip_retention_days:
        return Hidden()
    with acting.acting_for(acting.EVERYBODY):
        exchanges, events = (sum(_hide(*place, ids) for ids in _old(*place)) for place in PLACES)
        return Hidden(exchanges, events, _forget_all(_before()))


def count() -> Hidden:
    """How many that would change."""
    if not settings().ip_retention_days:
        return Hidden()
    with acting.acting_for(acting.EVERYBODY):
        exchanges, events = (sum(len(ids) for ids in _old(*place)) for place in PLACES)
        old = and_(LoginThrottle.touched_at < _before(), LoginThrottle.address != throttle.EVERYWHERE)
        return Hidden(exchanges, events, read(select(func.count()).select_from(LoginThrottle).where(old))[0][0])


def hidden(address: Any) -> Any:
    """What is kept of an old address: its network, or nothing at all. What is no address, or was shortened before, stays as it is."""
    try:
        found = ip_address(address if isinstance(address, str) else "")
    except ValueError:
        return address
    if settings().ip_retention_mode == "drop":
        return None
    return str(ip_network((found, NETWORKS[found.version]), strict=False))


def _before() -> seconds_ago:
    return ago(timedelta(days=settings().ip_retention_days))


def _old(table: Any, column: str, name: str) -> Any:
    """The ids of the rows that hold one, a few at a time. No index finds them; the whole table is walked."""
    kept = getattr(table, column)[name].as_string()
    # What people say of themselves in a session of their own is theirs; of an exchange, the service notes it.
    ours = [table.conversation_id.is_not(None)] if table is ChatSession else []
    shown = and_(table.created_at < _before(), *ours)
    for rows in in_slices(table, [kept.label("address"), shown.label("old")]):
        ids = [row.id for row in rows if row.old and row.address is not None and hidden(row.address) != row.address]
        yield from (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


@unit
def _hide(tx: Unit, table: Any, column: str, name: str, ids: list[Any]) -> int:
    meta = getattr(table, column)
    for row in tx.execute(select(table.id, meta.label("meta")).where(table.id.in_(ids)).with_for_update()).all():
        rest = {**row.meta, name: hidden(row.meta.get(name))}
        changed(tx, update(table).where(table.id == row.id).values({meta: rest}))
    return len(ids)


def _forget_all(before: seconds_ago) -> int:
    total = 0
    while amount := _forget(before):
        total += amount
    return total


@unit
def _forget(tx: Unit, before: seconds_ago) -> int:
    """An address that has signed in counts as known for as long as it is kept; a part of one knows nobody."""
    old = (LoginThrottle.touched_at < before, LoginThrottle.address != throttle.EVERYWHERE)
    columns = (LoginThrottle.account, LoginThrottle.address)
    some = tx.execute(select(*columns).where(*old).order_by(LoginThrottle.touched_at).limit(BATCH)).all()
    return sum(changed(tx, delete(LoginThrottle).where(LoginThrottle.account == row.account, LoginThrottle.address == row.address, *old)) for row in some)
