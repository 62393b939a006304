"""`/docs` and `/redoc`: the document as a page, from files of this package and from nowhere else."""

from __future__ import annotations

import secrets

from flask import Response, render_template

from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.web.files import WEB, version

door = Door("docs", __name__, template_folder=str(WEB / "templates"))

# The one style that ReDoc 2.5.4 inserts before it can be told a nonce: first empty, then filled.
REDOC_STYLES = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
BOTH = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@door.route_for("GET", "/docs", Route(Allow.ANYONE, "The document in Swagger UI", limited=False, page=True))
def docs() -> Response:
    return _page("docs/swagger.html", f"{BOTH}; style-src 'self'; img-src 'self' data:")


@door.route_for("GET", "/redoc", Route(Allow.ANYONE, "The document in ReDoc", limited=False, page=True))
def redoc() -> Response:
    nonce = secrets.token_urlsafe(18)
    return _page("docs/redoc.html", f"{BOTH}; style-src 'self' 'nonce-{nonce}' {REDOC_STYLES}; img-src 'self' data:; worker-src blob:", nonce=nonce)


def _page(template: str, policy: str, **facts: str) -> Response:
    text = render_template(template, version=version(), **facts)
    return Response(text, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})
