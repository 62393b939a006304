"""Every request is counted once, when its answer is ready; and told in the log, where that is wanted."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import NamedTuple

from flask import Flask, Response

from chatsvc.core import about
from chatsvc.core.metrics import REQUEST_BOUNDS, REQUEST_SECONDS, REQUESTS, Metrics
from chatsvc.core.tally import SUM, Key

log = logging.getLogger("chatsvc.requests")

METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
OTHER_METHOD = "OTHER"
NO_ROUTE = "unknown"  # whatever is asked there, it is one
# The longest first: what stands under a face's prefix is that face's.
FACES = (("/api/v1/", "v1"), ("/api/", "envelope"), ("/chat/", "app"), ("/auths/", "app"), ("/chat-ui/", "page"), ("/static/", "page"))


class Line(NamedTuple):
    """What requests of one route, method and status have in common: where they are counted, and what their line in the log says."""

    requests: int
    buckets: list[int]
    total: int
    face: str
    route: str


def install(app: Flask, metrics: Metrics, *, in_the_log: bool) -> None:
    """Before the headers: what is registered first has the last look at an answer."""
    lines: dict[tuple[str | None, str, int], Line] = {}
    add_three = metrics.tally.add_three

    @app.after_request
    def count(response: Response) -> Response:
        asked = about.current()
        if asked is None:
            return response
        key = (asked.route, asked.method, response.status_code)
        line = lines.get(key)
        if line is None:
            line = lines[key] = _line(metrics, *key)
        seconds = time.perf_counter() - asked.began
        add_three(line.requests, line.buckets[bisect_left(REQUEST_BOUNDS, seconds)], line.total, seconds)
        if in_the_log:
            _tell(asked.method, line, response.status_code, seconds)
        return response


def method_of(name: str) -> str:
    return METHODS.get(name, OTHER_METHOD)


def face_of(route: str | None) -> str:
    return next((face for beginning, face in FACES if f"{route}/".startswith(beginning)), "none")


def _line(metrics: Metrics, rule: str | None, method: str, status: int) -> Line:
    route, face = rule or NO_ROUTE, face_of(rule)
    labels = (("method", method), ("route", route), ("face", face))
    buckets = metrics.buckets(REQUEST_SECONDS, labels)
    return Line(metrics.tally.place(Key(SUM, REQUESTS.name, (*labels, ("status", str(status))))), buckets.places, buckets.total, face, route)


def _tell(method: str, line: Line, status: int, seconds: float) -> None:
    facts = {"method": method, "route": line.route, "face": line.face, "status": status, "ms": round(seconds * 1000, 3)}
    log.info("%s %s %d", method, line.route, status, extra={"facts": facts})
