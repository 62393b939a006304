"""What may go: exchanges that nobody answers any more, soft-deleted rows past their days, and records that have run out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import delete, or_, select

from chatsvc.core import acting, audit, endings, idempotency, throttle
from chatsvc.core.database import unit
from chatsvc.core.metrics import CLEANUP_PASSES
from chatsvc.core.models import AuditEvent, ChatMessage, ChatSession, IdempotencyKey, LoginThrottle, RevokedToken
from chatsvc.core.models.types import ago, seconds_ago
from chatsvc.core.rows import changed
from chatsvc.extensions import metrics, settings

BATCH = 500


@dataclass(frozen=True, slots=True)
class Purged:
    sessions: int
    messages: int
    keys: int
    sign_in_records: int
    audit_events: int


def time_out(max_age_hours: float | None = None, *, actor: str | None = None) -> int:
    """Ends exchanges without an answer for so many hours (CHAT_SESSION_TIMEOUT_HOURS) as TIMEOUT; says how many."""
    hours = settings().session_timeout_hours if max_age_hours is None else max_age_hours
    with acting.acting_for(acting.EVERYBODY), _a_pass("timeout"):
        amount = endings.time_out(timedelta(hours=hours))
    metrics().cleaned("timeout", {"exchanges": amount})
    if amount or actor:
        audit.note("cleanup.timeout", actor=actor, timed_out=amount, max_age_hours=hours)
    return amount


def purge() -> Purged:
    """Erases for good what was soft-deleted more than CHAT_SESSION_CLEANUP_DAYS ago, and records that no longer count; in small units."""
    with acting.acting_for(acting.EVERYBODY), _a_pass("purge"):
        done = _purge(ago(timedelta(days=settings().cleanup_days)))
    metrics().cleaned("purge", asdict(done))
    return done


@contextmanager
def _a_pass(kind: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        metrics().count(CLEANUP_PASSES, kind=kind, outcome="failed")
        raise


def _purge(gone: seconds_ago) -> Purged:
    return Purged(
        sessions=_in_batches(_erase_sessions, gone),
        messages=_in_batches(_erase_rows, ChatMessage, ChatMessage.id, ChatMessage.deleted_at, gone),
        keys=_in_batches(_erase_keys, ago(idempotency.KEPT)),
        sign_in_records=_in_batches(_erase_rows, RevokedToken, RevokedToken.token_id, RevokedToken.expires_at, ago(timedelta(0)))
        + _in_batches(_erase_throttles, ago(throttle.FORGOTTEN_AFTER)),
        audit_events=_in_batches(_erase_rows, AuditEvent, AuditEvent.id, AuditEvent.created_at, ago(timedelta(days=settings().audit_days))),
    )


def _in_batches(step: Any, *args: Any) -> int:
    total = 0
    while amount := step(*args):
        total += amount
    return total


@unit
def _erase_sessions(tx: Unit, gone: seconds_ago) -> int:
    """One session with all its messages, at most; a long one is a unit of its own."""
    found = tx.execute(
        select(ChatSession.id).where(ChatSession.deleted_at < gone).order_by(ChatSession.deleted_at).limit(1).with_for_update(skip_locked=True)
    ).scalar_one_or_none()
    if found is None:
        return 0
    idempotency.forget_answers(tx, found)
    return changed(tx, delete(ChatSession).where(ChatSession.id == found, ChatSession.deleted_at < gone))


@unit
def _erase_rows(tx: Unit, table: Any, key: Any, column: Any, before: seconds_ago) -> int:
    some = select(key).where(column < before).order_by(column).limit(BATCH)
    # Asked again of each row: one that was restored meanwhile stays.
    return changed(tx, delete(table).where(key.in_(some), column < before))


@unit
def _erase_keys(tx: Unit, before: seconds_ago) -> int:
    old = tx.execute(
        select(IdempotencyKey.user_id, IdempotencyKey.key).where(IdempotencyKey.created_at < before).order_by(IdempotencyKey.created_at).limit(BATCH)
    ).all()
    for row in old:
        changed(tx, delete(IdempotencyKey).where(IdempotencyKey.user_id == row.user_id, IdempotencyKey.key == row.key, IdempotencyKey.created_at < before))
    return len(old)


@unit
def _erase_throttles(tx: Unit, before: seconds_ago) -> int:
    """Those that never signed in; an address that did stays known, as long as it is trusted."""
    strange = or_(LoginThrottle.succeeded_at.is_(None), LoginThrottle.succeeded_at < ago(throttle.TRUSTED_FOR))
    old = tx.execute(
        select(LoginThrottle.account, LoginThrottle.address).where(LoginThrottle.touched_at < before, strange).order_by(LoginThrottle.touched_at).limit(BATCH)
    ).all()
    for row in old:
        changed(tx, delete(LoginThrottle).where(LoginThrottle.account == row.account, LoginThrottle.address == row.address, LoginThrottle.touched_at < before))
    return len(old)
