"""What is in the database, read past the service: by the driver, on either engine."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2

from chatsvc.core import acting
from tests.faults.history import digest

MESSAGES = "SELECT id, session_id, user_id, role, content, created_at, deleted_at, status FROM chat_messages"
SESSIONS = "SELECT id, user_id, title, last_message, last_message_at, message_count, metadata FROM chat_sessions"


@dataclass(frozen=True, slots=True)
class Message:
    id: int
    session: str
    user: str
    role: str
    content: str
    sha256: str
    created_at: object
    whole: bool  # neither removed nor unfinished


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    user: str
    title: str | None
    last_message: str | None
    last_message_at: object
    message_count: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    sessions: dict[str, Session]
    messages: dict[str, list[Message]]  # by session, in the order of their ids


@contextlib.contextmanager
def connected(database_url: str) -> Iterator[Any]:
    """A connection of the driver's own; SQLite's to a file that may be in use."""
    scheme, _, rest = database_url.partition("://")
    connection: Any = sqlite3.connect(rest[1:], timeout=30) if scheme == "sqlite" else psycopg2.connect(f"postgresql://{rest}")
    with contextlib.closing(connection):
        if scheme != "sqlite":
            connection.cursor().execute(f"SET {acting.SETTING} = '{acting.EVERYBODY}'")
            connection.commit()
        yield connection


def read(database_url: str, *, shared: bool = False) -> Rows:
    """Everything, as of one moment; where others have rows as well, that of the ledger's users alone."""
    users = " WHERE user_id LIKE 'user-%'" if shared else ""
    with connected(database_url) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN" if isinstance(connection, sqlite3.Connection) else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(SESSIONS + users)
        sessions = {str(id_): Session(str(id_), user, title, last, at, count, _tag(meta)) for id_, user, title, last, at, count, meta in cursor.fetchall()}
        cursor.execute(f"{MESSAGES}{users} ORDER BY id")
        messages: dict[str, list[Message]] = {session: [] for session in sessions}
        for id_, session, user, role, content, created_at, deleted_at, status in cursor.fetchall():
            row = Message(id_, str(session), user, role, content, digest(content), created_at, deleted_at is None and status == "complete")
            messages.setdefault(row.session, []).append(row)
        return Rows(sessions, messages)


def _tag(metadata: Any) -> str | None:
    found = json.loads(metadata) if isinstance(metadata, str | bytes) else metadata
    tag = (found or {}).get("ledger")
    return None if tag is None else str(tag)
