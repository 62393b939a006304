"""`/chat-ui` as it is served: light, strict, and made of the documented routes alone."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

import chatsvc
from chatsvc.extensions import db
from chatsvc.web.chat import LATER
from chatsvc.web.files import WEB, files
from tests import factories

CHAT, ADMIN = WEB / "static" / "chat", WEB / "static" / "admin"
SCRIPTS = [*sorted(CHAT.glob("*.js")), *sorted(ADMIN.glob("*.js"))]
STYLES = [*sorted(CHAT.glob("*.css")), *sorted(ADMIN.glob("*.css"))]
COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|hwb|oklch|oklab|lab|lch|color)a?\(|\b(?:purple|violet|indigo|rebeccapurple|white|black|red|green|blue)\b(?!-)", re.I
)
PURPLE = re.compile(r"#[0-9a-f]{6}\b|purple|violet|indigo", re.I)
KIB = 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = chatsvc.create_app(
        factories.settings(f"sqlite:///{tmp_path_factory.mktemp('page') / 'chatsvc.db'}", RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="1/hour")
    )
    yield app
    with app.app_context():
        db.engine.dispose()


def facts_of(app: Flask) -> dict[str, Any]:
    """What the page is told about the service."""
    found = re.search(r'data-facts="([^"]*)"', app.test_client().get("/chat-ui").text)
    assert found
    return dict(json.loads(unescape(found[1])))


@pytest.mark.parametrize("path", ["/chat-ui", "/chat-ui/3f7cd70a-e334-4247-8b3b-0d9faee51e94", "/chat-ui?search=trip&deleted=true"])
def test_every_address_of_the_page_gives_the_same_page(service: Flask, path: str) -> None:
    response = service.test_client().get(path)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert response.data == service.test_client().get("/chat-ui").data
    assert response.headers["Cache-Control"] == "no-store"
    assert "RateLimit" not in response.headers


def test_a_slash_too_many_leads_to_the_page(service: Flask) -> None:
    response = service.test_client().get("/chat-ui/?search=x")
    assert (response.status_code, response.headers["Location"]) == (308, "/chat-ui?search=x")
    assert service.test_client().get("/chat-ui/").headers["Location"] == "/chat-ui"


def test_the_policy_lets_nothing_in_from_elsewhere_and_no_text_become_markup(service: Flask) -> None:
    parts = [part.split(" ", 1) for part in service.test_client().get("/chat-ui").headers["Content-Security-Policy"].split("; ")]
    policy: dict[str, str] = {part[0]: part[1] for part in parts}
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "dompurify",
    }


def test_the_page_holds_no_script_and_no_style_and_all_that_it_names_is_here(service: Flask) -> None:
    client = service.test_client()
    text = client.get("/chat-ui").text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=", text)
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(named) > 30
    for one in named:
        assert one.startswith("/")
        assert client.get(one).status_code == 200, one


def test_the_page_is_told_what_it_cannot_ask(make_app: Callable[..., Flask]) -> None:
    assert facts_of(make_app()) == {
        "registration": True,
        "keepsMessages": True,
        "longestMessage": 10000,
        "longestTitle": 255,
        "chatsAtOnce": 50,
        "deletedForDays": 30,
        "personas": True,
    }
    told = facts_of(make_app(CHAT_REGISTRATION="false", CHAT_MAX_PAGE_SIZE="20", CHAT_ENABLE_MESSAGE_HISTORY="false", ENABLE_CHAT_SESSIONS="false"))
    assert (told["registration"], told["chatsAtOnce"], told["keepsMessages"], told["personas"]) == (False, 20, False, False)


def test_every_address_in_the_scripts_is_a_documented_route(service: Flask) -> None:
    asked = {found for path in SCRIPTS for found in re.findall(r'["`](/(?:api|auths|chat)/[^"`?\s]*)', path.read_text())}
    assert len(asked) >= 8
    documented = json.loads(service.test_client().get("/openapi.json").data)["paths"]
    shapes = [re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "(?:/.*)?") for path in documented]
    for one in asked:
        plain = re.sub(r"\$\{[^}]*\}", "x", one)
        assert any(shape.fullmatch(plain) for shape in shapes), one


def test_every_file_of_the_page_can_be_reached_and_every_import_is_there(service: Flask) -> None:
    for path in SCRIPTS:
        for asked in re.findall(r"""(?:from |import\()["'](\.[^"']+)["']""", path.read_text()):
            assert (path.parent / asked).is_file(), f"{path.name} asks for {asked}"
    with pytest.raises(HTTPException):
        service.url_map.bind("localhost").match("/chat-ui/x/y")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_module_is_small_says_what_it_is_for_and_turns_no_text_into_markup(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// ")
    assert text.count("\n") <= 250
    assert not re.search(
        r"\.(?:innerHTML|outerHTML)|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write\(|\beval\(|new Function|createPolicy|srcdoc", text
    )
    if path.name != "sanitise.js":
        assert "DOMPurify" not in text, "there is one place where text becomes markup"
    assert "console." not in text


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, *CHAT.glob("*.svg"), WEB / "templates/chat/page.html"], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_colours_stand_in_one_file(path: Path) -> None:
    if path.name == "theme.css":
        assert len(PURPLE.findall(path.read_text())) > 3
        return
    assert not PURPLE.search(re.sub(r"--purple[a-z-]*|--on-purple|\(purple\)", "", path.read_text()))
    if path.suffix == ".css":
        assert not COLOUR.search(re.sub(r"--[a-z-]+|content-visibility|white-space", "", path.read_text()))


def weight(names: list[str]) -> int:
    return sum(len(gzip.compress(files()[name].read_bytes())) for name in names)


def test_the_page_is_light(service: Flask) -> None:
    text = service.test_client().get("/chat-ui").text
    first = sorted(set(re.findall(r"/static/[0-9a-f]+/([^\"]+)", text)))
    later = [*LATER, "vendor/markdown-it/markdown-it.js", "vendor/dompurify/dompurify.js", "vendor/highlight/core.js"]
    assert weight(first) + len(gzip.compress(text.encode())) < 60 * KIB
    assert weight([*first, *later]) < 250 * KIB
    # Whatever one shows first is named in the page itself, or it would be found only step by step.
    ours = {f"chat/{path.name}" for path in CHAT.glob("*.js")} - set(LATER)
    assert ours <= set(first)
    assert not any(name.startswith("admin/") for name in first)


def test_the_page_for_admins_is_light_and_names_all_that_it_is_made_of(service: Flask) -> None:
    text = service.test_client().get("/chat-ui/admin").text
    first = set(re.findall(r"/static/[0-9a-f]+/([^\"]+)", text))
    assert weight(sorted(first)) + len(gzip.compress(text.encode())) < 60 * KIB
    asked, found = {"admin/main.js"}, set[str]()
    while asked:
        name = asked.pop()
        found.add(name)
        path = WEB / "static" / name
        imported = re.findall(r"""from\s*["'](\.[^"']+)["']""", path.read_text())
        asked |= {(path.parent / one).resolve().relative_to(WEB / "static").as_posix() for one in imported} - found
    assert {name for name in first if name.endswith(".js")} == found | {"chat/theme.js"}
