"""`/api/v1/chat-sessions/{id}/messages`: the messages of one session."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.v1 import schemas, wire
from chatsvc.core import messages
from chatsvc.core.paging import Window

door = Door("v1_messages", __name__, url_prefix="/api/v1/chat-sessions/<session_id>/messages")


@door.route_for("POST", "", Route(Allow.USER, "Append a message", body=schemas.MessageCreate, status=201, answer=schemas.MessageOut, creates=True, along=True))
def append(caller: Caller, *, session_id: str, message_type: str, **given: Any) -> wire.Body:
    return wire.message(messages.append(caller.user_id, session_id, role=message_type, **given))


@door.route_for("GET", "", Route(Allow.USER, "List a session's messages, oldest first", query=schemas.MessageList, answer=schemas.MessagesOut, along=True))
def index(caller: Caller, *, session_id: str, page: int | None, page_size: int, cursor: str | None, message_type: str | None, order: str) -> wire.Body:
    window = Window(page_size, ((page or 1) - 1) * page_size, cursor)
    return wire.messages(messages.page(caller.user_id, session_id, role=message_type, newest_first=order == "desc", window=window))


@door.route_for("PUT", "/<message_id>", Route(Allow.USER, "Edit a message", body=schemas.MessageEdit, answer=schemas.MessageOut))
def edit(caller: Caller, *, session_id: str, message_id: int, content: str) -> wire.Body:
    return wire.message(messages.edit(caller.user_id, session_id, message_id, content=content))
