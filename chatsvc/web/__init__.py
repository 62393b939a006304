"""Pages for people: what they are made of, and the chat page."""

from __future__ import annotations

from flask import Flask

from chatsvc.web import chat
from chatsvc.web.files import files_blueprint


def mount(app: Flask) -> None:
    app.register_blueprint(files_blueprint)
    app.register_blueprint(chat.door)
