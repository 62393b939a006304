"""All that a user has as lines of JSON. The last line says that it was all; without it, the file was cut off."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from flask import Flask

from chatsvc.api.common.sse import LINE_ENDS
from chatsvc.api.envelope import wire
from chatsvc.core import acting, exporting
from chatsvc.core.errors import ChatError, Unauthenticated
from chatsvc.extensions import runtime

log = logging.getLogger(__name__)

TYPE: Final = "application/x-ndjson"
FORMAT: Final = 1
BROKEN: Final = "Something went wrong here, so this is not all; ask for it again"


def install(app: Flask) -> None:
    """For the command of the same name."""
    app.extensions["chatsvc.export"] = lines


def lines(user_id: str, *, is_welcome: Callable[[], bool] = lambda: True) -> Iterator[bytes]:
    """Each line by itself; what goes wrong in the middle is the last. Read for whom the caller acts now."""
    return _lines(user_id, is_welcome, runtime().context, acting.current())


def _lines(user_id: str, is_welcome: Callable[[], bool], context: Callable[[], Any], whom: str | None) -> Iterator[bytes]:
    counts = Counter[str]()
    yield line("export", format=FORMAT, userId=user_id, startedAt=wire.utc(datetime.now(UTC)))
    rows = exporting.everything(user_id)
    try:
        # Between two reads nothing is held, whoever is slow to take a line.
        while (part := _next(rows, context, whom)) is not None:
            kind, found = part
            if not is_welcome():
                raise Unauthenticated
            counts[kind] += len(found)
            for row in found:
                yield line(kind, **SHAPES[kind](row))
    except ChatError as error:
        yield line("error", complete=False, message=error.message, counts=dict(counts))
        return
    except Exception:
        log.exception("an export was broken off")
        yield line("error", complete=False, message=BROKEN, counts=dict(counts))
        return
    yield line("end", complete=True, counts=dict(counts), finishedAt=wire.utc(datetime.now(UTC)))


def _next(rows: exporting.Rows, context: Callable[[], Any], whom: str | None) -> Any:
    with context(), acting.acting_for(whom):
        return next(rows, None)


def line(kind: str, **rest: Any) -> bytes:
    body = {"type": kind, **rest}
    try:
        text = orjson.dumps(body)
    except TypeError:  # a number that the service takes from nobody, written with psql
        text = json.dumps(body, ensure_ascii=False).encode()
    for end, escaped in LINE_ENDS:
        text = text.replace(end, escaped)
    return text + b"\n"


def _account(row: Any) -> wire.Body:
    times = {"createdAt": wire.utc(row.created_at), "updatedAt": wire.utc(row.updated_at), "disabledAt": wire.utc(row.disabled_at)}
    return {"userId": row.id, "username": row.username, "role": row.role, **times}


def _conversation(row: Any) -> wire.Body:
    times = {"createdAt": wire.utc(row.created_at), "updatedAt": wire.utc(row.updated_at)}
    return {"conversationId": row.id, "personaId": row.persona_id, "title": row.title, **times}


def _session(row: Any) -> wire.Body:
    return {**wire.session(row), "agentType": row.agent_type, "titleFrom": row.title_from, "deletedAt": wire.utc(row.deleted_at)}


def _message(row: Any) -> wire.Body:
    more = {"agentType": row.agent_type, "replyTo": row.reply_to, "editedAt": wire.utc(row.edited_at), "deletedAt": wire.utc(row.deleted_at)}
    return {**wire.message(row), **more}


def _key(row: Any) -> wire.Body:
    return {"key": row.key, "sessionId": row.session_id, "answered": row.status, "answer": row.body, "createdAt": wire.utc(row.created_at)}


def _token(row: Any) -> wire.Body:
    return {"tokenId": row.token_id, "revokedAt": wire.utc(row.revoked_at), "expiresAt": wire.utc(row.expires_at)}


def _sign_in(row: Any) -> wire.Body:
    times = {"blockedUntil": wire.utc(row.blocked_until), "succeededAt": wire.utc(row.succeeded_at), "touchedAt": wire.utc(row.touched_at)}
    return {"address": row.address, "failures": row.failures, **times}


SHAPES: Final[dict[str, Callable[[Any], wire.Body]]] = {
    "account": _account,
    "conversation": _conversation,
    "session": _session,
    "message": _message,
    "idempotencyKey": _key,
    "revokedToken": _token,
    "signInRecord": _sign_in,
    "auditEvent": wire.event,
}
