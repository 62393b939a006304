"""The columns that answers are made of, and rows nested as JSON so that what belongs together is read in one statement."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BindParameter, ColumnElement, Select, Text, case, cast, func, literal_column, select, tuple_, type_coerce

from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import Key, Uuid, pieces_joined
from chatsvc.core.rows import AnyRow, parsed
from chatsvc.extensions import db

SESSION = (
    ChatSession.id,
    ChatSession.user_id,
    ChatSession.title,
    ChatSession.agent_type,
    ChatSession.status,
    ChatSession.meta.label("meta"),
    ChatSession.message_count,
    ChatSession.last_message,
    ChatSession.last_message_at,
    ChatSession.created_at,
    ChatSession.updated_at,
    ChatSession.ended_at,
    ChatSession.deleted_at,
    ChatSession.persona_id,
    ChatSession.conversation_id,
    ChatSession.error_message,
    ChatSession.error_kind,
)
MESSAGE = (
    ChatMessage.id,
    ChatMessage.session_id,
    ChatMessage.user_id,
    ChatMessage.role,
    ChatMessage.agent_type,
    ChatMessage.content,
    ChatMessage.meta.label("meta"),
    ChatMessage.status,
    ChatMessage.created_at,
    ChatMessage.edited_at,
    ChatMessage.deleted_at,
)
# Of a reply that is being written, the text so far stands in its pieces.
_TEXT_SO_FAR = case((ChatMessage.status == "streaming", func.coalesce(pieces_joined(ChatMessage.id), "")), else_=ChatMessage.content)
MESSAGE_SO_FAR = tuple(_TEXT_SO_FAR.label("content") if column is ChatMessage.content else column for column in MESSAGE)


class MessageView(NamedTuple):
    """A message read through JSON; the same names and values as a row of MESSAGE."""

    id: int | None
    session_id: str
    user_id: str
    role: str
    agent_type: str | None
    content: str
    meta: dict[str, Any]
    status: str
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


def unkept_message(session_id: str, role: str, content: str, status: str = "complete", meta: dict[str, Any] | None = None) -> MessageView:
    """A message of a service that keeps none: it has no id."""
    return MessageView(None, session_id, "", role, None, content, meta or {}, status, datetime.now(UTC), None, None)


def in_session(
    session_id: str | BindParameter[str], *, newest_first: bool, after: int | BindParameter[int] | None = None, deleted_too: bool = False
) -> Select[Any]:
    """The messages of one session, the live ones or all, in order (from beyond a message on), for a LIMIT to cut."""
    session, order = ChatMessage.session_id, (ChatMessage.session_id, ChatMessage.id)
    if db.engine.dialect.name == "sqlite":
        bounds = [session == session_id, *([] if after is None else [ChatMessage.id < after if newest_first else ChatMessage.id > after])]
    elif after is None:
        # A range of one session and not an equality: there PostgreSQL would know that the order by id alone will do, and in a
        # database of few long sessions walk the primary key, through everybody's messages. Nor is the owner named: PostgreSQL
        # would expect one row, and sort all of a long session.
        bounds = [session >= session_id, session <= session_id]
    else:
        here, there = tuple_(*order), tuple_(type_coerce(session_id, Uuid), type_coerce(after, Key))
        bounds = [session >= session_id, here < there] if newest_first else [here > there, session <= session_id]
    messages = select(*MESSAGE_SO_FAR).where(*bounds, *([] if deleted_too else [ChatMessage.deleted_at.is_(None)]))
    return messages.order_by(*(column.desc() for column in order)) if newest_first else messages.order_by(*order)


def in_conversation(conversation_id: str, *, newest_first: bool) -> Select[Any]:
    """The live messages of all exchanges of one conversation, in order, for a LIMIT to cut."""
    gone = select(ChatSession.id).where(ChatSession.id == ChatMessage.session_id, ChatSession.deleted_at.is_not(None)).exists()
    messages = select(*MESSAGE_SO_FAR).where(ChatMessage.conversation_id == conversation_id, ChatMessage.deleted_at.is_(None), ~gone)
    order = (ChatMessage.conversation_id, ChatMessage.id)
    return messages.order_by(*(column.desc() for column in order)) if newest_first else messages.order_by(*order)


def messages_as_json(messages: Select[Any]) -> ColumnElement[str]:
    """A column that holds the rows of `messages` (a SELECT of MESSAGE) as JSON text, in their order."""
    rows = messages.subquery("rows")
    if db.engine.dialect.name == "sqlite":
        fields = [func.json(rows.c.meta) if name == "meta" else column for name, column in rows.c.items()]
        listed: ColumnElement[Any] = func.json_group_array(func.json_array(*fields))
    else:
        listed = cast(func.coalesce(func.json_agg(func.json_build_array(*rows.c)), literal_column("'[]'::json")), Text)
    return select(listed).select_from(rows).scalar_subquery()


def messages_from_json(text: str) -> list[MessageView]:
    return [MessageView._make((*row[:8], _moment(row[8]), _moment_or_none(row[9]), _moment_or_none(row[10]))) for row in parsed(text)]


def messages_to_json(*rows: AnyRow | MessageView) -> str:
    """Rows of MESSAGE as messages_from_json reads them."""
    return orjson.dumps([tuple(row)[: len(MESSAGE)] for row in rows]).decode()


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _moment_or_none(value: str | None) -> datetime | None:
    return None if value is None else _moment(value)
