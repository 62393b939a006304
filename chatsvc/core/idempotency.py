"""A request that may be sent again. Key, rows and answer are one unit: all are kept, or none is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy import Connection as Unit

from chatsvc.core.database import LockNotHad, awaiting, unit
from chatsvc.core.errors import KeyBusy, KeyReused, NotFound
from chatsvc.core.models import IdempotencyKey
from chatsvc.core.models.types import ago, now
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.upsert import insert_unless_there

log = logging.getLogger(__name__)

KEPT = timedelta(hours=24)


@dataclass(slots=True)
class Claim:
    """A key, the request it stands for, and which session that turned out to be about."""

    user_id: str
    key: str
    fingerprint: str
    session_id: str | None = field(default=None, init=False)
    taken: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    body: bytes
    replayed: bool = False
    # What is kept of it where that is less: some things are shown once and stand nowhere.
    kept: bytes | None = None


_claim: ContextVar[Claim | None] = ContextVar("idempotency_claim", default=None)


def once(claim: Claim, work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, which is done at most once for this key; a second request waits for the first."""
    mark = _claim.set(claim)
    try:
        with awaiting(lambda: not claim.taken):
            return _perform(claim, work)
    except LockNotHad as error:
        if claim.taken:
            raise  # the key was ours; it was another lock that was not to be had
        log.info("a request waited in vain for the first one with its Idempotency-Key")
        raise KeyBusy("The first request with this Idempotency-Key is still under way") from error
    finally:
        _claim.reset(mark)


def concerns(session_id: str) -> None:
    """Notes which session the request in hand is about, so that its kept answer goes when the session is erased."""
    claim = _claim.get()
    if claim is not None:
        claim.session_id = session_id


@unit
def _perform(tx: Unit, claim: Claim, work: Callable[[], Answer]) -> Answer:
    claim.taken = take(tx, claim)
    if not claim.taken:
        return _replay(tx, claim)
    answer = work()
    kept = answer.body if answer.kept is None else answer.kept
    changed(tx, update(IdempotencyKey).where(*is_claim(claim)).values(status=answer.status, body=kept.decode(), session_id=claim.session_id))
    return answer


def take(tx: Unit, claim: Claim) -> bool:
    """Takes the key if nobody has it, waiting for somebody who is just taking it. A key of yesterday is free again."""
    mine = insert_unless_there(tx, IdempotencyKey, user_id=claim.user_id, key=claim.key, fingerprint=claim.fingerprint, created_at=now())
    if mine:
        return True
    changed(tx, delete(IdempotencyKey).where(*is_claim(claim), IdempotencyKey.created_at < ago(KEPT)))
    return insert_unless_there(tx, IdempotencyKey, user_id=claim.user_id, key=claim.key, fingerprint=claim.fingerprint, created_at=now())


def first_request(tx: Unit, claim: Claim) -> AnyRow:
    """What this key was used for first; KeyReused when that was something else."""
    first = tx.execute(
        select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.body, IdempotencyKey.reply_id, IdempotencyKey.session_id).where(
            *is_claim(claim)
        )
    ).one()
    if first.fingerprint != claim.fingerprint:
        raise KeyReused("This Idempotency-Key stands for another request already; take a new one")
    return first


def _replay(tx: Unit, claim: Claim) -> Answer:
    first = first_request(tx, claim)
    if first.body is None:
        raise NotFound("Session")  # what it made has been erased, and its answer with it
    return Answer(first.status, first.body.encode(), replayed=True)


def keep(tx: Unit, claim: Claim, body: str) -> None:
    """The answer to a request whose reply has ended now."""
    changed(tx, update(IdempotencyKey).where(*is_claim(claim)).values(body=body))


def forget_answers(tx: Unit, session_id: str) -> None:
    """Blanks the kept answers about a session; their keys stay taken."""
    changed(tx, update(IdempotencyKey).where(IdempotencyKey.session_id == session_id).values(body=None))


def is_claim(claim: Claim) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return IdempotencyKey.user_id == claim.user_id, IdempotencyKey.key == claim.key
