"""Tokens taken apart and put together by hand, as somebody would who wants in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.factories import SECRET

Signer = Callable[[bytes], bytes]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def segment(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def hs256(secret: str | bytes = SECRET, hash_name: str = "sha256") -> Signer:
    key = secret.encode() if isinstance(secret, str) else secret
    return lambda message: hmac.new(key, message, getattr(hashlib, hash_name)).digest()


def rs256(key: rsa.RSAPrivateKey) -> Signer:
    return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def unsigned(_message: bytes) -> bytes:
    return b""


def claims(**more: Any) -> dict[str, Any]:
    body = {"sub": "owner", "exp": int(time.time()) + 3600, **more}
    return {name: value for name, value in body.items() if value is not ...}


def forged(payload: Any = None, header: Any = None, signer: Signer | None = None) -> str:
    """A token of exactly these parts; without words, a good one."""
    head, body = segment({"alg": "HS256", "typ": "JWT"} if header is None else header), segment(claims() if payload is None else payload)
    return f"{head}.{body}.{b64((signer or hs256())(f'{head}.{body}'.encode()))}"


@cache
def rsa_key(name: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key pair, made once for each name."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str = "", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
