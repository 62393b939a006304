"""What a test looks up in the tables, or puts there because no route of this face does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import insert, select, text, update
from sqlalchemy.sql.base import Executable

from chatsvc.core import sessions, verify
from chatsvc.core.models import ChatMessage, ChatSession, Conversation, IdempotencyKey, Persona
from chatsvc.core.models.types import now
from chatsvc.extensions import db
from tests.factories import unknown_id
from tests.watching import statements_to

KEPT = (ChatSession, ChatMessage, IdempotencyKey)


def run(app: Flask, statement: Executable | str, **values: Any) -> list[Any]:
    """Carries out one statement; the rows it gives, if any."""
    with app.app_context(), db.engine.begin() as connection:
        result = connection.execute(text(statement) if isinstance(statement, str) else statement, values)
        return list(result.all()) if result.returns_rows else []


def dump(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that a caller can cause."""
    return {table.__tablename__: sorted((tuple(row) for row in run(app, select(table.__table__))), key=repr) for table in KEPT}


def count(app: Flask, table: str) -> int:
    amount: int = run(app, f"SELECT count(*) FROM {table}")[0][0]
    return amount


def of_session(app: Flask, session_id: str) -> Any:
    """The row of a session, with the columns that no face shows."""
    return run(app, select(ChatSession.__table__).where(ChatSession.id == session_id))[0]


def set_updated_at(app: Flask, moment: datetime, *session_ids: str) -> None:
    run(app, update(ChatSession).where(ChatSession.id.in_(session_ids)).values(updated_at=moment))


def soft_delete(app: Flask, user_id: str, session_id: str) -> None:
    with app.app_context():
        sessions.remove(user_id, session_id)


def exchange(app: Flask, user_id: str = "owner", *, status: str = "COMPLETED", agent_type: str | None = None) -> str:
    """One exchange of a new conversation with a new persona; its id."""
    persona_id, conversation_id, session_id = unknown_id(), unknown_id(), unknown_id()
    at = now()
    run(app, insert(Persona).values(id=persona_id, name="Echo", kind="echo", is_active=True, created_at=at, updated_at=at))
    run(app, insert(Conversation).values(id=conversation_id, user_id=user_id, persona_id=persona_id, created_at=at, updated_at=at))
    session = {
        "id": session_id,
        "user_id": user_id,
        "conversation_id": conversation_id,
        "status": status,
        "agent_type": agent_type,
        "created_at": at,
        "updated_at": at,
    }
    run(app, insert(ChatSession).values(**session, ended_at=None if status == "ACTIVE" else at))
    return session_id


def breaches(app: Flask) -> list[verify.Breach]:
    """What `flask verify` would report."""
    with app.app_context():
        return list(verify.breaches())


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL that this thread sends inside the block; not what begins or ends a transaction."""
    seen: list[str] = []

    def note(statement: str, values: object, prepared: object) -> None:
        if statement.split(maxsplit=1)[0].upper() not in ("BEGIN", "COMMIT", "SET", "ROLLBACK"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    with statements_to(engine, note):
        yield seen
