"""`/api/users/{id}`: all that a user has, to carry away or to be erased; by themself, or by an admin."""

from __future__ import annotations

from flask import Response

from chatsvc.api.common import limits
from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.common.wire import answer, encoded
from chatsvc.api.envelope import export, schemas, shapes, wire
from chatsvc.core import acting, exporting, forgetting
from chatsvc.core.clients import Client
from chatsvc.core.errors import NotFound
from chatsvc.extensions import runtime

ERASED = "Data erased successfully"
BEGUN = "Erasure begun; its receipt says when it is finished"

door = wire.EnvelopeDoor("envelope_people", __name__, url_prefix="/api")


def _act_for(caller: Caller, user_id: str) -> None:
    """For anybody but an admin, every other id is one that is not there."""
    if user_id != caller.user_id:
        if not caller.admin:
            raise NotFound("User")
        acting.act_for(acting.user(user_id))
    limits.spend("privacy", f"user:{caller.user_id}")


@door.route_for("GET", "/users/<path:user_id>/export", Route(Allow.USER, "Carry away all that a user has", lines=True))
def carry_away(caller: Caller, *, user_id: str) -> Response:
    _act_for(caller, user_id)
    here = runtime()
    here.start()
    here.has_room()
    exporting.begin(user_id, actor=caller.user_id)
    client = Client(caller.user_id, caller.let_in_with)
    response = Response(export.lines(user_id, is_welcome=client.is_welcome), content_type=export.TYPE)
    response.headers["Content-Disposition"] = 'attachment; filename="export.ndjson"'
    response.headers["X-Accel-Buffering"] = "no"
    serving = here.clients.serving(client)
    serving.__enter__()
    response.call_on_close(lambda: serving.__exit__(None, None, None))
    return response


@door.route_for(
    "DELETE", "/users/<path:user_id>/data", Route(Allow.USER, "Erase all that a user has", query=schemas.Forget, answer=shapes.ReceiptOut, says=ERASED)
)
def forget(caller: Caller, *, user_id: str, keep_account: bool) -> Response:
    _act_for(caller, user_id)
    by, actor = ("self", None) if user_id == caller.user_id else ("admin", caller.user_id)
    receipt_id = forgetting.ask(user_id, by=by, actor=actor, keep_account=keep_account)
    row = forgetting.in_background(receipt_id)
    body = wire.enveloped(ERASED if row.finished_at else BEGUN, wire.receipt(row))
    return answer(encoded(body), 200 if row.finished_at else 202)


@door.route_for(
    "GET", "/erasures/<erasure_id>", Route(Allow.ANYONE, "Read the receipt of an erasure", answer=shapes.ReceiptOut, says="Receipt retrieved successfully")
)
def receipt(*, erasure_id: str) -> wire.Body:
    return wire.receipt(forgetting.receipt(erasure_id))
