"""`/api/v1/chat/sessions`: the sidebar's list."""

from __future__ import annotations

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.v1 import schemas, wire
from chatsvc.core import acting, audit, sessions
from chatsvc.core.errors import Forbidden
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters

door = Door("v1_chat_sessions", __name__, url_prefix="/api/v1/chat/sessions")
MESSAGES = 200


@door.route_for("GET", "", Route(Allow.USER, "List your chats, most recently active first", query=schemas.SummaryList, answer=schemas.SummariesOut))
def index(caller: Caller, *, page: int | None, page_size: int, cursor: str | None, user_id: str | None) -> wire.Body:
    if user_id not in (None, caller.user_id) and not caller.admin:
        raise Forbidden("user_id: only your own chats are listed")
    if user_id not in (None, caller.user_id):
        audit.note("sessions.listed", actor=caller.user_id, subject=user_id)  # an admin has read what somebody else wrote
    with acting.acting_for(acting.user(user_id) if user_id else acting.current()):
        return wire.summaries(sessions.page(user_id or caller.user_id, Filters(), Window(page_size, ((page or 1) - 1) * page_size, cursor)))


@door.route_for("GET", "/<session_id>", Route(Allow.USER, "Read a chat and its newest messages", answer=schemas.SummaryThreadOut))
def read(caller: Caller, *, session_id: str) -> wire.Body:
    return wire.summary_thread(sessions.thread(caller.user_id, session_id, message_limit=MESSAGES))


@door.route_for("DELETE", "/<session_id>", Route(Allow.USER, "Delete a chat; it can be restored for a while", status=204))
def remove(caller: Caller, *, session_id: str) -> None:
    sessions.remove(caller.user_id, session_id)
