"""The Idempotency-Key of a request: the same request again gets the first answer."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from flask import Response, request

from chatsvc.api.common import wire
from chatsvc.core import idempotency
from chatsvc.core.errors import Invalid, Problem
from chatsvc.core.idempotency import Claim
from chatsvc.extensions import settings

KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


def once(user_id: str, work: Callable[[], idempotency.Answer]) -> Response:
    """Does the work, or replays what it answered before."""
    claim = claim_of(user_id)
    given = work() if claim is None else idempotency.once(claim, work)
    response = wire.answer(given.body, given.status)
    if given.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def claim_of(user_id: str) -> Claim | None:
    """What the caller asked to be done at most once, if they did."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise Invalid(Problem("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
    return Claim(user_id, key, _fingerprint())


def _fingerprint() -> str:
    """What the key stands for: method, path and body. With a key of ours, since a body may hold a secret that could be guessed from its digest."""
    head = f"{request.method} {request.full_path}\n".encode("utf-8", "surrogatepass")
    return hmac.new(settings().encryption_key.encode(), head + request.get_data(cache=True), hashlib.sha256).hexdigest()
