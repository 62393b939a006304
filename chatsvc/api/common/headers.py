"""What every answer carries, and which pages elsewhere may call."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, request

from chatsvc.api.common import limits, measured
from chatsvc.api.common.caller import over_tls
from chatsvc.core import about
from chatsvc.extensions import settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ONLY_TLS = "max-age=31536000"
ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, X-Request-ID"
EXPOSED_HEADERS = "X-Request-ID, Idempotent-Replayed, Retry-After, RateLimit, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Link"


def install(app: Flask) -> None:
    @app.before_request
    def name_the_request() -> Response | None:
        rule, given = request.url_rule, request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        about.begin(request_id, measured.method_of(request.method), rule.rule if rule else None)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers and _from_elsewhere():
            return Response(status=204)
        return None

    @app.after_request
    def finish(response: Response) -> Response:
        wanted = {"X-Request-ID": about.request_id(), **SAFETY, **({"Strict-Transport-Security": ONLY_TLS} if over_tls() else {}), **limits.headers()}
        # All at once: each look into the headers compares every name that is there.
        there = {name.lower() for name, _ in response.headers}
        response.headers.extend([(name, value) for name, value in wanted.items() if name.lower() not in there])
        return _cors(response)


def _from_elsewhere() -> bool:
    return request.headers.get("Origin") in settings().cors_origins


def _cors(response: Response) -> Response:
    """The exact origin that asked, if it is on the list; never with cookies."""
    if not settings().cors_origins:
        return response
    response.vary.add("Origin")
    if _from_elsewhere():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
    return response
