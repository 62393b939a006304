"""What the envelope face answers, for its documents; `wire.py` makes the answers themselves."""

from __future__ import annotations

from marshmallow import Schema, fields


class SessionOut(Schema):
    session_id = fields.UUID(data_key="sessionId")
    title = fields.String(allow_none=True)
    meta = fields.Dict()
    status = fields.String()
    message_count = fields.Integer(data_key="messagesCount")
    last_message = fields.String(data_key="lastMessage", allow_none=True)
    last_message_at = fields.DateTime(data_key="lastMessageAt", allow_none=True)
    last_activity_at = fields.DateTime(data_key="lastActivityAt")
    conversation_id = fields.UUID(data_key="conversationId", allow_none=True)
    persona_id = fields.UUID(data_key="personaId", allow_none=True)
    started_at = fields.DateTime(data_key="startedAt")
    ended_at = fields.DateTime(data_key="endedAt", allow_none=True)
    duration_ms = fields.Integer(data_key="durationMs", allow_none=True)
    error_message = fields.String(data_key="errorMessage", allow_none=True)
    error_kind = fields.String(data_key="errorKind", allow_none=True)
    created_at = fields.DateTime(data_key="createdAt")
    updated_at = fields.DateTime(data_key="updatedAt")


class MessageOut(Schema):
    message_id = fields.Integer(data_key="messageId")
    session_id = fields.UUID(data_key="sessionId")
    role = fields.String()
    content = fields.String()
    status = fields.String()
    metadata = fields.Dict()
    created_at = fields.DateTime(data_key="createdAt")


class PagesOut(Schema):
    page = fields.Integer()
    limit = fields.Integer()
    total = fields.Integer()
    pages = fields.Integer()
    next_cursor = fields.String(data_key="nextCursor", allow_none=True)


class OffsetsOut(Schema):
    limit = fields.Integer()
    offset = fields.Integer()
    total = fields.Integer()
    next_cursor = fields.String(data_key="nextCursor", allow_none=True)


class SessionsOut(Schema):
    sessions = fields.List(fields.Nested(SessionOut))
    pagination = fields.Nested(PagesOut)


class AllSessionsOut(Schema):
    sessions = fields.List(fields.Nested(SessionOut))
    pagination = fields.Nested(OffsetsOut)


class MessagesOut(Schema):
    messages = fields.List(fields.Nested(MessageOut))
    pagination = fields.Nested(PagesOut)


class CircuitOut(Schema):
    state = fields.String()
    failures = fields.Integer()
    opened_at = fields.DateTime(data_key="openedAt", allow_none=True)


class PersonaOut(Schema):
    persona_id = fields.UUID(data_key="personaId")
    name = fields.String()
    kind = fields.String()
    model = fields.String(allow_none=True)
    timeout_ms = fields.Integer(data_key="timeoutMs")
    answers = fields.String()
    is_active = fields.Boolean(data_key="isActive")
    has_secret = fields.Boolean(data_key="hasSecret")
    created_at = fields.DateTime(data_key="createdAt")
    updated_at = fields.DateTime(data_key="updatedAt")


class PersonaInFullOut(PersonaOut):
    """As an admin sees it."""

    webhook_url = fields.String(data_key="webhookUrl", allow_none=True)
    base_url = fields.String(data_key="baseUrl", allow_none=True)
    system_prompt = fields.String(data_key="systemPrompt", allow_none=True)
    previous_secret_until = fields.DateTime(data_key="previousSecretUntil", metadata={"optional": True})
    circuit = fields.Nested(CircuitOut)


class PersonasOut(Schema):
    personas = fields.List(fields.Nested(PersonaOut))
    pagination = fields.Nested(PagesOut)


class PersonasInFullOut(PersonasOut):
    personas = fields.List(fields.Nested(PersonaInFullOut))


class PersonaGoneOut(Schema):
    persona_id = fields.UUID(data_key="personaId")


class ConversationOut(Schema):
    conversation_id = fields.UUID(data_key="conversationId")
    persona_id = fields.UUID(data_key="personaId")
    title = fields.String(allow_none=True)
    created_at = fields.DateTime(data_key="createdAt")
    updated_at = fields.DateTime(data_key="updatedAt")
    last_message_at = fields.DateTime(data_key="lastMessageAt", allow_none=True)


class ConversationsOut(Schema):
    conversations = fields.List(fields.Nested(ConversationOut))
    pagination = fields.Nested(PagesOut)


class ExchangeOut(Schema):
    session_id = fields.UUID(data_key="sessionId")
    status = fields.String()
    user_message = fields.Nested(MessageOut, data_key="userMessage")
    reply = fields.Nested(MessageOut, allow_none=True)


class AnsweredOut(Schema):
    session_id = fields.UUID(data_key="sessionId")
    status = fields.String()


class FiguresOut(Schema):
    total = fields.Integer()
    active = fields.Integer()
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), data_key="byStatus")
    success_rate = fields.Float(data_key="successRate", allow_none=True)
    average_ms = fields.Float(data_key="averageResponseTimeMs", allow_none=True)
    p95_ms = fields.Float(data_key="p95ResponseTimeMs", allow_none=True)
    failures = fields.Dict(keys=fields.String(), values=fields.Integer())


class DayOut(FiguresOut):
    day = fields.Date()


class StatsOut(FiguresOut):
    pass


class StatsByDayOut(FiguresOut):
    series = fields.List(fields.Nested(DayOut))


class CleanedOut(Schema):
    timed_out = fields.Integer(data_key="timedOut")


class EventOut(Schema):
    event_id = fields.Integer(data_key="eventId")
    action = fields.String()
    actor_id = fields.String(data_key="actorId", allow_none=True)
    subject = fields.String(allow_none=True)
    details = fields.Dict()
    created_at = fields.DateTime(data_key="createdAt")


class AuditOut(Schema):
    events = fields.List(fields.Nested(EventOut))
    pagination = fields.Nested(PagesOut)


class ErasedOut(Schema):
    session_id = fields.UUID(data_key="sessionId")
    deleted_messages = fields.Integer(data_key="deletedMessages")


class ApiKeyOut(Schema):
    key_id = fields.UUID(data_key="keyId")
    name = fields.String()
    scopes = fields.List(fields.String())
    status = fields.String()
    begins_with = fields.String(data_key="beginsWith")
    ends_with = fields.String(data_key="endsWith")
    created_by = fields.String(data_key="createdBy", allow_none=True)
    created_at = fields.DateTime(data_key="createdAt")
    expires_at = fields.DateTime(data_key="expiresAt", allow_none=True)
    last_used_at = fields.DateTime(data_key="lastUsedAt", allow_none=True)
    revoked_at = fields.DateTime(data_key="revokedAt", allow_none=True)


class ApiKeyMadeOut(ApiKeyOut):
    """With the key itself, this once."""

    key = fields.String(allow_none=True)


class ApiKeysOut(Schema):
    keys = fields.List(fields.Nested(ApiKeyOut))
    pagination = fields.Nested(PagesOut)


class ReceiptOut(Schema):
    receipt_id = fields.UUID(data_key="receiptId")
    status = fields.String()
    asked_by = fields.String(data_key="askedBy")
    keeps_account = fields.Boolean(data_key="keepsAccount")
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    user_digest = fields.String(data_key="userDigest")
    file_rewritten = fields.Boolean(data_key="fileRewritten", allow_none=True)
    started_at = fields.DateTime(data_key="startedAt")
    finished_at = fields.DateTime(data_key="finishedAt", allow_none=True)
