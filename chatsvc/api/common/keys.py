"""Which key verifies a token: fixed per algorithm, so that no token chooses how it is checked."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from typing import Any

import jwt
from jwt import PyJWK

log = logging.getLogger(__name__)

FRESH_SECONDS = 300
LEAST_SECONDS_BETWEEN_FETCHES = 30
FETCH_TIMEOUT = 5
MAX_SET_BYTES = 256 * 1024


class Keys:
    """The HS256 secret, and where configured one public key or an issuer's key set."""

    def __init__(self, *, secret: str, public_key: str, jwks_url: str) -> None:
        self.secret = secret
        self.public_key = public_key
        self.key_set = KeySet(jwks_url) if jwks_url else None

    @property
    def algorithms(self) -> list[str]:
        return ["HS256", "RS256", "ES256"] if self.public_key or self.key_set else ["HS256"]

    def choose(self, header: dict[str, Any]) -> Any:
        """The key for a token with this header; jku, x5u and jwk in it are not looked at."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == "HS256":
            return self.secret
        if algorithm in ("RS256", "ES256"):
            key = self.key_set.get(kid) if self.key_set and isinstance(kid, str) else None
            if key is not None and key.algorithm_name == algorithm:
                return key
            if self.public_key:
                return self.public_key
        raise jwt.InvalidKeyError("no key for this token")


class KeySet:
    """An issuer's keys by id: kept while fresh, renewed when an unknown id appears but not at an attacker's pace, used on while the issuer is away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def get(self, kid: str) -> PyJWK | None:
        now = time.monotonic()
        stale = now - self._fetched_at > FRESH_SECONDS
        if (stale or kid not in self._keys) and now - self._tried_at > LEAST_SECONDS_BETWEEN_FETCHES:
            self._renew(wait=kid not in self._keys)
        return self._keys.get(kid)

    def _renew(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait, timeout=FETCH_TIMEOUT * 2 if wait else -1):
            return
        try:
            if time.monotonic() - self._tried_at <= LEAST_SECONDS_BETWEEN_FETCHES:
                return
            self._tried_at = time.monotonic()
            self._keys = self._fetch()
            self._fetched_at = time.monotonic()
        except (OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("the key set at JWT_JWKS_URL could not be renewed (%s); %d known keys stay in use", type(error).__name__, len(self._keys))
        finally:
            self._lock.release()

    def _fetch(self) -> dict[str, PyJWK]:
        with urllib.request.urlopen(self.url, timeout=FETCH_TIMEOUT) as response:  # noqa: S310 - config.py admits https, and http on loopback
            document = json.loads(response.read(MAX_SET_BYTES))
        found = {}
        for entry in document["keys"] if isinstance(document, dict) and isinstance(document.get("keys"), list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("kid"), str) and entry.get("kty") in ("RSA", "EC") and entry.get("use", "sig") == "sig":
                found[entry["kid"]] = PyJWK.from_dict(entry)
        return found
