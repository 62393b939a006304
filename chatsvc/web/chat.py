"""`/chat-ui`: the chat page, and the page for admins. Each is the same for everybody; what it shows it asks of the documented routes."""

from __future__ import annotations

from functools import cache

from flask import Response, render_template, request
from marshmallow import Schema

from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.common.fields import OneOf, QueryTruth, Text, Uuid
from chatsvc.extensions import settings
from chatsvc.web.files import WEB, files, version

door = Door("chat", __name__, url_prefix="/chat-ui", template_folder=str(WEB / "templates"))

# Trusted Types: one policy, that of the sanitiser, and nothing else may turn text into markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"
)
ALONE = {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=()"}
FIRST = ("preact/preact.js", "preact/hooks.js", "signals-core/signals-core.js", "signals/signals.js", "htm/htm.js")
# Asked for once there is something to show with them.
LATER = ("chat/markdown.js", "chat/sanitise.js", "chat/code.js")
AT_ONCE = "chat/theme.js"
# What the page for admins is made of beside its own folder.
SHARED = ("account", "api", "dialog", "facts", "ids", "keep", "lib", "notices", "signin", "tabs", "themes", "times")
STYLES = {
    "chat": ("chat/theme", "chat/base", "chat/layout", "chat/sidebar", "chat/conversation", "chat/text"),
    "admin": ("chat/theme", "chat/base", "chat/layout", "chat/sidebar", "admin/admin", "admin/plots"),
}
TITLES = {"chat": "Chats", "admin": "Admin"}
PERIODS = ("7", "30", "90")


class Place(Schema):
    """What the page keeps in its address beside the chat; it reads this by itself."""

    search = Text(max=255, blank=True)
    deleted = QueryTruth()


class View(Schema):
    """What the page for admins keeps in its address; it reads this by itself."""

    days = OneOf(PERIODS)
    persona = Uuid()


@door.route_for("GET", "", Route(Allow.ANYONE, "The chat page", query=Place, limited=False, page=True))
def page(**_: object) -> Response:
    return _shown("chat")


@door.route_for("GET", "/admin", Route(Allow.ANYONE, "The page for admins", query=View, limited=False, page=True))
def admin(**_: object) -> Response:
    return _shown("admin")


@door.route_for("GET", "/<session_id>", Route(Allow.ANYONE, "The chat page with one chat open", query=Place, limited=False, page=True))
def one_chat(**_: object) -> Response:
    return _shown("chat")


@door.route_for("GET", "/", Route(Allow.ANYONE, "The chat page, asked for with a slash too many", query=Place, limited=False, page=True))
def with_a_slash(**_: object) -> Response:
    return Response(status=308, headers={"Location": request.full_path.replace("/?", "?", 1).rstrip("?")})


def _shown(name: str) -> Response:
    made_of = {"title": TITLES[name], "styles": [f"{style}.css" for style in STYLES[name]], "scripts": _scripts(name), "main": f"{name}/main.js"}
    text = render_template("chat/page.html", version=version(), facts=_facts(), **made_of)
    return Response(text, content_type="text/html; charset=utf-8", headers=ALONE)


def _facts() -> dict[str, object]:
    """What the page cannot ask of any route."""
    config = settings()
    return {
        "registration": config.registration,
        "keepsMessages": config.message_history,
        "longestMessage": config.message_max_length,
        "longestTitle": config.title_max_length,
        "chatsAtOnce": min(50, config.max_page_size),
        "deletedForDays": config.cleanup_days,
        "personas": config.chat_sessions,
    }


@cache
def _scripts(name: str) -> list[str]:
    """What the first view needs; named at once, or each would be found only when the one that asks for it has come."""
    ours = [file for file in files() if file.startswith(f"{name}/") and file.endswith(".js") and file not in (*LATER, AT_ONCE)]
    return [f"vendor/{file}" for file in FIRST] + ours + ([f"chat/{file}.js" for file in SHARED] if name == "admin" else [])
