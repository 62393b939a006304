"""What the document does not say of a route: what it needs that others have made, what others need of it, and its turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Hint:
    """Without one a route gets the document's first example, its first good status and the turn of its method."""

    turn: int | None = None
    body: Json | None = None
    who: str | None = None
    status: int | None = None  # where the good one cannot be had here
    keep: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # other variables for ids of the path
    why: str = ""


FIRST, LAST = -1, 9
SOMEBODY = {"user_id": "customerId"}
REPLY_ID = 'Number(/"reply_id":(\\d+)/.exec(pm.response.text())[1])'

HINTS: dict[str, Hint] = {
    "POST /api/v1/chat-sessions": Hint(keep={"sessionId": "body.id"}),
    "POST /api/v1/chat-sessions/{session_id}/messages": Hint(keep={"messageId": "body.id"}),
    "POST /api/v1/chat/stream": Hint(keep={"replyId": REPLY_ID}),
    "POST /api/v1/chat/stream/{reply_id}/cancel": Hint(status=409, why="The reply above has ended and stays as it is. The golden path stops one that runs."),
    "DELETE /api/v1/chat/sessions/{session_id}": Hint(turn=LAST, why="After it the session is gone from every face, so this comes last."),
    "POST /api/personas": Hint(turn=FIRST, body={"name": "Echo {{run}}", "kind": "echo"}, keep={"personaId": "body.data.personaId"}),
    "PUT /api/personas/{persona_id}": Hint(body={"name": "Echo again {{run}}"}),
    "PATCH /api/personas/{persona_id}": Hint(body={"isActive": False}),
    "DELETE /api/personas/{persona_id}": Hint(status=409, why="A conversation refers to it. The golden path deletes one that nobody has talked with."),
    "POST /api/conversations": Hint(body={"personaId": "{{personaId}}", "title": "Summer trip"}, keep={"conversationId": "body.data.conversationId"}),
    "POST /api/conversations/{conversation_id}/messages": Hint(turn=2, status=201),
    "POST /api/chat-sessions": Hint(keep={"sessionId": "body.data.sessionId"}),
    "POST /api/chat-sessions/{session_id}/callback": Hint(status=401, why="Only the flow that was asked can sign an answer; without that it is refused."),
    "POST /api/api-keys": Hint(keep={"keyId": "body.data.keyId", "customerId": '`customer-${pm.variables.get("run")}`'}),
    "GET /api/users/{user_id}/export": Hint(who="adminToken", places=SOMEBODY, why="Here of somebody for whom a key might have called."),
    "DELETE /api/users/{user_id}/data": Hint(
        who="adminToken",
        places=SOMEBODY,
        keep={"erasureId": "body.data.receiptId"},
        why="Here of somebody for whom a key might have called; with your own id all that you have is gone.",
    ),
    "GET /api/erasures/{erasure_id}": Hint(turn=LAST),
    "POST /auths/login": Hint(
        body={"username": "{{username}}", "password": "{{password}}"},
        keep={"spareToken": "body.access_token", "spareRefreshToken": "body.refresh_token"},
        why="A sign-in of its own, for the routes that end one.",
    ),
    "POST /auths/refresh": Hint(body={"refresh_token": "{{spareRefreshToken}}"}, keep={"spareToken": "body.access_token"}),
    "POST /auths/register": Hint(body={"username": "reader-{{run}}", "password": "correct horse battery {{run}}"}),
    "POST /auths/logout": Hint(turn=LAST, who="spareToken"),
    "POST /chat/sessions": Hint(keep={"sessionId": "body._id"}),
    "POST /chat/sessions/{session_id}/messages": Hint(keep={"messageId": "body._id"}),
    "DELETE /chat/sessions/{session_id}/messages/{message_id}": Hint(turn=4),
    "POST /chat/sessions/{session_id}/messages/{message_id}/restore": Hint(turn=5),
    "DELETE /chat/sessions/{session_id}": Hint(turn=6),
    "POST /chat/sessions/{session_id}/restore": Hint(turn=7),
}
