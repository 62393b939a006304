"""What operations share: error bodies, events, headers, parameters, ways to sign in."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common import by_key
from chatsvc.api.common.caller import ACCESS_COOKIE, CSRF_COOKIE, CSRF_HEADER

Json = dict[str, Any]


def ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def record(optional: tuple[str, ...] = (), **properties: Json) -> Json:
    """An object of these properties, all there but the optional ones."""
    return {"type": "object", "properties": properties, "required": [name for name in properties if name not in optional]}


STRING = {"type": "string"}
UUID = {"type": "string", "format": "uuid"}
USER_ID = {"type": "string", "minLength": 1, "maxLength": 255, "description": "The `sub` of a token, or the id of a local account."}
MESSAGE = ref("schemas", "V1Message")
MESSAGE_ID = {"type": "integer", "format": "int64", "minimum": 1}
SECONDS = {"type": "integer", "minimum": 1, "description": "Seconds for which the access token is good."}
MAYBE_MESSAGE = {"anyOf": [MESSAGE, {"type": "null"}], "description": "Null when it has been erased meanwhile."}
PROBLEMS = {"type": "array", "items": ref("schemas", "Problem"), "description": "One entry for each field at fault."}

SCHEMAS: dict[str, Json] = {
    "Problem": record(field=STRING, message=STRING),
    "Error": record(("errors",), detail={**STRING, "description": "What is wrong, in one sentence."}, errors=PROBLEMS),
    "EnvelopeError": record(("errors", "data"), success={"const": False}, message=STRING, errors=PROBLEMS, data={"type": "object"}),
    "V1ReplyRunning": record(
        detail=STRING, reply_id={**MESSAGE_ID, "description": "The reply that is being written; follow it at `/api/v1/chat/stream/{reply_id}`."}
    ),
    "V1ChatFailure": record(detail=STRING, session_id=UUID, user_message=MESSAGE, assistant_message=MAYBE_MESSAGE),
    "V1StreamSession": record(session_id=UUID, user_message=MESSAGE, reply_id=MESSAGE_ID),
    "V1StreamDelta": record(content={**STRING, "minLength": 1}),
    "V1StreamDone": record(assistant_message=MESSAGE),
    "V1StreamError": record(detail=STRING, assistant_message=MAYBE_MESSAGE),
    "AppTokens": record(access_token=STRING, refresh_token=STRING, token_type={"const": "bearer"}, expires_in=SECONDS),
    "AppCookies": record(token_type={"const": "cookie"}, expires_in=SECONDS, csrf_token=STRING),
    "EnvelopeTaken": record(success={"const": True}, message=STRING, data=ref("schemas", "EnvelopeExchange")),
    "EnvelopeExchangeFailure": record(success={"const": False}, message=STRING, data=ref("schemas", "EnvelopeExchange")),
    "EnvelopeErasureBegun": record(success={"const": True}, message=STRING, data=ref("schemas", "EnvelopeReceipt")),
    "HealthUnready": record(status={"const": "unavailable"}, checks={"type": "object", "additionalProperties": STRING}),
}


# By what it is not: ReDoc complains of a type that is narrower than the field's own.
GIVEN: Json = {"not": {"type": "null"}}


def _where(name: str, value: str, then: Json) -> Json:
    """What else holds where a property has this value."""
    return {"if": {"properties": {name: {"const": value}}, "required": [name]}, "then": then}


# Where these hold nothing when the service keeps no messages.
IDS_OF_MESSAGES = (("V1Message", "id"), ("V1StreamSession", "reply_id"), ("EnvelopeMessage", "messageId"))
_session_status = {"enum": ["ACTIVE", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"]}

# What a schema's fields cannot say by themselves: rules about several fields, and the words that an answer may hold.
_message_status = {"enum": ["complete", "streaming", "cancelled", "failed"]}
_role = {"enum": ["user", "assistant", "system"]}
# Which hosts and ports may be called is more than a pattern can say.
_address = {
    "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?([/?#]|$)",
    "examples": ["https://n8n.example.com/webhook/travel"],
}
RULES: dict[str, Json] = {
    "V1SessionChange": {"minProperties": 1},
    "EnvelopePersonaChange": {
        "minProperties": 1,
        "if": {"properties": {"previousSecretHours": {"minimum": 1}}, "required": ["previousSecretHours"]},
        "then": {"required": ["secret"], "properties": {"secret": GIVEN}},
    },
    "EnvelopePersonaCreate": {
        "allOf": [
            _where("kind", "webhook", {"required": ["webhookUrl"], "properties": {"webhookUrl": GIVEN}}),
            _where("answers", "callback", {"required": ["secret"], "properties": {"secret": GIVEN, "kind": {"const": "webhook"}}}),
        ]
    },
    "V1ChatSend": {"oneOf": [{"required": ["message"]}, {"required": ["retry"]}]},
    "V1MessageCreate": {"dependentSchemas": {"agent_type": {"properties": {"message_type": {"const": "assistant"}}}}},
}
FACTS: dict[str, Json] = {
    "V1Session.status": _session_status,
    "V1Session.is_active": {"description": "The same as `status` being `ACTIVE`."},
    "V1Session.last_message": {"description": "The first 100 characters of the newest message.", "maxLength": 100},
    "V1Session.last_message_at": {"description": "When the newest message was made; editing does not move it."},
    "V1Message.status": _message_status,
    "V1Message.message_type": _role,
    "V1SessionCreate.agent_type": {"description": "Null: none, and then not counted towards the cap."},
    "V1SessionChange.title": {"description": "Null: the title is made from the first message again."},
    "V1SessionChange.metadata": {"description": "Replaces what was there. At most 16 KiB of JSON, nested at most 32 levels deep."},
    "V1SessionChange.is_active": {"description": "False archives, true resumes."},
    "V1MessageCreate.agent_type": {"description": "For assistant messages only; the session's by default."},
    "V1ChatSend.retry": {"description": "In place of `message`: the id of a reply whose message is to be answered again. The earlier reply is deleted."},
    "V1ChatSend.session_id": {"description": "None given: a new session. A UUID v4 that is unknown: a new session of that id."},
    "V1Stats.sessions_by_agent_type": {"description": "Agent types that occur."},
    "EnvelopeSession.status": _session_status,
    "EnvelopeSession.lastMessage": {"description": "The first 100 characters of the newest message.", "maxLength": 100},
    "EnvelopeSession.lastActivityAt": {"description": "When the newest message was made, or the session while it has none."},
    "EnvelopeSession.conversationId": {"description": "Of an exchange: the conversation that it belongs to."},
    "EnvelopeSession.personaId": {"description": "Who answers here; null when none was named."},
    "EnvelopeSession.startedAt": {"description": "The same as `createdAt`."},
    "EnvelopeSession.durationMs": {"description": "From `startedAt` to `endedAt`.", "minimum": 0},
    "EnvelopeMessage.status": _message_status,
    "EnvelopeMessage.role": _role,
    "EnvelopeExchange.status": _session_status,
    "EnvelopeExchange.reply": {"description": "Null when it failed, was cancelled, or comes later."},
    "EnvelopePersonaCreate.webhookUrl": _address,
    "EnvelopePersonaCreate.baseUrl": _address,
    "EnvelopePersonaChange.webhookUrl": _address,
    "EnvelopePersonaChange.baseUrl": _address,
    "EnvelopePersonaChange.previousSecretHours": {
        "description": "How long the secret before is good beside a new one. Left out: not at all. 0 ends one that is good still."
    },
    "EnvelopePersonaInFull.previousSecretUntil": {"description": "Until when the secret before is good too; there only while it is."},
    "EnvelopePersona.kind": {"enum": ["webhook", "openai", "anthropic", "echo"]},
    "EnvelopePersona.answers": {"enum": ["direct", "callback"]},
    "EnvelopeCircuit.state": {"enum": ["closed", "open", "half_open"]},
    "EnvelopeTitleChange.title": {"description": "Null: the title is made from the first message again."},
    "EnvelopeMetaChange.meta": {"description": "Replaces what was there. At most 16 KiB of JSON, nested at most 32 levels deep."},
    "EnvelopeErased.deletedMessages": {"description": "How many messages went with it, soft-deleted ones included.", "minimum": 0},
    "EnvelopeReceipt.status": {"enum": ["RUNNING", "FINISHED"]},
    "EnvelopeReceipt.askedBy": {"enum": ["self", "admin", "command"]},
    "EnvelopeReceipt.counts": {"description": "How many rows of each kind were erased, or do not say any more whose they are."},
    "EnvelopeReceipt.userDigest": {"description": "Says whose it is to whoever has the service's key and the id, and to nobody else."},
    "EnvelopeReceipt.fileRewritten": {"description": "Of SQLite: whether the file was written anew afterwards. Null on PostgreSQL."},
    "AppSession.title": {"description": "`New chat` while it has none."},
    "AppSession.last_message_at": {"description": "When the newest message was made; editing does not move it."},
    "AppSessionRename.title": {"description": "Null: the title is made from the first message again."},
    "AppMessage.status": _message_status,
    "AppMessage.role": _role,
    "AppMe.role": {"enum": ["USER", "ADMIN"]},
    "AppUser.role": {"enum": ["USER", "ADMIN"]},
    "AppRegister.username": {"description": "Without spaces around it, and without invisible characters."},
    "EnvelopeApiKey.status": {"enum": ["active", "expired", "revoked"]},
    "EnvelopeApiKey.endsWith": {"description": "Its last four characters, to tell it by.", "minLength": 4, "maxLength": 4},
    "EnvelopeApiKey.createdBy": {"description": "Who made it; null when that was done at the service itself."},
    "EnvelopeApiKey.lastUsedAt": {"description": "To the minute."},
    "EnvelopeApiKeyMade.key": {"description": "Null in a replay.", "pattern": "^csk_[0-9A-Za-z]{46}$"},
    "EnvelopeApiKeyCreate.expiresInDays": {"description": "Null: it is good until it is revoked."},
    "HealthHealth.status": {"enum": ["ok"]},
}


def _header(description: str, **schema: Any) -> Json:
    return {"description": description, "schema": schema}


HEADERS: dict[str, Json] = {
    "X-Request-ID": _header("Names this request; the one that was sent, or a new one.", type="string", pattern="^[A-Za-z0-9._-]{1,64}$"),
    "RateLimit": _header("How many requests are left, and for how many seconds.", type="string", examples=['"default";r=599;t=60']),
    "RateLimit-Policy": _header("How many requests in how many seconds.", type="string", examples=['"default";q=600;w=60']),
    "RateLimit-Limit": _header("How many requests there may be in one window.", type="integer"),
    "RateLimit-Remaining": _header("How many are left.", type="integer"),
    "RateLimit-Reset": _header("In how many seconds the count starts anew.", type="integer"),
    "Retry-After": _header("After how many seconds a new try makes sense.", type="integer", minimum=1),
    "Idempotent-Replayed": _header("`true` when this answer was given before, to the first request with this key.", type="string", enum=["true"]),
    "Link": _header("The next part of the list, while there is one.", type="string", examples=['</auths/users?limit=50&cursor=…>; rel="next"']),
    "Content-Disposition": _header("A name for the file.", type="string"),
    "WWW-Authenticate": _header("How to sign in.", type="string", enum=["Bearer"]),
    "Set-Cookie": _header(
        f"With `X-Session: cookie`: `{ACCESS_COOKIE}` and others, HttpOnly and SameSite=Strict, and the readable `{CSRF_COOKIE}`.", type="string"
    ),
}
COUNTED = ("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def _sent(name: str, description: str, **schema: Any) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


PARAMETERS: dict[str, Json] = {
    "X-Request-ID": _sent(
        "X-Request-ID", "Names this request in the answer and in the logs: 1 to 64 of `A-Z a-z 0-9 . _ -`; another is not taken up.", type="string"
    ),
    "Idempotency-Key": _sent(
        "Idempotency-Key",
        "Makes it safe to send this request again: the same key with the same path and body is done once.",
        type="string",
        pattern="^[!-~]{1,255}$",
    ),
    "Last-Event-ID": _sent(
        "Last-Event-ID", "The id of the last event that came; the stream goes on after it.", type="string", pattern="^[0-9]{1,18}$", default="0"
    ),
    "Prefer": _sent("Prefer", "`respond-async`: do not wait for the answer.", type="string", examples=["respond-async"]),
    "X-Chatsvc-Timestamp": _sent("X-Chatsvc-Timestamp", "When this was signed, in seconds since 1970.", type="string", pattern="^[0-9]{1,12}$"),
    "X-Chatsvc-Signature": _sent("X-Chatsvc-Signature", "HMAC-SHA256 of timestamp, dot and body.", type="string", pattern="^v1=[0-9a-f]{64}$"),
    "X-Session": _sent("X-Session", "`cookie`: the tokens come as cookies, and not in the body.", type="string", examples=["cookie"]),
}

SCHEMES: dict[str, Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token from `/auths/login`, or one that your product signed."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": ACCESS_COOKIE,
        "description": "Set by `/auths/login` with `X-Session: cookie`. Over TLS its name begins with `__Host-`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": f"The value of the readable cookie `{CSRF_COOKIE}`; asked for on writes by cookie.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": by_key.HEADER,
        "description": "A key of a back end, from `POST /api/api-keys` or `flask keys create`. Not together with `Authorization`, and not for browsers.",
    },
    "onBehalfOf": {
        "type": "apiKey",
        "in": "header",
        "name": by_key.ON_BEHALF_OF,
        "description": "With a key: the id of the user that it acts for, 1 to 255 characters in UTF-8. A key with the scope `admin` may do without "
        "where it reads and on routes for admins.",
    },
}

QUERIES = {
    "page": "Which page, from 1; not together with `cursor`, nor with `offset` where there is one.",
    "cursor": "Where the list goes on: the `next_cursor` (`nextCursor`) of the answer before, or what its `Link` says.",
    "limit": "How many there are on a page.",
    "offset": "How many to leave out; not together with `page` or `cursor`. Shows exchanges too.",
    "status": "Only those in this state. Shows exchanges too.",
    "personaId": "Only those that this persona answers. Shows exchanges too.",
    "conversationId": "Only the exchanges of this conversation.",
    "search": "Part of the title, in any case; `%` and `_` are letters.",
    "order": "`asc`: oldest first.",
    "user_id": "Your own id; an admin may give anyone's.",
    "deleted": "True: those that have been deleted and can be restored.",
    "keepAccount": "True: the local account stays, with its name and password, and only what it has goes.",
    "message_limit": "How many of the newest messages.",
    "is_active": "True: those in use. False: those that have ended.",
}
