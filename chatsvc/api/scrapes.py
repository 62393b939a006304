"""`/metrics`: for whoever has the token, and on a port of its own.

It stands before the application and not among its routes: to everybody else there is nothing, in whatever way they ask.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from chatsvc.core import scraping
from chatsvc.core.exposition import CONTENT_TYPE
from config import Settings, is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

PATH = "/metrics"
HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def install(app: Flask) -> None:
    settings: Settings = app.extensions["chatsvc.settings"]
    if settings.metrics_on:
        app.wsgi_app = Scrapes(app, app.wsgi_app, settings)  # type: ignore[method-assign]


class Scrapes:
    """Answers those who may look at the figures, and hands on everything else."""

    def __init__(self, app: Flask, within: WSGIApplication, settings: Settings) -> None:
        self._app = app
        self._within = within
        self._token = settings.metrics_token.encode()
        # As the server spells the port that a connection came in by; no client has a say in it.
        self._own_port = str(settings.metrics_port)
        self._own_port_is_open = is_loopback(settings.metrics_host)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["SERVER_PORT"] == self._own_port:
            if environ["PATH_INFO"] == PATH and (self._own_port_is_open or self._has_token(environ)):
                return self._told(environ, start_response)
            return _answer(start_response, "404 Not Found", b"There is nothing at this address\n", "text/plain; charset=utf-8")
        if environ["PATH_INFO"] == PATH and self._has_token(environ):
            return self._told(environ, start_response)
        return self._within(environ, start_response)

    def _has_token(self, environ: dict[str, Any]) -> bool:
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        return bool(self._token) and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)

    def _told(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", b"Ask by GET\n", "text/plain; charset=utf-8")
        with self._app.app_context():
            text = scraping.text()
        found = _answer(start_response, "200 OK", text, CONTENT_TYPE)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else found


def _answer(start_response: StartResponse, status: str, body: bytes, content_type: str) -> list[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *HEADERS])
    return [body]
