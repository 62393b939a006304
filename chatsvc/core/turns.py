"""A turn of a chat: the question, its key and the reply's row are committed together, before anybody is asked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ScalarSelect, Select, bindparam, func, insert, select, text, update
from sqlalchemy import Connection as Unit
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import ReturningInsert

from chatsvc.core import cap, idempotency, personas, replies, sessions
from chatsvc.core.database import RunAgain, read, unit, within
from chatsvc.core.errors import Conflict, NotFound, TooMany
from chatsvc.core.idempotency import Claim
from chatsvc.core.models import ChatMessage, ChatSession, IdempotencyKey, Persona
from chatsvc.core.models.types import now
from chatsvc.core.prepared import prepared
from chatsvc.core.read_models import MESSAGE, MESSAGE_SO_FAR, messages_from_json
from chatsvc.core.rows import AnyRow, changed, one
from chatsvc.core.sessions import KEEP, Keep
from chatsvc.extensions import settings


class AlreadyRunning(Conflict):
    """One reply at a time per session."""

    def __init__(self, reply_id: int) -> None:
        super().__init__("A reply is being written in this session already", reply_id=reply_id)


@dataclass(frozen=True, slots=True)
class Begun:
    """A question and the reply to it; `again` when a retry found them there."""

    session_id: str
    question: Any
    reply: Any
    again: bool = False
    answered: int | None = None
    is_first: bool = False  # nothing was said in this session before
    persona_id: str | None = None
    conversation_id: str | None = None


def begin(user_id: str, **given: Any) -> Begun:
    """Commits the question, its key and the reply's row together, before anybody is asked; AlreadyRunning when another was quicker."""
    try:
        return _begin(user_id, **given)
    except IntegrityError:
        # Two at once both saw nothing running; the index let one of them through.
        session_id = given["session_id"] or (replies.get(user_id, given["retry"]).session_id if given.get("retry") else None)
        running = read(select(ChatMessage.id).where(ChatMessage.session_id == session_id, ChatMessage.user_id == user_id, ChatMessage.status == "streaming"))
        if not running:
            return _begin(user_id, **given)
        raise AlreadyRunning(running[0].id) from None


@unit
def _begin(
    tx: Unit,
    user_id: str,
    *,
    worker_id: str,
    session_id: str | None,
    message: str | None,
    retry: int | None = None,
    agent_type: str | None = None,
    persona_id: str | Keep | None = KEEP,
    metadata: dict[str, Any] | None = None,
    claim: Claim | None = None,
) -> Begun:
    if claim is not None and not idempotency.take(tx, claim):
        return begun_before(tx, claim)
    if isinstance(persona_id, str):
        personas.check_active(persona_id)
    answered = _answered_before(tx, user_id, session_id, retry) if retry is not None else None
    session = _opened(tx, user_id, answered.session_id if answered else session_id, agent_type)
    _nothing_else_runs(session)
    persona = _answered_by(tx, session, persona_id)
    if answered:
        question = _question_of(tx, answered)
        changed(tx, update(ChatMessage).where(ChatMessage.id == answered.id).values(deleted_at=now()))
    else:
        question = insert_message(tx, session, role="user", content=message, metadata=metadata or {})
    reply = insert_message(
        tx,
        session,
        role="assistant",
        content="",
        status="streaming",
        agent_type=agent_type or session.agent_type,
        worker_id=worker_id,
        reply_to=question.id,
    )
    if claim is not None:
        changed(tx, update(IdempotencyKey).where(*idempotency.is_claim(claim)).values(reply_id=reply.id, session_id=session.id))
    return Begun(session.id, question, reply, persona_id=persona, is_first=session.newest_message_id is None)


def _answered_by(tx: Unit, session: AnyRow, wanted: str | Keep | None) -> str | None:
    """The persona that answers from now on: the one that is named now, or else the one that was named before."""
    if wanted is not KEEP:
        if wanted != session.persona_id:
            changed(tx, update(ChatSession).where(ChatSession.id == session.id).values(persona_id=wanted))
        return wanted
    before: str | None = session.persona_id
    if before and not read(select(Persona.id).where(Persona.id == before, Persona.is_active)):
        raise Conflict("The persona that answers in this session is not active any more; name another, or null for none")
    return before


@unit
def open_session(tx: Unit, user_id: str, session_id: str | None, agent_type: str | None, persona_id: str | Keep | None) -> AnyRow:
    """The session that a message goes to, active; made when there is none of this id."""
    if isinstance(persona_id, str):
        personas.check_active(persona_id)
    session = _opened(tx, user_id, session_id, agent_type)
    _answered_by(tx, session, persona_id)
    return _locked(tx, user_id, session.id)


def _opened(tx: Unit, user_id: str, session_id: str | None, agent_type: str | None) -> AnyRow:
    """The session, active, its row locked; made when there is none of this id."""
    if session_id is not None:
        if tx.dialect.name == "postgresql":
            # Two who bring the same new id meet here and not at the primary key.
            tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"session:{session_id}"})
        found = tx.execute(
            select(ChatSession.user_id, ChatSession.agent_type, ChatSession.conversation_id, ChatSession.deleted_at, ChatSession.status).where(
                ChatSession.id == session_id
            )
        ).one_or_none()
        if found is None and uuid.UUID(session_id).version != 4:
            raise NotFound("Session")
        if found is not None:
            _may_chat(found, user_id)
            if found.status != "ACTIVE":
                cap.lock(tx, user_id, found.agent_type)
                sessions.resume_locked(tx, user_id, session_id, found.agent_type)
            return _locked(tx, user_id, session_id)
    made = sessions.create(user_id, agent_type=agent_type, session_id=session_id)
    return _locked(tx, user_id, made.id)


