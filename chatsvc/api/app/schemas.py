"""The names and forms of the app face: signing in, chats and their messages."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates

from chatsvc.api.common.fields import OneOf, QueryTruth, QueryWhole, Text, cursor
from chatsvc.core.users import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD, name_problem


class Login(Schema):
    username = Text(max=255, required=True)
    password = Text(max=MAX_PASSWORD, required=True)
    # What OAuth2 clients send along with a password; it changes nothing.
    grant_type = OneOf(("password", ""))
    scope = Text(max=1000, blank=True)
    client_id = Text(max=255, blank=True)
    client_secret = Text(max=255, blank=True)


class Register(Schema):
    username = Text(max=MAX_NAME, required=True)
    password = Text(min=MIN_PASSWORD, max=MAX_PASSWORD, required=True)

    @validates("username")
    def plain(self, value: str, **_: Any) -> None:
        if problem := name_problem(value):
            raise ValidationError(problem)


class Refresh(Schema):
    refresh_token = Text(max=8192)


class UserList(Schema):
    limit = QueryWhole(low=1, high=100, load_default=50)
    cursor = cursor()


class SessionCreate(Schema):
    title = Text(max=lambda config: config.title_max_length, allow_none=True, load_default=None)


class SessionRename(Schema):
    title = Text(max=lambda config: config.title_max_length, allow_none=True, required=True)


class SessionList(Schema):
    search = Text(max=255, blank=True, load_default=None)
    deleted = QueryTruth(load_default=False)
    limit = QueryWhole(low=1, high=100, load_default=50)
    cursor = cursor()


class MessageCreate(Schema):
    content = Text(max=lambda config: config.message_max_length, required=True)
    role = OneOf(("user", "assistant"), load_default="user")


class MessageEdit(Schema):
    content = Text(max=lambda config: config.message_max_length, required=True)


class MessageList(Schema):
    limit = QueryWhole(low=1, high=200, load_default=200)
    order = OneOf(("asc", "desc"), load_default="asc")
    cursor = cursor()


class TokensOut(Schema):
    access_token = fields.String()
    refresh_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    csrf_token = fields.String()


class MeOut(Schema):
    id = fields.String()
    username = fields.String()
    role = fields.String()


class UserOut(MeOut):
    created_at = fields.DateTime()
    is_disabled = fields.Boolean()


class SessionOut(Schema):
    id = fields.UUID(data_key="_id")
    user_id = fields.String()
    title = fields.String()
    message_count = fields.Integer()
    last_message_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class MessageOut(Schema):
    id = fields.Integer(data_key="_id")
    session_id = fields.UUID()
    user_id = fields.String()
    content = fields.String()
    role = fields.String()
    status = fields.String()
    created_at = fields.DateTime()
    edited_at = fields.DateTime(allow_none=True)
