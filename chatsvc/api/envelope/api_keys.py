"""`/api/api-keys`: the keys of products that have a login of their own."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.core import api_keys
from chatsvc.core.paging import Window

door = wire.EnvelopeDoor("envelope_api_keys", __name__, url_prefix="/api/api-keys")


@door.route_for(
    "POST",
    "",
    Route(
        Allow.ADMIN,
        "Make a key",
        body=schemas.ApiKeyCreate,
        status=201,
        answer=shapes.ApiKeyMadeOut,
        creates=True,
        says="API key created successfully",
        shown_once="key",
    ),
)
def create(caller: Caller, **given: Any) -> wire.Body:
    row, text = api_keys.create(caller.user_id, **given)
    return {**wire.api_key(row), "key": text}


@door.route_for(
    "GET",
    "",
    Route(Allow.ADMIN, "List all keys, newest first", query=schemas.ApiKeyList, answer=shapes.ApiKeysOut, says="API keys retrieved successfully"),
)
def index(caller: Caller, *, page: int | None, limit: int, cursor: str | None) -> wire.Body:
    return wire.api_keys(api_keys.page(Window(limit, ((page or 1) - 1) * limit, cursor)))


@door.route_for("GET", "/<key_id>", Route(Allow.ADMIN, "Read about a key", answer=shapes.ApiKeyOut, says="API key retrieved successfully"))
def read(caller: Caller, *, key_id: str) -> wire.Body:
    return wire.api_key(api_keys.get(key_id))


@door.route_for("DELETE", "/<key_id>", Route(Allow.ADMIN, "Revoke a key", answer=shapes.ApiKeyOut, says="API key revoked successfully"))
def revoke(caller: Caller, *, key_id: str) -> wire.Body:
    return wire.api_key(api_keys.revoke(caller.user_id, key_id))