def _may_chat(session: AnyRow, user_id: str) -> None:
    if session.user_id != user_id or session.deleted_at is not None:
        raise NotFound("Session")
    if session.conversation_id is not None:
        raise Conflict("This session is one exchange of a conversation; send a new message to the conversation instead")


@prepared
def _lock() -> Select[Any]:
    user_id: BindParameter[str] = bindparam("user_id")
    session_id: BindParameter[str] = bindparam("session_id")
    running = select(ChatMessage.id).where(ChatMessage.session_id == session_id, ChatMessage.status == "streaming").scalar_subquery()
    columns = (ChatSession.id, ChatSession.user_id, ChatSession.agent_type, ChatSession.persona_id, ChatSession.status, ChatSession.newest_message_id)
    found: Select[Any] = select(*columns, running.label("running"), written_for(user_id).label("running_anywhere"))
    return found.where(*sessions.owned(user_id, session_id)).with_for_update(key_share=True, of=ChatSession)


def _locked(tx: Unit, user_id: str, session_id: str) -> AnyRow:
    """The session's row, locked, and what else is being written for this user."""
    found = one(within(tx, _lock(), {"user_id": user_id, "session_id": session_id}))
    if found is None:
        raise NotFound("Session")
    if found.status != "ACTIVE":
        # It has ended since it was looked at. To resume it the cap's lock comes before the row's, so all of it begins anew.
        raise RunAgain
    return found


def written_for(user_id: str | BindParameter[str]) -> ScalarSelect[int]:
    """How many replies are being written for this user; those that somebody else's callback will bring are not written here."""
    mine = (ChatMessage.user_id == user_id, ChatMessage.status == "streaming", ChatMessage.worker_id.is_not(None))
    return select(func.count()).where(*mine).scalar_subquery()


def _nothing_else_runs(session: AnyRow) -> None:
    if session.running is not None:
        raise AlreadyRunning(session.running)
    check_room(session)


def check_room(session: AnyRow) -> None:
    """TooMany when as many replies as may be are being written for this user."""
    if settings().ratelimit_enabled and session.running_anywhere >= settings().streams_per_user:
        raise TooMany(f"At most {settings().streams_per_user} replies at once", retry_after=5)


@prepared
def _insert(*names: str) -> ReturningInsert[Any]:
    given: dict[str, Any] = {name: bindparam(f"the_{name}") for name in names}
    return insert(ChatMessage).values(created_at=now(), **given).returning(*MESSAGE)


def insert_message(tx: Unit, session: AnyRow, /, **values: Any) -> AnyRow:
    values = {"session_id": session.id, "user_id": session.user_id, **values}
    return within(tx, _insert(*values), {f"the_{name}": value for name, value in values.items()})[0]


def _answered_before(tx: Unit, user_id: str, session_id: str | None, reply_id: int) -> AnyRow:
    """The reply that is to be given anew."""
    found = tx.execute(
        select(ChatMessage.id, ChatMessage.session_id, ChatMessage.reply_to, ChatMessage.status, ChatMessage.deleted_at).where(
            ChatMessage.id == reply_id, ChatMessage.user_id == user_id, ChatMessage.role == "assistant"
        )
    ).one_or_none()
    if found is None or (session_id is not None and found.session_id != session_id):
        raise NotFound("Reply")
    if found.status == "streaming":
        raise AlreadyRunning(found.id)
    if found.deleted_at is not None:
        # Sent twice: the first is being answered, and its reply stands in this one's place.
        running = tx.execute(select(ChatMessage.id).where(ChatMessage.session_id == found.session_id, ChatMessage.status == "streaming")).scalar_one_or_none()
        raise NotFound("Reply") if running is None else AlreadyRunning(running)
    return found


def _question_of(tx: Unit, reply: AnyRow) -> AnyRow:
    """What the reply answered; for one that was appended, the person's last message before it."""
    asked = select(*MESSAGE).where(ChatMessage.session_id == reply.session_id, ChatMessage.role == "user", ChatMessage.deleted_at.is_(None))
    asked = asked.where(ChatMessage.id == reply.reply_to) if reply.reply_to else asked.where(ChatMessage.id < reply.id).order_by(ChatMessage.id.desc()).limit(1)
    found = tx.execute(asked).one_or_none()
    if found is None:
        raise Conflict("The message that this reply answered is no longer there")
    return found


def begun_before(tx: Unit, claim: Claim) -> Begun:
    """What this key stands for: as it was when the reply ended, or as far as it has come."""
    first = idempotency.first_request(tx, claim)
    there = (
        tx.execute(select(ChatSession.id).where(ChatSession.id == first.session_id, ChatSession.deleted_at.is_(None))).one_or_none()
        if first.session_id
        else None
    )
    if there is None:
        raise NotFound("Session")  # gone since, and its answers with it
    if first.body is not None:
        question, reply = messages_from_json(first.body)
        return Begun(first.session_id, question, reply, again=True, answered=first.status)
    row = tx.execute(select(*MESSAGE_SO_FAR, ChatMessage.reply_to).where(ChatMessage.id == first.reply_id)).one_or_none()
    asked = tx.execute(select(*MESSAGE).where(ChatMessage.id == row.reply_to)).one_or_none() if row else None
    if row is None or asked is None:
        raise NotFound("Session")
    return Begun(first.session_id, asked, row, again=True, answered=first.status)
