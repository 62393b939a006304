"""All that a user has, table by table, and how some of it is erased at a time. A table with people's rows that is not here fails a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy import Connection as Unit

from chatsvc.core import erasure
from chatsvc.core.database import read
from chatsvc.core.models import ApiKey, AuditEvent, ChatMessage, ChatSession, Conversation, IdempotencyKey, LoginThrottle, RevokedToken, User
from chatsvc.core.models.session import LIVE_EXCHANGE, LIVE_PLAIN
from chatsvc.core.rows import AnyRow, changed, one

SESSIONS, ROWS = 20, 500  # so many at most in one unit
SOMEBODY = ""  # what stands for all who are gone; nobody's id
# Each of them has an index of its own; one of all sessions of a user there is not.
KINDS = (LIVE_PLAIN, LIVE_EXCHANGE, "deleted_at IS NOT NULL")
PERSONAL = ("username", "address", "session_id")

Found = dict[str, int]
Step = Callable[[Unit, str, str | None], Found]


def _sessions(tx: Unit, user_id: str, account: str | None) -> Found:
    for kind in KINDS:
        wanted = select(*erasure.ASKED).where(ChatSession.user_id == user_id, text(kind)).limit(SESSIONS).with_for_update()
        if locked := tx.execute(wanted).all():
            gone = erasure.erase_some(tx, locked)
            return {"sessions": len(gone.sessions), "messages": gone.messages}
    return {}


def _conversations(tx: Unit, user_id: str, account: str | None) -> Found:
    some = tx.execute(select(Conversation.id).where(Conversation.user_id == user_id).limit(ROWS)).scalars().all()
    return {"conversations": changed(tx, delete(Conversation).where(Conversation.id.in_(some)))} if some else {}


def _keys(tx: Unit, user_id: str, account: str | None) -> Found:
    mine = IdempotencyKey.user_id == user_id
    some = tx.execute(select(IdempotencyKey.key).where(mine).limit(ROWS)).scalars().all()
    return {"idempotencyKeys": changed(tx, delete(IdempotencyKey).where(mine, IdempotencyKey.key.in_(some)))} if some else {}


def _tokens(tx: Unit, user_id: str, account: str | None) -> Found:
    """A revoked token stays revoked; it no longer says whose it was."""
    some = tx.execute(select(RevokedToken.token_id).where(RevokedToken.user_id == user_id).limit(ROWS)).scalars().all()
    return {"revokedTokens": changed(tx, update(RevokedToken).where(RevokedToken.token_id.in_(some)).values(user_id=SOMEBODY))} if some else {}


def _sign_ins(tx: Unit, user_id: str, account: str | None) -> Found:
    mine = LoginThrottle.account == account
    some = tx.execute(select(LoginThrottle.address).where(mine).limit(ROWS)).scalars().all() if account else []
    return {"signInRecords": changed(tx, delete(LoginThrottle).where(mine, LoginThrottle.address.in_(some)))} if some else {}


def about(user_id: str, account: str | None) -> list[ColumnElement[bool]]:
    """Which events are about a user; apart, since each of these goes by an index of its own. Sign-ins are noted by the account's name, which
    may well be the id of somebody else."""
    sign_in = AuditEvent.action.like("login.%")
    by_name = [and_(AuditEvent.subject == account, sign_in)] if account else []
    return [AuditEvent.actor_id == user_id, and_(AuditEvent.subject == user_id, ~sign_in), *by_name]


def _events(tx: Unit, user_id: str, account: str | None) -> Found:
    """Sign-ins go; what else was done stays, and no longer says by whom, or to whom."""
    columns = (AuditEvent.id, AuditEvent.actor_id, AuditEvent.action, AuditEvent.subject, AuditEvent.details)
    for mine in about(user_id, account):
        if some := tx.execute(select(*columns).where(mine).limit(ROWS).with_for_update()).all():
            sign_ins = [row.id for row in some if row.action.startswith("login.")]
            if sign_ins:
                changed(tx, delete(AuditEvent).where(AuditEvent.id.in_(sign_ins)))
            for row in some:
                if not row.action.startswith("login."):
                    changed(tx, update(AuditEvent).where(AuditEvent.id == row.id).values(**_unnamed(row, user_id)))
            return {"auditEvents": len(some)}
    return {}


def _unnamed(event: AnyRow, user_id: str) -> dict[str, Any]:
    hidden = event.subject == user_id or (event.actor_id == user_id and event.action.startswith("session."))
    return {
        "actor_id": SOMEBODY if event.actor_id == user_id else event.actor_id,
        "subject": SOMEBODY if hidden else event.subject,
        "details": {name: value for name, value in event.details.items() if name not in PERSONAL},
    }


def _made_keys(tx: Unit, user_id: str, account: str | None) -> Found:
    """A product's key goes on working; it no longer says who made it."""
    some = tx.execute(select(ApiKey.id).where(ApiKey.created_by == user_id).limit(ROWS)).scalars().all()
    return {"apiKeys": changed(tx, update(ApiKey).where(ApiKey.id.in_(some)).values(created_by=None))} if some else {}


# What receipts count.
NAMES = ("sessions", "messages", "conversations", "idempotencyKeys", "revokedTokens", "signInRecords", "auditEvents", "apiKeys", "accounts")
# In this order: who writes into a session holds its row, so what is written beside it is found later.
STEPS: tuple[Step, ...] = (_sessions, _conversations, _keys, _tokens, _sign_ins, _events, _made_keys)


def erase_some(tx: Unit, user_id: str, account: str | None) -> Found:
    """Erases as much as one unit may; what is said is empty once nothing is left."""
    for step in STEPS:
        if found := step(tx, user_id, account):
            return found
    return {}


def account_of(user_id: str) -> AnyRow | None:
    """The local account of this id, unless it has been erased; without its password."""
    columns = [column for column in User.__table__.c if column.name != "password_hash"]
    return one(read(select(*columns).where(User.id == user_id, User.username != "")))


def count(user_id: str, account: str | None, *, keep_account: bool) -> Found:
    """What an erasure would find; changes nothing."""
    found: Counter[str] = Counter()
    for kind in KINDS:
        last: Any = None
        while ids := [row.id for row in read(_some_sessions(user_id, kind, last))]:
            found["sessions"] += len(ids)
            found["messages"] += read(select(func.count()).select_from(ChatMessage).where(ChatMessage.session_id.in_(ids)))[0][0]
            last = ids[-1]
    for name, table, mine in (
        ("conversations", Conversation, Conversation.user_id == user_id),
        ("idempotencyKeys", IdempotencyKey, IdempotencyKey.user_id == user_id),
        ("revokedTokens", RevokedToken, RevokedToken.user_id == user_id),
        ("signInRecords", LoginThrottle, LoginThrottle.account == account),
        ("auditEvents", AuditEvent, or_(*about(user_id, account))),
        ("apiKeys", ApiKey, ApiKey.created_by == user_id),
    ):
        found[name] = read(select(func.count()).select_from(table).where(mine))[0][0]
    found["accounts"] = int(account is not None and not keep_account)
    return {name: amount for name, amount in found.items() if amount}


def _some_sessions(user_id: str, kind: str, last: str | None) -> Any:
    wanted = select(ChatSession.id).where(ChatSession.user_id == user_id, text(kind), *([ChatSession.id > last] if last else []))
    return wanted.order_by(ChatSession.id).limit(200)
