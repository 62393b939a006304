"""What a person does to one session is done to that one: every other row, of theirs and of anybody else's, stays as it is to the last byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from chatsvc.core import cancelling, endings, erasure, messages, replies, sessions, turns
from chatsvc.core.idempotency import Claim
from chatsvc.core.models import ChatMessage, ChatSession, IdempotencyKey
from chatsvc.core.models.types import now
from chatsvc.extensions import db
from tests.api.v1 import rows

# Of a session: its id, a message of the person's that is there, one that was deleted, and a reply that is being written.
Made = tuple[str, int, int, int]
Verb = Callable[[Made], object]
SAID = {"worker_id": "4b1c0a52-3c1c-4f0e-9a53-0d4b6c1b7a11", "session_id": None, "message": "More"}

ON_AN_ACTIVE_ONE: dict[str, Verb] = {
    "rename": lambda one: sessions.change("owner", one[0], title="New"),
    "describe": lambda one: sessions.change("owner", one[0], metadata={"a": 1}),
    "archive": lambda one: sessions.archive("owner", one[0]),
    "archive by a change": lambda one: sessions.change("owner", one[0], active=False),
    "remove": lambda one: sessions.remove("owner", one[0]),
    "cancel": lambda one: cancelling.cancel("owner", one[0]),
    "erase": lambda one: erasure.erase("owner", one[0]),
    "append": lambda one: messages.append("owner", one[0], role="user", content="More"),
    "edit a message": lambda one: messages.edit("owner", one[0], one[1], content="Other"),
    "remove a message": lambda one: messages.remove("owner", one[0], one[1]),
    "restore a message": lambda one: messages.restore("owner", one[0], one[2]),
    "stop a reply": lambda one: replies.ask_to_stop("owner", one[3]),
    "end a reply": lambda one: replies.end(one[0], one[3], status="complete", content="All of it", facts={}, claim=key_of(one)),
    "end an abandoned reply": lambda one: replies.end_abandoned(one[3]),
    "leave a reply open": lambda one: replies.leave_open(one[0], one[3], key_of(one)),
}
ON_ANOTHER: dict[str, tuple[str, Verb]] = {
    "resume": ("COMPLETED", lambda one: sessions.change("owner", one[0], active=True)),
    "resume by a message": ("COMPLETED", lambda one: messages.append("owner", one[0], role="user", content="More")),
    "restore": ("DELETED", lambda one: sessions.restore("owner", one[0])),
    "chat": ("QUIET", lambda one: turns.begin("owner", **SAID | {"session_id": one[0], "claim": Claim("owner", "new", "f")})),
    "chat in an archived one": ("COMPLETED", lambda one: turns.begin("owner", **SAID | {"session_id": one[0]})),
    "answer again": ("ANSWERED", lambda one: turns.begin("owner", **SAID | {"session_id": one[0], "message": None, "retry": one[3]})),
    "end an exchange": ("EXCHANGE", lambda one: endings.of_exchange(one[0], "complete", {})),
    "rename an exchange": ("EXCHANGE", lambda one: sessions.change("owner", one[0], title="New")),
    "cancel an exchange": ("EXCHANGE", lambda one: cancelling.cancel("owner", one[0])),
}
STATES = ("ACTIVE", "COMPLETED", "DELETED", "QUIET", "ANSWERED", "EXCHANGE", "CANCELLED")


def key_of(one: Made) -> Claim:
    """The key with which its reply was asked for."""
    return Claim("owner", one[0], "f")


def written(app: Flask, user_id: str, session_id: str, role: str, **values: Any) -> int:
    row = {"session_id": session_id, "user_id": user_id, "role": role, "content": f"{role} of {user_id}", "created_at": now(), **values}
    return int(rows.run(app, insert(ChatMessage).values(**row).returning(ChatMessage.id))[0][0])


def made(app: Flask, user_id: str, state: str) -> Made:
    """A session in this state, and everything that may hang on one."""
    session_id = rows.exchange(app, user_id, status="ACTIVE") if state == "EXCHANGE" else str(sessions.create(user_id, title="Trip").id)
    kept = written(app, user_id, session_id, "user")
    deleted = written(app, user_id, session_id, "user", deleted_at=now())
    ended = {"content": "", "worker_id": SAID["worker_id"], "reply_to": kept}
    running = state not in ("QUIET", "ANSWERED", "COMPLETED")
    reply = written(app, user_id, session_id, "assistant", **ended, status="streaming" if running else "complete")
    key = {"user_id": user_id, "key": session_id, "fingerprint": "f", "status": 201, "body": "{}", "session_id": session_id, "reply_id": reply}
    rows.run(app, insert(IdempotencyKey).values(**key, created_at=now()))
    if state in ("COMPLETED", "CANCELLED"):
        rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(status=state, ended_at=now()))
    if state == "DELETED":
        rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(deleted_at=now()))
    return session_id, kept, deleted, reply


def beside(app: Flask, session_id: str) -> dict[str, list[Any]]:
    """Every row that is not of this session."""
    found = {}
    for table, column in ((ChatSession, ChatSession.id), (ChatMessage, ChatMessage.session_id), (IdempotencyKey, IdempotencyKey.session_id)):
        found[table.__tablename__] = sorted(map(repr, rows.run(app, select(table.__table__).where(column != session_id))))
    return found


@pytest.mark.parametrize("name", [*ON_AN_ACTIVE_ONE, *ON_ANOTHER])
def test_nothing_beside_it_changes(context: Flask, name: str) -> None:
    state, verb = ON_ANOTHER.get(name, ("ACTIVE", ON_AN_ACTIVE_ONE.get(name)))
    assert verb is not None
    for user_id in ("owner", "stranger"):
        for other in STATES:
            made(context, user_id, other)
    one = made(context, "owner", state)
    for user_id in ("owner", "stranger"):
        for other in STATES:
            made(context, user_id, other)
    before, mine = beside(context, one[0]), rows.dump(context)
    verb(one)
    assert beside(context, one[0]) == before
    assert rows.dump(context) != mine, "it did nothing at all"


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True, scope="session")
def test_a_message_does_not_wait_for_whoever_only_refers_to_its_session(context: Flask) -> None:
    """As a row that is written beside it does, by its foreign key: each would wait for the other."""
    session_id = str(sessions.create("owner").id)
    with db.engine.begin() as connection:
        connection.execute(select(ChatSession.id).where(ChatSession.id == session_id).with_for_update(read=True, key_share=True))
        assert messages.append("owner", session_id, role="user", content="Hello").content == "Hello"
