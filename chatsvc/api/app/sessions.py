"""`/chat/sessions`: the chats of the caller, to list, rename, delete and bring back."""

from __future__ import annotations

from typing import Any

from flask import Response

from chatsvc.api.app import schemas, wire
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.core import sessions
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters

door = Door("app_sessions", __name__, url_prefix="/chat/sessions")


@door.route_for("POST", "", Route(Allow.USER, "Create a chat", body=schemas.SessionCreate, status=201, answer=schemas.SessionOut, creates=True))
def create(caller: Caller, *, title: str | None) -> wire.Body:
    return wire.session(sessions.create(caller.user_id, title=title))


@door.route_for("GET", "", Route(Allow.USER, "List your chats, most recently active first", query=schemas.SessionList, answer=schemas.SessionOut, along=True))
def index(caller: Caller, *, limit: int, cursor: str | None, **filters: Any) -> Response:
    return wire.listed(wire.session, sessions.page(caller.user_id, Filters(**filters), Window(limit, cursor=cursor)))


@door.route_for("GET", "/<session_id>", Route(Allow.USER, "Read a chat", answer=schemas.SessionOut, along=True))
def read(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.session(sessions.get(caller.user_id, session_id))


@door.route_for("PUT", "/<session_id>", Route(Allow.USER, "Rename a chat", body=schemas.SessionRename, answer=schemas.SessionOut))
def rename(caller: Caller, *, session_id: str, title: str | None) -> wire.Body:
    return wire.session(sessions.change(caller.user_id, session_id, title=title))


@door.route_for("DELETE", "/<session_id>", Route(Allow.USER, "Delete a chat; it can be restored for a while", status=204))
def remove(caller: Caller, *, session_id: str) -> None:
    sessions.remove(caller.user_id, session_id)


@door.route_for("POST", "/<session_id>/restore", Route(Allow.USER, "Bring a deleted chat back", answer=schemas.SessionOut))
def restore(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.session(sessions.restore(caller.user_id, session_id))
