"""The files that pages are made of, from this package and from nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

WEB = Path(__file__).resolve().parent
YEAR = "public, max-age=31536000, immutable"
TEXTS = (".js", ".css", ".txt", ".svg")

files_blueprint = Blueprint("web", __name__)


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


@files_blueprint.get("/static/<asked>/<path:name>")
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
