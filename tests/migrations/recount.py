"""What every session ought to show, counted again from its messages in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.migrations.raw import Raw


class SessionRow(NamedTuple):
    id: str
    title: str | None
    title_from: str
    title_message_id: int | None
    last_message: str | None
    last_message_id: int | None
    last_message_at: Any
    newest_message_id: int | None
    message_count: int
    updated_at: Any


class MessageRow(NamedTuple):
    id: int
    session_id: str
    role: str
    status: str
    content: str
    created_at: Any
    deleted_at: Any

    @property
    def live(self) -> bool:
        return self.deleted_at is None


@dataclass(frozen=True)
class State:
    """All sessions and messages at one moment, and the database's clock then."""

    at: Any
    sessions: dict[str, SessionRow]
    messages: dict[int, MessageRow]


def look(raw: Raw) -> State:
    sessions = [SessionRow(*row) for row in raw.run(f"SELECT {', '.join(SessionRow._fields)} FROM chat_sessions ORDER BY created_at, id")]
    messages = [MessageRow(*row) for row in raw.run(f"SELECT {', '.join(MessageRow._fields)} FROM chat_messages ORDER BY id")]
    return State(raw.one(f"SELECT {raw.now}"), {row.id: row for row in sessions}, {row.id: row for row in messages})


def breaches(state: State, own_titles: Mapping[str, str | None] | None = None) -> list[str]:
    """What the sessions show and their messages contradict; `own_titles` are those that a person or a model gave."""
    messages = defaultdict(list)
    for message in state.messages.values():
        messages[message.session_id].append(message)
    orphans = [f"messages of {session_id}, which is gone" for session_id in messages.keys() - state.sessions.keys()]
    return orphans + [wrong for session in state.sessions.values() for wrong in _of(session, messages[session.id], own_titles or {})]


def _of(session: SessionRow, messages: list[MessageRow], own_titles: Mapping[str, str | None]) -> list[str]:
    live = [message for message in messages if message.live]
    first = next((message for message in live if message.role == "user"), None)
    shown = next((message for message in reversed(live) if message.status != "streaming" and message.content), None)
    title = first.content[:50] if first else None
    expected = {
        "message_count": len(live),
        "title": title if session.title_from == "message" else own_titles.get(session.id, session.title),
        "title_message_id": first.id if first else None,
        "last_message": shown.content[:100] if shown else None,
        "last_message_id": shown.id if shown else None,
        "last_message_at": live[-1].created_at if live else None,
        "newest_message_id": live[-1].id if live else None,
    }
    return [f"{name} of {session.id} is {getattr(session, name)!r}, not {value!r}" for name, value in expected.items() if getattr(session, name) != value]


def moved_wrongly(before: State, after: State, *, at_once: bool = True) -> list[str]:
    """Sessions whose `updated_at` went back, or stayed behind a change of their live messages; or, if all was one statement, ran ahead of it."""
    wrong = []
    for session_id in before.sessions.keys() & after.sessions.keys():
        old, new = before.sessions[session_id].updated_at, after.sessions[session_id].updated_at
        floor, exact = _floor(before, after, session_id)
        if new < old or new < floor or (at_once and exact and new != max(old, floor)):
            wrong.append(f"updated_at of {session_id} went from {old} to {new}, and is to be at least {floor}")
    return wrong


def _floor(before: State, after: State, session_id: str) -> tuple[Any, bool]:
    """The earliest `updated_at` that the changes allow, and whether it must be just that."""
    floor, exact = before.sessions[session_id].updated_at, False
    for message_id in before.messages.keys() | after.messages.keys():
        old, new = before.messages.get(message_id), after.messages.get(message_id)
        if old == new or session_id not in (getattr(old, "session_id", None), getattr(new, "session_id", None)):
            continue
        if old is None and new is not None:
            if new.live:
                floor, exact = max(floor, new.created_at), True
        elif (old is not None and old.live) or (new is not None and new.live):
            return max(floor, before.at), False
    return floor, exact
