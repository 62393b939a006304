"""What may go: exchanges that nobody answers any more, soft-deleted rows past their days, and records that have run out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import delete, func, or_, select

from chatsvc.core import acting, audit, endings, erasure, forgetting, idempotency, personas, throttle
from chatsvc.core.database import read, unit
from chatsvc.core.erasure import Gone
from chatsvc.core.metrics import CLEANUP_PASSES
from chatsvc.core.models import AuditEvent, ChatMessage, ChatSession, Erasure, IdempotencyKey, LoginThrottle, Persona, RevokedToken, User
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
    receipts: int = 0
    secrets: int = 0


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


def count_time_out() -> int:
    """How many exchanges `time_out` would end."""
    with acting.acting_for(acting.EVERYBODY):
        return endings.count_time_out(timedelta(hours=settings().session_timeout_hours))


def count_purge() -> Purged:
    """What `purge` would erase. Messages of a session that goes are counted with it, as `purge` does."""
    gone = ago(timedelta(days=settings().cleanup_days))
    with acting.acting_for(acting.EVERYBODY):
        kept = ~select(ChatSession.id).where(ChatSession.id == ChatMessage.session_id, ChatSession.deleted_at < gone).exists()
        return Purged(
            sessions=_count(ChatSession, ChatSession.deleted_at < gone),
            messages=_count(ChatMessage, ChatMessage.deleted_at < gone, kept),
            keys=_count(IdempotencyKey, IdempotencyKey.created_at < ago(idempotency.KEPT)),
            sign_in_records=_count(RevokedToken, RevokedToken.expires_at < ago(timedelta(0)))
            + _count(LoginThrottle, LoginThrottle.touched_at < ago(throttle.FORGOTTEN_AFTER), _strange())
            + _count(User, *forgetting.outlived_accounts()),
            audit_events=_count(AuditEvent, AuditEvent.created_at < ago(timedelta(days=settings().audit_days))),
            receipts=_count(Erasure, Erasure.finished_at < ago(timedelta(days=settings().audit_days))),
            secrets=_count(Persona, personas.outlived()),
        )


def _count(table: Any, *where: Any) -> int:
    return int(read(select(func.count()).select_from(table).where(*where))[0][0])


def _purge(gone: seconds_ago) -> Purged:
    audit_days = timedelta(days=settings().audit_days)
    forgetting.erase_late()
    return Purged(
        sessions=_in_batches(_erase_sessions, gone),
        messages=_in_batches(_erase_rows, ChatMessage, ChatMessage.id, ChatMessage.deleted_at, gone),
        keys=_in_batches(_erase_keys, ago(idempotency.KEPT)),
        sign_in_records=_in_batches(_erase_rows, RevokedToken, RevokedToken.token_id, RevokedToken.expires_at, ago(timedelta(0)))
        + _in_batches(_erase_throttles, ago(throttle.FORGOTTEN_AFTER))
        + forgetting.drop_accounts(),
        audit_events=_in_batches(_erase_rows, AuditEvent, AuditEvent.id, AuditEvent.created_at, ago(audit_days)),
        receipts=_in_batches(_erase_receipts, ago(audit_days)),
        secrets=personas.forget_previous(),
    )


def _in_batches(step: Any, *args: Any) -> int:
    total = 0
    while amount := step(*args):
        total += amount
    return total


def _erase_sessions(gone: seconds_ago) -> int:
    """One session with all its messages; of a long one, some at a time."""
    while erased := _erase_session(gone):
        if erased.sessions:
            return len(erased.sessions)
    return 0


@unit
def _erase_session(tx: Unit, gone: seconds_ago) -> Gone | None:
    wanted = select(*erasure.ASKED).where(ChatSession.deleted_at < gone).order_by(ChatSession.deleted_at).limit(1)
    found = tx.execute(wanted.with_for_update(skip_locked=True)).all()
    return erasure.erase_some(tx, found) if found else None


@unit
def _erase_rows(tx: Unit, table: Any, key: Any, column: Any, before: seconds_ago) -> int:
    some = select(key).where(column < before).order_by(column).limit(BATCH)
    # Asked again of each row: one that was restored meanwhile stays.
    return changed(tx, delete(table).where(key.in_(some), column < before))


@unit
def _erase_receipts(tx: Unit, before: seconds_ago) -> int:
    old = tx.execute(select(Erasure.id).where(Erasure.finished_at < before).order_by(Erasure.finished_at).limit(BATCH)).scalars().all()
    return changed(tx, delete(Erasure).where(Erasure.id.in_(old))) if old else 0


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
    old = tx.execute(
        select(LoginThrottle.account, LoginThrottle.address)
        .where(LoginThrottle.touched_at < before, _strange())
        .order_by(LoginThrottle.touched_at)
        .limit(BATCH)
    ).all()
    for row in old:
        changed(tx, delete(LoginThrottle).where(LoginThrottle.account == row.account, LoginThrottle.address == row.address, LoginThrottle.touched_at < before))
    return len(old)


def _strange() -> Any:
    return or_(LoginThrottle.succeeded_at.is_(None), LoginThrottle.succeeded_at < ago(throttle.TRUSTED_FOR))
