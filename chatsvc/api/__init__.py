"""The doors: one folder per contract, mounted here."""

from __future__ import annotations

from flask import Flask

from chatsvc.api import health, openapi, scrapes
from chatsvc.api.app import auths
from chatsvc.api.app import messages as app_messages
from chatsvc.api.app import sessions as app_sessions
from chatsvc.api.common import errors, headers, measured
from chatsvc.api.common.wire import detail_error, envelope_error, page_error
from chatsvc.api.envelope import api_keys, conversations, exchanges, export, operations, people, personas
from chatsvc.api.envelope import sessions as envelope_sessions
from chatsvc.api.openapi import pages
from chatsvc.api.v1 import chat, chat_sessions, messages, sessions, stats

V1 = (stats.door, sessions.door, messages.door, chat_sessions.door, chat.door)
APP = (auths.door, app_sessions.door, app_messages.door)
ENVELOPE = (
    *(operations.door, envelope_sessions.door, personas.door, conversations.door, exchanges.door, exchanges.callbacks),
    *(api_keys.door, people.door),
)
DOORS = (health.door, *APP, *V1, *ENVELOPE, openapi.door, pages.door)


def mount(app: Flask) -> None:
    measured.install(app, app.extensions["chatsvc.metrics"], in_the_log=app.extensions["chatsvc.settings"].log_requests)
    headers.install(app)
    errors.install(app, shape_of)
    export.install(app)
    openapi.install(app, lambda path: shape_of(path) is envelope_error)
    for door in DOORS:
        app.register_blueprint(door)
    scrapes.install(app)


def shape_of(path: str) -> errors.Shape:
    """Which face's error shape answers under this path, whether or not there is anything."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first == "chat-ui":
        return page_error
    return envelope_error if first == "api" and rest.partition("/")[0] != "v1" else detail_error
