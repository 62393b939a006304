"""The names and forms of the v1 face: snake_case in, snake_case out."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validates_schema

from chatsvc.api.common.fields import JsonObject, OneOf, QueryTruth, QueryWhole, Text, Truth, Uuid, WholeNumber
from chatsvc.api.common.paged import Paged
from chatsvc.extensions import settings

ROLES = ("user", "assistant", "system")


def agent_types(**rest: Any) -> OneOf:
    return OneOf(lambda config: config.agent_types, **rest)


def title(**rest: Any) -> Text:
    return Text(max=lambda config: config.title_max_length, allow_none=True, **rest)


class SessionCreate(Schema):
    title = title(load_default=None)
    agent_type = agent_types(load_default="primary", allow_none=True)
    metadata = JsonObject()
    is_active = Truth(load_default=True)


class SessionChange(Schema):
    title = title()
    is_active = Truth()
    metadata = JsonObject()

    @pre_load
    def something(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        if not given:
            raise ValidationError("must change at least one of title, is_active and metadata", "body")
        return given


class MessageCreate(Schema):
    content = Text(max=lambda config: config.message_max_length, required=True)
    message_type = OneOf(ROLES, required=True)
    agent_type = agent_types(load_default=None, allow_none=True)
    metadata = JsonObject()

    @validates_schema(skip_on_field_errors=False)
    def only_assistants_have_agents(self, given: dict[str, Any], **_: Any) -> None:
        # A message_type that is missing or wrong is named by itself.
        if given.get("agent_type") is not None and given.get("message_type", "assistant") != "assistant":
            raise ValidationError("belongs to assistant messages only", "agent_type")


class MessageEdit(Schema):
    content = Text(max=lambda config: config.message_max_length, required=True)


class SessionList(Paged):
    page_size = QueryWhole(low=1, high=lambda config: config.max_page_size, load_default=lambda: settings().default_page_size)
    agent_type = agent_types(load_default=None)
    is_active = QueryTruth(load_default=None)
    search = Text(max=255, blank=True, load_default=None)


class MessageList(Paged):
    page_size = QueryWhole(low=1, high=200, load_default=50)
    message_type = OneOf(ROLES, load_default=None)
    order = OneOf(("asc", "desc"), load_default="asc")


class SessionRead(Schema):
    include_messages = QueryTruth(load_default=True)
    message_limit = QueryWhole(low=1, high=200, load_default=200)


class ChatSend(Schema):
    message = Text(max=lambda config: config.message_max_length)
    retry = WholeNumber()
    session_id = Uuid()
    agent_type = agent_types(load_default=None, allow_none=True)
    persona_id = Uuid(allow_none=True)
    metadata = JsonObject()

    @validates_schema
    def one_question(self, given: dict[str, Any], **_: Any) -> None:
        if ("message" in given) == ("retry" in given):
            raise ValidationError("is required, or retry in its place; not both", "message")

    @post_load
    def complete(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"message": None, "retry": None, "session_id": None, **given}


class SummaryList(Paged):
    page_size = QueryWhole(low=1, high=100, load_default=50)
    user_id = Text(max=255, load_default=None)


class MessageOut(Schema):
    id = fields.Integer()
    session_id = fields.UUID()
    content = fields.String()
    message_type = fields.String()
    agent_type = fields.String(allow_none=True)
    status = fields.String()
    metadata = fields.Dict()
    created_at = fields.DateTime()
    edited_at = fields.DateTime(allow_none=True)


class SessionOut(Schema):
    id = fields.UUID()
    user_id = fields.String()
    title = fields.String(allow_none=True)
    agent_type = fields.String(allow_none=True)
    status = fields.String()
    is_active = fields.Boolean()
    metadata = fields.Dict()
    message_count = fields.Integer()
    last_message = fields.String(allow_none=True)
    last_message_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class ThreadOut(SessionOut):
    messages = fields.List(fields.Nested(MessageOut))
    has_more_messages = fields.Boolean()


class ChatOut(Schema):
    session_id = fields.UUID()
    user_message = fields.Nested(MessageOut)
    assistant_message = fields.Nested(MessageOut)


class SummaryOut(Schema):
    session_id = fields.UUID()
    title = fields.String()
    last_message = fields.String()
    message_count = fields.Integer()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class SummaryThreadOut(SummaryOut):
    messages = fields.List(fields.Nested(MessageOut))
    has_more_messages = fields.Boolean()


class PageOut(Schema):
    total = fields.Integer()
    page = fields.Integer()
    page_size = fields.Integer()
    total_pages = fields.Integer()
    next_cursor = fields.String(allow_none=True)


class SessionsOut(PageOut):
    sessions = fields.List(fields.Nested(SessionOut))


class MessagesOut(PageOut):
    messages = fields.List(fields.Nested(MessageOut))


class SummariesOut(PageOut):
    sessions = fields.List(fields.Nested(SummaryOut))


class StatsOut(Schema):
    user_id = fields.String()
    total_sessions = fields.Integer()
    active_sessions = fields.Integer()
    total_messages = fields.Integer()
    sessions_by_agent_type = fields.Dict(keys=fields.String(), values=fields.Integer())
    most_recent_session = fields.DateTime(allow_none=True)
    oldest_session = fields.DateTime(allow_none=True)
