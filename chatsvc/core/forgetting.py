"""All that a user has is erased: some at a time, by whoever takes it up, until nothing is left. What was erased is counted on a receipt."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, TextClause, delete, select, text, update
from sqlalchemy import Connection as Unit

from chatsvc.core import acting, audit, belongings, last_writes, scrubbing
from chatsvc.core.database import RunAgain, read, unit
from chatsvc.core.errors import NotFound, Unavailable
from chatsvc.core.models import ChatMessage, Erasure, User
from chatsvc.core.models.types import ago, now, one_moment
from chatsvc.core.models.user import ERASED
from chatsvc.core.rows import AnyRow, changed, one
from chatsvc.core.upsert import insert_unless_there
from chatsvc.extensions import runtime, settings

log = logging.getLogger(__name__)

ABANDONED = timedelta(seconds=30)
WAITED_SECONDS = 3.0
RESTS_SECONDS = (0.005, 0.2)  # between two units, for others to come in: as long as the last one took
AWAY_SECONDS = 1.0
COLUMNS = tuple(column for column in Erasure.__table__.c if column.name not in ("user_id", "account"))
_here: dict[str, threading.Event] = {}  # what this process is at
_lock = threading.Lock()


def digest(user_id: str) -> str:
    """By which a receipt can be held against an id, by whoever has the service's key."""
    return hmac.new(settings().encryption_key.encode(), b"erased\0" + user_id.encode(), hashlib.sha256).hexdigest()


@unit
def ask(tx: Unit, user_id: str, *, by: str, actor: str | None = None, keep_account: bool = False) -> str:
    """Begins an erasure, or finds the one under way; the id of its receipt. From here on the account is closed and its replies are stopped."""
    user = tx.execute(select(User.username_key).where(User.id == user_id, User.username != "")).one_or_none()
    receipt_id = _begun(tx, user_id, account=None if user is None else user.username_key, by=by, actor=actor, keep_account=keep_account)
    if user is not None and not keep_account:
        _close(tx, user_id)
        counts = tx.execute(select(Erasure.counts).where(Erasure.id == receipt_id)).scalar_one()
        changed(tx, update(Erasure).where(Erasure.id == receipt_id).values(keeps_account=False, counts={**counts, "accounts": 1}))
    running = update(ChatMessage).where(ChatMessage.user_id == user_id, ChatMessage.status == "streaming", ChatMessage.cancel_requested_at.is_(None))
    changed(tx, running.values(cancel_requested_at=now()))
    return receipt_id


def _begun(tx: Unit, user_id: str, *, account: str | None, by: str, actor: str | None, keep_account: bool) -> str:
    receipt_id, at = str(uuid.uuid4()), one_moment()
    given = {"user_id": user_id, "account": account, "user_digest": digest(user_id), "asked_by": by, "keeps_account": keep_account}
    if insert_unless_there(tx, Erasure, id=receipt_id, **given, counts={}, started_at=at, seen_at=at):
        audit.note("user.erased", actor=actor, subject=receipt_id, by=by)
        return receipt_id
    under_way = select(Erasure.id).where(Erasure.user_id == user_id, Erasure.finished_at.is_(None)).with_for_update()
    found: str | None = tx.execute(under_way).scalar_one_or_none()
    if found is None:
        raise RunAgain  # it has come to its end just now
    return found


def _close(tx: Unit, user_id: str) -> None:
    """Name and password go. Its id stays until no token of it can be good any more, or these would pass for those of an outside issuer."""
    nothing = {"username": "", "username_key": f" {user_id}", "password_hash": "", "role": "USER"}  # no name begins with a space
    changed(tx, update(User).where(User.id == user_id).values(**nothing, disabled_at=one_moment(), updated_at=one_moment()))


def receipt(receipt_id: str) -> AnyRow:
    """What an erasure has come to; it names nobody."""
    with acting.acting_for(acting.EVERYBODY):
        found = one(read(select(*COLUMNS).where(Erasure.id == receipt_id)))
    if found is None:
        raise NotFound("Erasure")
    return found


def receipts_of(user_id: str) -> list[AnyRow]:
    """The receipts of a user, oldest first: those that this service's key can still tell to be theirs."""
    with acting.acting_for(acting.EVERYBODY):
        return list(read(select(*COLUMNS).where(Erasure.user_digest == digest(user_id)).order_by(Erasure.started_at)))


