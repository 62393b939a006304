"""How a webhook knows that this service calls, and this service that a webhook does: an HMAC over the time and the body."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
SIGNATURE = re.compile(r"v1=[0-9a-f]{64}", re.ASCII)
TOLERANCE_SECONDS = 300


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body sent at this time (whole seconds since 1970, in digits)."""
    signed = timestamp.encode("ascii") + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def sign_with_each(secrets: Iterable[str], timestamp: str, body: bytes) -> str:
    """The signatures by each of these secrets, with a blank between: who reads them looks for the one that it can make itself."""
    return " ".join(sign(secret, timestamp, body) for secret in secrets)


def verify(secret: str, timestamp: str | None, body: bytes, signature: str | None, now: float, *, tolerance: float = TOLERANCE_SECONDS) -> bool:
    """Whether who holds the secret signed this body at this time, and that not long from now. Nobody holds an empty secret."""
    timestamp, signature = timestamp or "", signature or ""
    if not secret or not TIMESTAMP.fullmatch(timestamp) or not SIGNATURE.fullmatch(signature):
        return False
    genuine = hmac.compare_digest(sign(secret, timestamp, body), signature)
    return genuine and abs(now - int(timestamp)) <= tolerance
