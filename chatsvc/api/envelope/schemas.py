"""The names and forms of the envelope face: camelCase outside, the core's keywords inside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, pre_load, validates_schema

from chatsvc.api.common.fields import JsonObject, Number, OneOf, QueryDay, QueryTruth, QueryWhole, SomeOf, Text, Truth, Uuid, WholeNumber, cursor
from chatsvc.api.common.paged import Paged
from chatsvc.core.api_keys import MAX_DAYS as MAX_KEY_DAYS
from chatsvc.core.api_keys import SCOPES
from chatsvc.core.paging import MAX_OFFSET
from chatsvc.core.personas import MAX_OVERLAP_HOURS
from chatsvc.core.sessions import STATUSES

MAX_TITLE = 200
MAX_LIMIT = 100
MAX_DAYS = 366


def title(**rest: Any) -> Text:
    return Text(max=lambda config: min(MAX_TITLE, config.title_max_length), allow_none=True, **rest)


def limit() -> QueryWhole:
    return QueryWhole(low=1, high=MAX_LIMIT, load_default=20)


class SessionCreate(Schema):
    title = title(load_default=None)
    metadata = JsonObject(data_key="meta")


class TitleChange(Schema):
    title = title(required=True)


class MetaChange(Schema):
    metadata = JsonObject(data_key="meta", required=True)


class SessionList(Paged):
    """Pages by number; by cursor; or, as soon as one of the last four is given, by offset and with exchanges."""

    limit = limit()
    search = Text(max=255, blank=True, load_default=None)
    status = OneOf(STATUSES, load_default=None)
    persona_id = Uuid(data_key="personaId", load_default=None)
    conversation_id = Uuid(data_key="conversationId", load_default=None)
    offset = QueryWhole(low=0, high=MAX_OFFSET, load_default=None)

    @validates_schema(skip_on_field_errors=False)
    def offset_alone(self, given: dict[str, Any], **_: Any) -> None:
        for other in ("page", "cursor"):
            if given.get("offset") is not None and given.get(other) is not None:
                raise ValidationError(f"cannot be given together with {other}", "offset")


class MessageList(Paged):
    limit = limit()
    order = OneOf(("asc", "desc"), load_default="asc")


KINDS = ("webhook", "openai", "anthropic", "echo")
MAX_TIMEOUT_MS = 600_000


def address(**rest: Any) -> Text:
    return Text(max=2000, allow_none=True, **rest)


class _Persona(Schema):
    name = Text(max=255)
    kind = OneOf(KINDS)
    webhook_url = address(data_key="webhookUrl")
    base_url = address(data_key="baseUrl")
    model = Text(max=255, allow_none=True)
    system_prompt = Text(max=20_000, allow_none=True, data_key="systemPrompt")
    timeout_ms = WholeNumber(most=MAX_TIMEOUT_MS, data_key="timeoutMs")
    answers = OneOf(("direct", "callback"))
    is_active = Truth(data_key="isActive")
    secret = Text(max=1000, allow_none=True)
    api_key = Text(max=1000, allow_none=True, data_key="apiKey")


class PersonaChange(_Persona):
    previous_secret_hours = WholeNumber(least=0, most=MAX_OVERLAP_HOURS, data_key="previousSecretHours")

    @pre_load
    def something(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        if not given:
            raise ValidationError("must change something", "body")
        return given


class PersonaCreate(_Persona):
    name = Text(max=255, required=True)
    kind = OneOf(KINDS, required=True)


class PersonaList(Paged):
    limit = limit()
    is_active = QueryTruth(data_key="isActive", load_default=None)


class ConversationCreate(Schema):
    persona_id = Uuid(data_key="personaId", required=True)
    title = title(load_default=None)


class ConversationList(Paged):
    limit = limit()
    persona_id = Uuid(data_key="personaId", load_default=None)


class ExchangeList(Schema):
    """By offset, or by cursor; not both."""

    status = OneOf(("ALL", *STATUSES), load_default="ACTIVE")
    limit = limit()
    offset = QueryWhole(low=0, high=MAX_OFFSET, load_default=None)
    cursor = cursor()

    @validates_schema(skip_on_field_errors=False)
    def one_way(self, given: dict[str, Any], **_: Any) -> None:
        if given.get("offset") is not None and given.get("cursor") is not None:
            raise ValidationError("cannot be given together with offset", "cursor")


class ExchangeSend(Schema):
    message = Text(max=lambda config: config.message_max_length, required=True)
    metadata = JsonObject()


class Callback(Schema):
    output = Text(max=lambda config: config.reply_max_chars, required=True)


class StatsQuery(Schema):
    persona_id = Uuid(data_key="personaId", load_default=None)
    user_id = Text(max=255, data_key="userId", load_default=None)
    scope = OneOf(("global",), load_default=None)
    group_by = OneOf(("day",), data_key="groupBy", load_default=None)
    first = QueryDay(data_key="from", load_default=None)
    last = QueryDay(data_key="to", load_default=None)

    @validates_schema(skip_on_field_errors=False)
    def in_order(self, given: dict[str, Any], **_: Any) -> None:
        first, last = given.get("first"), given.get("last")
        if (first or last) and not given.get("group_by"):
            raise ValidationError("is required with from and to", "groupBy")
        if given.get("scope") and given.get("user_id"):
            raise ValidationError("cannot be given together with scope", "userId")
        if first and (last or datetime.now(UTC).date()) < first:
            raise ValidationError("must not be after to", "from")
        if first and ((last or datetime.now(UTC).date()) - first).days > MAX_DAYS:
            raise ValidationError(f"must be at most {MAX_DAYS} days before to", "from")
        if last and not first and last.toordinal() < MAX_DAYS:
            raise ValidationError("is too long ago", "to")


class Cleanup(Schema):
    max_age_hours = Number(above=0, most=87_600, data_key="maxAgeHours")


class AuditList(Paged):
    limit = limit()
    action = Text(max=50, load_default=None)
    actor_id = Text(max=255, data_key="actorId", load_default=None)
    subject = Text(max=255, load_default=None)


class ApiKeyCreate(Schema):
    name = Text(max=255, required=True)
    scopes = SomeOf(SCOPES, required=True)
    expires_in_days = WholeNumber(most=MAX_KEY_DAYS, allow_none=True, load_default=None, data_key="expiresInDays")


class ApiKeyList(Paged):
    limit = limit()


class Forget(Schema):
    keep_account = QueryTruth(data_key="keepAccount", load_default=False)
