"""`/chat/sessions/{id}/messages`: the messages of one chat, to write, edit, delete and bring back."""

from __future__ import annotations

from flask import Response

from chatsvc.api.app import schemas, wire
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.core import messages
from chatsvc.core.paging import Window

door = Door("app_messages", __name__, url_prefix="/chat/sessions/<session_id>/messages")


@door.route_for("POST", "", Route(Allow.USER, "Send a message", body=schemas.MessageCreate, status=201, answer=schemas.MessageOut, creates=True, along=True))
def append(caller: Caller, *, session_id: str, role: str, content: str) -> wire.Body:
    return wire.message(messages.append(caller.user_id, session_id, role=role, content=content))


@door.route_for("GET", "", Route(Allow.USER, "List a chat's messages, oldest first", query=schemas.MessageList, answer=schemas.MessageOut, along=True))
def index(caller: Caller, *, session_id: str, limit: int, cursor: str | None, order: str) -> Response:
    found = messages.page(caller.user_id, session_id, role=None, newest_first=order == "desc", window=Window(limit, cursor=cursor))
    return wire.listed(wire.message, found)


@door.route_for("PUT", "/<message_id>", Route(Allow.USER, "Edit a message", body=schemas.MessageEdit, answer=schemas.MessageOut))
def edit(caller: Caller, *, session_id: str, message_id: int, content: str) -> wire.Body:
    return wire.message(messages.edit(caller.user_id, session_id, message_id, content=content))


@door.route_for("DELETE", "/<message_id>", Route(Allow.USER, "Delete a message; it can be restored for a while", status=204))
def remove(caller: Caller, *, session_id: str, message_id: int) -> None:
    messages.remove(caller.user_id, session_id, message_id)


@door.route_for("POST", "/<message_id>/restore", Route(Allow.USER, "Bring a deleted message back", answer=schemas.MessageOut))
def restore(caller: Caller, *, session_id: str, message_id: int) -> wire.Body:
    return wire.message(messages.restore(caller.user_id, session_id, message_id))