def go_on(receipt_id: str, *, here: Any = None) -> AnyRow:
    """Erases until nothing is left; two at once take turns. Ends early when the process that is `here` ends."""
    while here is None or not here.stopping:
        began = time.monotonic()
        if not _step(receipt_id):
            _finish(receipt_id, scrubbing.scrub() if scrubbing.is_due() else None)
            break
        time.sleep(min(max(time.monotonic() - began, RESTS_SECONDS[0]), RESTS_SECONDS[1]))
    return receipt(receipt_id)


@unit
def _step(tx: Unit, receipt_id: str) -> bool:
    """Erases some; False once nothing is left, and then the receipt does not say any more whose it is."""
    mine = (Erasure.id == receipt_id, Erasure.user_id.is_not(None))
    with acting.acting_for(acting.EVERYBODY):
        # Whoever is at it holds the receipt's row; others wait, and then go on from there.
        row = tx.execute(select(Erasure.user_id, Erasure.account, Erasure.counts).where(*mine).with_for_update()).one_or_none()
        if row is None:
            return False
        with acting.acting_for(acting.user(row.user_id)):
            found = belongings.erase_some(tx, row.user_id, row.account)
        last_writes.note(acting.user(row.user_id))
        so_far = {"counts": dict(Counter(row.counts) + Counter(found)), "seen_at": now()}
        changed(tx, update(Erasure).where(*mine).values(**so_far, **({} if found else {"user_id": None, "account": None})))
    return bool(found)


@unit
def _finish(tx: Unit, receipt_id: str, scrubbed: bool | None) -> None:
    with acting.acting_for(acting.EVERYBODY):
        changed(tx, update(Erasure).where(Erasure.id == receipt_id, Erasure.finished_at.is_(None)).values(scrubbed=scrubbed, finished_at=now()))


def scrubbed() -> int:
    """Notes that the file has been written anew since these were finished; says how many they are."""
    with acting.acting_for(acting.EVERYBODY):
        return _note_scrubbed()


@unit
def _note_scrubbed(tx: Unit) -> int:
    return changed(tx, update(Erasure).where(Erasure.scrubbed.is_(False)).values(scrubbed=True))


# What comes late


def outlived_accounts() -> tuple[TextClause, ColumnElement[bool]]:
    """What is left of accounts that were erased so long ago that no token of theirs can be good any more."""
    return text(ERASED), User.disabled_at < ago(timedelta(days=settings().refresh_days + 1))


def erase_late() -> None:
    """What a request that was let in just before has written just after its account was erased."""
    with acting.acting_for(acting.EVERYBODY):
        gone = [row.id for row in read(select(User.id).where(text(ERASED), User.disabled_at <= ago(timedelta(0))))]
    for user_id in gone:
        with acting.acting_for(acting.user(user_id)):
            while _erase_late(user_id):
                pass


@unit
def _erase_late(tx: Unit, user_id: str) -> bool:
    return bool(belongings.erase_some(tx, user_id, None))


@unit
def drop_accounts(tx: Unit) -> int:
    return changed(tx, delete(User).where(*outlived_accounts()))


# In the background


def in_background(receipt_id: str, *, wait: float = WAITED_SECONDS) -> AnyRow:
    """Goes on in a thread of this process, and waits a while for its end; the receipt as it is then."""
    set_going(receipt_id).wait(wait)
    return receipt(receipt_id)


def set_going(receipt_id: str) -> threading.Event:
    """What it gives is set when this process is no longer at it."""
    with _lock:
        if receipt_id in _here:
            return _here[receipt_id]
        done = _here[receipt_id] = threading.Event()
    threading.Thread(target=_insist, args=(runtime(), receipt_id), name=f"erasure-{receipt_id}", daemon=True).start()
    return done


def _insist(here: Any, receipt_id: str) -> None:
    """Through what the database does not do at once; what else goes wrong is left to whoever takes it up again."""
    try:
        with here.context():
            while not here.stopping:
                try:
                    go_on(receipt_id, here=here)
                    return
                except Unavailable as away:
                    log.warning("erasure %s waits: %s", receipt_id, away.message)
                    time.sleep(AWAY_SECONDS)
    except Exception:
        log.exception("erasure %s was broken off; it is taken up again in a while", receipt_id)
    finally:
        with _lock:
            _here.pop(receipt_id).set()


def unfinished() -> list[str]:
    """Erasures that nobody has been at for a while: their process has died, or was told to stop."""
    with acting.acting_for(acting.EVERYBODY):
        return [row.id for row in read(select(Erasure.id).where(Erasure.finished_at.is_(None), Erasure.seen_at < ago(ABANDONED)).limit(100))]


def take_up() -> int:
    """Goes on with those here, in the background; says how many."""
    found = unfinished()
    for receipt_id in found:
        set_going(receipt_id)
    return len(found)
