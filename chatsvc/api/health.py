"""`/healthz` and `/readyz`: for whoever watches over the process."""

from __future__ import annotations

from flask import Response
from marshmallow import Schema, fields

from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.common.wire import answer, encoded
from chatsvc.core import health

door = Door("health", __name__)


class HealthOut(Schema):
    status = fields.String()


@door.route_for("GET", "/healthz", Route(Allow.ANYONE, "Alive; asks nothing of anybody", answer=HealthOut, limited=False))
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@door.route_for("GET", "/readyz", Route(Allow.ANYONE, "Able to work: the database answers and its migrations are current", answer=HealthOut, limited=False))
def readyz() -> Response:
    wrong = health.check()
    if not wrong:
        return answer(encoded({"status": "ok"}), 200)
    response = answer(encoded({"status": "unavailable", "checks": wrong}), 503)
    response.headers["Retry-After"] = "2"
    return response
