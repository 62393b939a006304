"""`/openapi.json`: the document of every route there is, for tools and for the pages that show it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from flask import Flask, Response, current_app

from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.api.common.wire import answer, encoded
from chatsvc.api.openapi import document

door = Door("openapi", __name__)


def install(app: Flask, has_envelope: Callable[[str], bool]) -> None:
    """Keeps the document ready; it is made when first asked for, since every door must be mounted by then."""

    @cache
    def text() -> bytes:
        return encoded(document.build(app, has_envelope=has_envelope))

    app.extensions["chatsvc.openapi"] = text


@door.route_for("GET", "/openapi.json", Route(Allow.ANYONE, "This document", limited=False))
def openapi() -> Response:
    return answer(current_app.extensions["chatsvc.openapi"](), 200)
