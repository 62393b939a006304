"""Errors, rendered once: the status from the kind of error, the shape from the face that the path begins with."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from chatsvc.api.common import wire
from chatsvc.core import about, errors

log = logging.getLogger(__name__)

# The body of an error: an object, or the text of a page.
Shape = Callable[[str, list[dict[str, str]], dict[str, Any]], dict[str, Any] | str]

STATUS: dict[type[errors.ChatError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.WrongCredentials: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.KeyBusy: 409,
    errors.KeyReused: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
WORDS = {
    400: "The request cannot be understood",
    404: "There is nothing at this address",
    405: "This method is not allowed here",
    413: "The body is larger than 1 MiB",
    415: "Send the body as application/json",
}


def install(app: Flask, shape_of: Callable[[str], Shape]) -> None:
    """Registers the handlers; `shape_of` gives a path's face."""

    def render(status: int, message: str, problems: list[dict[str, str]] | None = None, facts: dict[str, Any] | None = None) -> Response:
        body = shape_of(request.path)(message, problems or [], facts or {})
        return Response(body, status, content_type=wire.PAGE_TYPE) if isinstance(body, str) else wire.answer(wire.encoded(body), status)

    @app.errorhandler(errors.ChatError)
    def refused(error: errors.ChatError) -> Response:
        status = next(code for kind in type(error).__mro__ if (code := STATUS.get(kind)))
        problems = [{"field": problem.field, "message": problem.message} for problem in error.problems] if isinstance(error, errors.Invalid) else []
        response = render(status, error.message, problems, error.facts)
        if isinstance(error, errors.Unauthenticated):
            response.headers["WWW-Authenticate"] = "Bearer"
        wait = 1.0 if isinstance(error, errors.KeyBusy) else getattr(error, "retry_after", None)
        if wait is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return response

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response | HTTPException:
        if isinstance(error, RequestRedirect):
            return error
        status = error.code or 500
        message = WORDS.get(status, error.name)
        response = render(status, message, [{"field": "body", "message": message}] if status in (413, 415) else [])
        for name, value in error.get_headers():
            if name.lower() in ("allow", "retry-after"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.error("request %s failed: %s %s", about.request_id(), request.method, request.url_rule or "unknown address", exc_info=error)
        return render(500, f"Something went wrong here. If it goes on, report request {about.request_id()}")
