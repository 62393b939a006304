"""`/api/chat-sessions`: the caller's sessions."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.core import cancelling, erasure, messages, sessions
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters

door = wire.EnvelopeDoor("envelope_sessions", __name__, url_prefix="/api/chat-sessions")


@door.route_for(
    "POST",
    "",
    Route(
        Allow.USER,
        "Create a session",
        body=schemas.SessionCreate,
        status=201,
        answer=shapes.SessionOut,
        creates=True,
        says="Session created successfully",
    ),
)
def create(caller: Caller, **given: Any) -> wire.Body:
    return wire.session(sessions.create(caller.user_id, **given))


@door.route_for(
    "GET",
    "",
    Route(
        Allow.USER,
        "List your sessions, most recently active first",
        query=schemas.SessionList,
        answer=shapes.SessionsOut,
        says="Sessions retrieved successfully",
        along=True,
    ),
)
def index(caller: Caller, *, page: int | None, limit: int, offset: int | None, cursor: str | None, **given: Any) -> wire.Body:
    window = Window(limit, ((page or 1) - 1) * limit if offset is None else offset, cursor)
    asked_for = offset is not None or any(given[name] is not None for name in ("status", "persona_id", "conversation_id"))
    filters = sessions.as_begun(caller.user_id, Filters(**given, exchanges=asked_for), window)
    return wire.sessions(sessions.page(caller.user_id, filters, window), by_offset=filters.exchanges)


@door.route_for("GET", "/<session_id>", Route(Allow.USER, "Read a session", answer=shapes.SessionOut, says="Session retrieved successfully", along=True))
def read(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.session(sessions.get(caller.user_id, session_id))


@door.route_for(
    "GET",
    "/<session_id>/messages",
    Route(
        Allow.USER,
        "List a session's messages, oldest first",
        query=schemas.MessageList,
        answer=shapes.MessagesOut,
        says="Messages retrieved successfully",
        along=True,
    ),
)
def said(caller: Caller, *, session_id: str, page: int | None, limit: int, cursor: str | None, order: str) -> wire.Body:
    window = Window(limit, ((page or 1) - 1) * limit, cursor)
    return wire.messages(messages.page(caller.user_id, session_id, role=None, newest_first=order == "desc", window=window))


@door.route_for(
    "PUT",
    "/<session_id>/title",
    Route(Allow.USER, "Rename a session", body=schemas.TitleChange, answer=shapes.SessionOut, says="Session title updated successfully"),
)
def rename(caller: Caller, *, session_id: str, title: str | None) -> wire.Body:
    return wire.session(sessions.change(caller.user_id, session_id, title=title))


@door.route_for(
    "PUT",
    "/<session_id>/meta",
    Route(Allow.USER, "Replace a session's metadata", body=schemas.MetaChange, answer=shapes.SessionOut, says="Session metadata updated successfully"),
)
def describe(caller: Caller, *, session_id: str, metadata: dict[str, Any]) -> wire.Body:
    return wire.session(sessions.change(caller.user_id, session_id, metadata=metadata))


@door.route_for(
    "DELETE",
    "/<session_id>",
    Route(Allow.USER, "Erase a session with all its messages, for good", answer=shapes.ErasedOut, says="Session deleted successfully"),
)
def erase(caller: Caller, *, session_id: str) -> wire.Body:
    return {"sessionId": session_id, "deletedMessages": erasure.erase(caller.user_id, session_id)}


@door.route_for(
    "PATCH",
    "/<session_id>/cancel",
    Route(Allow.USER, "Cancel an active session; its running reply is stopped", answer=shapes.SessionOut, says="Session cancelled successfully"),
)
def cancel(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.session(cancelling.cancel(caller.user_id, session_id))
