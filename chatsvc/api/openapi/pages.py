"""`/docs` and `/redoc`: the document as a page, from files of this package and from nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import secrets
from functools import cache
from pathlib import Path

from flask import Response, render_template, request
from werkzeug.exceptions import NotFound

from chatsvc.api.common.door import Allow, Door, Route

WEB = Path(__file__).resolve().parents[2] / "web"
YEAR = "public, max-age=31536000, immutable"
TEXTS = (".js", ".css", ".txt", ".svg")

door = Door("docs", __name__, template_folder=str(WEB / "templates"))

# The one style that ReDoc 2.5.4 inserts before it can be told a nonce: first empty, then filled.
REDOC_STYLES = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
BOTH = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def files() -> dict[str, Path]:
    """What is served, by name; nothing else can be reached."""
    return {path.relative_to(WEB / "static").as_posix(): path for path in sorted((WEB / "static").rglob("*")) if path.is_file()}


@cache
def version() -> str:
    """Changes with any of the files, so that each may be kept for long under its address."""
    digest = hashlib.sha256()
    for name, path in files().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


@cache
def packed(name: str) -> bytes:
    return gzip.compress(files()[name].read_bytes(), mtime=0)


@door.get("/static/<asked>/<path:name>")
def static(asked: str, name: str) -> Response:
    if asked != version() or name not in files():
        raise NotFound
    response = Response(content_type=_type(name), headers={"Cache-Control": YEAR})
    if name.endswith(TEXTS) and request.accept_encodings["gzip"]:
        response.data, response.content_encoding = packed(name), "gzip"
    else:
        response.data = files()[name].read_bytes()
    if name.endswith(TEXTS):
        response.vary.add("Accept-Encoding")
    return response


def _type(name: str) -> str:
    # Of our own making: a machine's list of types must not keep a page from loading its scripts.
    known = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".txt": "text/plain; charset=utf-8"}
    suffix = Path(name).suffix
    return known.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain; charset=utf-8"


@door.route_for("GET", "/docs", Route(Allow.ANYONE, "The document in Swagger UI", limited=False))
def docs() -> Response:
    return _page("docs/swagger.html", f"{BOTH}; style-src 'self'; img-src 'self' data:")


@door.route_for("GET", "/redoc", Route(Allow.ANYONE, "The document in ReDoc", limited=False))
def redoc() -> Response:
    nonce = secrets.token_urlsafe(18)
    return _page("docs/redoc.html", f"{BOTH}; style-src 'self' 'nonce-{nonce}' {REDOC_STYLES}; img-src 'self' data:; worker-src blob:", nonce=nonce)


def _page(template: str, policy: str, **facts: str) -> Response:
    text = render_template(template, version=version(), **facts)
    return Response(text, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})
