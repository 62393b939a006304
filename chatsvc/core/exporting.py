"""All that a user has, to be carried away: read a few rows at a time, with nothing held between two reads, however slow whoever reads it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Text, func, literal, select, text

from chatsvc.core import audit, belongings
from chatsvc.core.models import AuditEvent, ChatMessage, ChatSession, Conversation, IdempotencyKey, LoginThrottle, RevokedToken
from chatsvc.core.models.types import Key, Uuid
from chatsvc.core.read_models import SESSION, in_session
from chatsvc.core.replica import read_any
from chatsvc.core.rows import AnyRow

SLICE = 200
LONG_ROWS = 20  # of which each may be as long as a reply can be
CHARACTERS = 1_000_000

Kind = str
Rows = Iterator[tuple[Kind, Sequence[AnyRow]]]


def begin(user_id: str, *, actor: str | None) -> None:
    """Notes who takes whose data away."""
    audit.note("user.exported", actor=actor, subject=user_id)


def everything(user_id: str) -> Rows:
    """Rows by their kind: each as it is when it is read, soft-deleted ones too. Whoever asks says for whom it is, each time it goes on."""
    account = belongings.account_of(user_id)
    name = None if account is None else account.username_key
    if account is not None:
        yield "account", [account]
    conversation = select(*Conversation.__table__.c).where(Conversation.user_id == user_id)
    yield from (("conversation", rows) for rows in _walked(conversation, Conversation.id, "id", Uuid))
    for kind in belongings.KINDS:
        sessions = select(*SESSION, ChatSession.title_from).where(ChatSession.user_id == user_id, text(kind))
        for rows in _walked(sessions, ChatSession.id, "id", Uuid):
            for row in rows:
                yield "session", [row]
                yield from (("message", messages) for messages in _messages(row.id))
    keys = select(IdempotencyKey.__table__).where(IdempotencyKey.user_id == user_id)
    yield from (("idempotencyKey", rows) for rows in _walked(keys, IdempotencyKey.key, "key", Text(), LONG_ROWS))
    tokens = select(RevokedToken.token_id, RevokedToken.revoked_at, RevokedToken.expires_at).where(RevokedToken.user_id == user_id)
    yield from (("revokedToken", rows) for rows in _walked(tokens, RevokedToken.token_id, "token_id", Text()))
    if name is not None:
        guesses = select(LoginThrottle.__table__).where(LoginThrottle.account == name)
        yield from (("signInRecord", rows) for rows in _walked(guesses, LoginThrottle.address, "address", Text()))
    yield from _events(user_id, name)


def _messages(session_id: str) -> Iterator[Sequence[AnyRow]]:
    """In the order of the session; the longer they are, the fewer at a time."""
    last: int | None = None
    size = LONG_ROWS
    while rows := read_any(in_session(session_id, newest_first=False, after=last, deleted_too=True).add_columns(ChatMessage.reply_to).limit(size)):
        yield rows
        last = rows[-1].id
        size = min(SLICE, max(LONG_ROWS, CHARACTERS // max(1, *(len(row.content) for row in rows))))


def _walked(wanted: Any, column: Any, name: str, kind: Any, size: int = SLICE) -> Iterator[Sequence[AnyRow]]:
    last: Any = None
    while rows := read_any(wanted.where(*([] if last is None else [column > literal(last, kind)])).order_by(column).limit(size)):
        yield rows
        last = getattr(rows[-1], name)


def _events(user_id: str, account: str | None) -> Rows:
    seen: list[Any] = []
    for mine in belongings.about(user_id, account):
        # An event may be about somebody in two ways; it is told once.
        wanted = select(AuditEvent.__table__).where(mine, *(~func.coalesce(one, False) for one in seen))
        yield from (("auditEvent", rows) for rows in _walked(wanted, AuditEvent.id, "id", Key))
        seen.append(mine)
