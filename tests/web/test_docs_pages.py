"""`/docs` and `/redoc`: whole, from this service alone, under a strict policy."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

import chatsvc
from chatsvc.extensions import db
from chatsvc.web import files as pages
from tests import factories
from tests.web import browser
from tests.web.browser import expect

PAGES = ("/docs", "/redoc")
REFERENCE = re.compile(r'(?:src|href|data-url)="([^"]+)"')
INLINE = re.compile(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = chatsvc.create_app(
        factories.settings(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'chatsvc.db'}", RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="1/hour")
    )
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def address(service: Flask) -> Iterator[str]:
    """Where the service listens for a real browser."""
    server = make_server("127.0.0.1", 0, service, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds_no_script_and_all_that_it_names_is_here(service: Flask, page: str) -> None:
    client = service.test_client()
    response = client.get(page)
    assert response.content_type == "text/html; charset=utf-8"
    assert not INLINE.search(response.text)
    named = [one for one in REFERENCE.findall(response.text) if not one.startswith("data:")]
    assert len(named) >= 4
    for one in named:
        assert one.startswith("/")
        assert client.get(one).status_code == 200, one


@pytest.mark.parametrize("page", PAGES)
def test_a_page_may_load_from_here_only(service: Flask, page: str) -> None:
    response = service.test_client().get(page)
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)
    assert "http" not in str(policy)
    assert response.headers["Cache-Control"] == "no-store"


def test_the_nonce_of_a_page_is_good_once(service: Flask) -> None:
    nonces = set()
    for _ in range(3):
        response = service.test_client().get("/redoc")
        (nonce,) = re.findall(r'nonce="([^"]+)"', response.text)
        assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
        nonces.add(nonce)
    assert len(nonces) == 3


def test_the_pages_are_open_to_all_and_not_counted(service: Flask) -> None:
    client = service.test_client()
    for path in (*PAGES, *PAGES, "/openapi.json", "/openapi.json"):
        response = client.get(path)
        assert response.status_code == 200
        assert "RateLimit" not in response.headers


def test_files_may_be_kept_for_long_and_come_packed(service: Flask) -> None:
    client = service.test_client()
    for name, path in pages.files().items():
        response = client.get(f"/static/{pages.version()}/{name}")
        assert response.data == path.read_bytes()
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if name.endswith((".js", ".css")):
            packed = client.get(f"/static/{pages.version()}/{name}", headers={"Accept-Encoding": "gzip"})
            assert packed.headers["Content-Encoding"] == "gzip"
            assert packed.headers["Vary"] == "Accept-Encoding"
            assert gzip.decompress(packed.data) == response.data
            assert response.content_type == ("text/javascript; charset=utf-8" if name.endswith(".js") else "text/css; charset=utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing.js",
        "../templates/docs/redoc.html",
        "%2e%2e/templates/docs/redoc.html",
        "..%2f..%2f..%2fconfig.py",
        "/etc/passwd",
        "docs",
        "docs/",
        "docs\\docs.css",
        "docs/docs.css%00",
    ],
)
def test_nothing_else_of_the_file_system_is_reached(service: Flask, name: str) -> None:
    response = service.test_client().get(f"/static/{pages.version()}/{name}")
    assert response.status_code == 404
    assert response.json == {"detail": "There is nothing at this address"}


def test_a_file_has_no_other_version(service: Flask) -> None:
    assert service.test_client().get("/static/000000000000/docs/docs.css").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_a_browser_shows_the_page_and_refuses_nothing(address: str, page: str, chromium: Any) -> None:
    with browser.context(chromium, address) as windows:  # which asks whether anything was refused
        said: list[str] = []
        visit = windows()
        visit.page.on("console", lambda message: said.append(message.text))
        visit.open(page)
        for words in ("Create a session", "/api/v1/chat/stream/{reply_id}/cancel"):
            expect(visit.page.locator("body")).to_contain_text(words)
        visit.painted()
        assert said == []
