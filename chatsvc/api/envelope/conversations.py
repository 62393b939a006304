"""`/api/conversations`: a person's exchanges with a persona, grouped."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.api.envelope.enabled import only_if_enabled
from chatsvc.core import conversations
from chatsvc.core.paging import Window

door = wire.EnvelopeDoor("envelope_conversations", __name__, url_prefix="/api/conversations")
door.before_request(only_if_enabled)


@door.route_for(
    "POST",
    "",
    Route(
        Allow.USER,
        "Begin a conversation with a persona",
        body=schemas.ConversationCreate,
        status=201,
        answer=shapes.ConversationOut,
        creates=True,
        says="Conversation created successfully",
    ),
)
def create(caller: Caller, **given: Any) -> wire.Body:
    return wire.conversation(conversations.create(caller.user_id, **given))


@door.route_for(
    "GET",
    "",
    Route(
        Allow.USER,
        "List your conversations, most recently active first",
        query=schemas.ConversationList,
        answer=shapes.ConversationsOut,
        says="Conversations retrieved successfully",
    ),
)
def index(caller: Caller, *, page: int | None, limit: int, cursor: str | None, persona_id: str | None) -> wire.Body:
    return wire.conversations(conversations.page(caller.user_id, Window(limit, ((page or 1) - 1) * limit, cursor), persona_id=persona_id))


@door.route_for(
    "GET", "/<conversation_id>", Route(Allow.USER, "Read a conversation", answer=shapes.ConversationOut, says="Conversation retrieved successfully")
)
def read(caller: Caller, *, conversation_id: str) -> wire.Body:
    return wire.conversation(conversations.get(caller.user_id, conversation_id))


_rename = Route(Allow.USER, "Rename a conversation", body=schemas.TitleChange, answer=shapes.ConversationOut, says="Conversation updated successfully")


@door.route_for("PUT", "/<conversation_id>", _rename)
def rename(caller: Caller, *, conversation_id: str, title: str | None) -> wire.Body:
    return wire.conversation(conversations.rename(caller.user_id, conversation_id, title=title))


@door.route_for("PUT", "/<conversation_id>/title", _rename)
def rename_title(caller: Caller, *, conversation_id: str, title: str | None) -> wire.Body:
    return wire.conversation(conversations.rename(caller.user_id, conversation_id, title=title))


@door.route_for(
    "GET",
    "/<conversation_id>/messages",
    Route(
        Allow.USER,
        "List what was said in all exchanges of a conversation, oldest first",
        query=schemas.MessageList,
        answer=shapes.MessagesOut,
        says="Messages retrieved successfully",
    ),
)
def said(caller: Caller, *, conversation_id: str, page: int | None, limit: int, cursor: str | None, order: str) -> wire.Body:
    window = Window(limit, ((page or 1) - 1) * limit, cursor)
    return wire.messages(conversations.messages(caller.user_id, conversation_id, window, newest_first=order == "desc"))


@door.route_for(
    "GET",
    "/<conversation_id>/chat-sessions",
    Route(
        Allow.USER,
        "List the exchanges of a conversation: the active ones, or those of `status`",
        query=schemas.ExchangeList,
        answer=shapes.AllSessionsOut,
        says="Sessions retrieved successfully",
    ),
)
def exchanges(caller: Caller, *, conversation_id: str, status: str, limit: int, offset: int | None, cursor: str | None) -> wire.Body:
    window = Window(limit, offset or 0, cursor)
    found = conversations.exchanges(caller.user_id, conversation_id, window, status=None if status == "ALL" else status)
    return wire.sessions(found, by_offset=True)
