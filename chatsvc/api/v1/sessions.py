"""`/api/v1/chat-sessions`: the sessions of the caller."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.v1 import schemas, wire
from chatsvc.core import sessions
from chatsvc.core.paging import Window
from chatsvc.core.sessions import KEEP, Filters

door = Door("v1_sessions", __name__, url_prefix="/api/v1/chat-sessions")


@door.route_for("POST", "", Route(Allow.USER, "Create a session", body=schemas.SessionCreate, status=201, answer=schemas.SessionOut, creates=True))
def create(caller: Caller, *, is_active: bool, **given: Any) -> wire.Body:
    return wire.session(sessions.create(caller.user_id, active=is_active, **given))


@door.route_for(
    "GET", "", Route(Allow.USER, "List your sessions, most recently active first", query=schemas.SessionList, answer=schemas.SessionsOut, along=True)
)
def index(caller: Caller, *, page: int | None, page_size: int, cursor: str | None, is_active: bool | None, **filters: Any) -> wire.Body:
    window = Window(page_size, ((page or 1) - 1) * page_size, cursor)
    return wire.sessions(sessions.page(caller.user_id, Filters(active=is_active, **filters), window))


@door.route_for(
    "GET", "/<session_id>", Route(Allow.USER, "Read a session and its newest messages", query=schemas.SessionRead, answer=schemas.ThreadOut, along=True)
)
def read(caller: Caller, *, session_id: str, include_messages: bool, message_limit: int) -> wire.Body:
    if not include_messages:
        return wire.session(sessions.get(caller.user_id, session_id))
    return wire.thread(sessions.thread(caller.user_id, session_id, message_limit=message_limit))


@door.route_for(
    "PUT",
    "/<session_id>",
    Route(Allow.USER, "Rename, archive or resume a session, or replace its metadata", body=schemas.SessionChange, answer=schemas.SessionOut),
)
def change(caller: Caller, *, session_id: str, **given: Any) -> wire.Body:
    return wire.session(
        sessions.change(caller.user_id, session_id, title=given.get("title", KEEP), metadata=given.get("metadata", KEEP), active=given.get("is_active", KEEP)),
    )


@door.route_for("DELETE", "/<session_id>", Route(Allow.USER, "Archive a session; it stays readable", answer=schemas.SessionOut))
def archive(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.session(sessions.archive(caller.user_id, session_id))
