"""Secrets at rest: encrypted with CHAT_ENCRYPTION_KEY, each bound to the thing that it belongs to."""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatsvc.extensions import settings

NONCE_BYTES = 12


class Unreadable(Exception):
    """It was encrypted with another key, or has been moved or changed."""


def seal(secret: str, belongs_to: str) -> str:
    """The secret as it may be written down."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + _cipher().encrypt(nonce, secret.encode(), belongs_to.encode())).decode()


def unseal(sealed: str, belongs_to: str) -> str:
    """The secret again; Unreadable when it is not what was sealed for this."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        return _cipher().decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], belongs_to.encode()).decode()
    except (InvalidTag, ValueError):
        raise Unreadable("A secret cannot be read with this CHAT_ENCRYPTION_KEY; enter it anew") from None


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(settings().encryption_key.encode()).digest())
