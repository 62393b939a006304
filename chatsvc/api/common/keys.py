"""Which key verifies a token: fixed per algorithm, so that no token chooses how it is checked."""

from __future__ import annotations

import http.client
import json
import logging
import math
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK

from config import DatedSecret, SettingError

log = logging.getLogger(__name__)

FRESH_SECONDS = 300
FETCHES = 3  # so many at most ...
FETCHES_SECONDS = 90  # ... in any such time: enough for a rotation right after a renewal, and nothing for a flood to build on
READ_TIMEOUT = 3
FETCH_TIMEOUT = 5
WAIT_FOR_A_FETCH = 3
MAX_SET_BYTES = 256 * 1024
RSA_BITS = range(2048, 8193)
LEEWAY_SECONDS = 30  # clocks of two machines differ a little; whether a token has expired is checked without it


class Keys:
    """The HS256 secret and others that are good until a date, and where configured one public key or an issuer's key set."""

    def __init__(self, *, secret: str, others: Sequence[DatedSecret] = (), public_key: str, jwks_url: str, issuer: str = "", audience: str = "") -> None:
        _check_secret("JWT_SECRET_KEY", secret)
        for other in others:
            _check_secret("JWT_OTHER_SECRET_KEYS", other.secret)
        self.secret = secret
        self.others = [other for other in others if other.is_good]
        if len(self.others) < len(others):
            log.warning("of %d keys in JWT_OTHER_SECRET_KEYS %d are no longer good: their date is past", len(others), len(others) - len(self.others))
        self.public_key = _public_key(public_key) if public_key else None
        self.key_set = KeySet(jwks_url) if jwks_url else None
        self.issuer = issuer or None
        self.audience = audience or None

    def claims(self, text: str) -> dict[str, Any]:
        """What a token says, its signature and times checked; jwt.PyJWTError when it is none of ours."""
        # Where there is one key, nobody has to look into the token to choose it: reading it is most of the work.
        key = self.choose(jwt.get_unverified_header(text)) if self.public_key or self.key_set else self.secret
        try:
            return self._read(text, key, self.algorithms)
        except jwt.InvalidSignatureError:
            # No `kid` says which secret it was: an outside issuer's tokens may have none, and the few that there are are tried in microseconds.
            for other in self.others if key is self.secret else ():
                with suppress(jwt.InvalidSignatureError):
                    if other.is_good:
                        return self._read(text, other.secret, ["HS256"])
            raise

    def _read(self, text: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
        return jwt.decode(text, key, algorithms, {"verify_aud": self.audience is not None}, audience=self.audience, issuer=self.issuer, leeway=LEEWAY_SECONDS)

    def same_until(self, now: float) -> float:
        """When the next of the keys stops being good: what was checked before holds no longer than that."""
        return min((other.until for other in self.others if other.until > now), default=math.inf)

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
            if self.public_key is not None and algorithm_of(self.public_key) == algorithm:
                return self.public_key
        raise jwt.InvalidKeyError("no key for this token")


def _check_secret(name: str, secret: str) -> None:
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError:
        raise SettingError(f"{name} must be a secret, not a key pair, a certificate or a JWK.") from None


def algorithm_of(key: object) -> str | None:
    """The one algorithm that this key verifies here; None for a key that is private, weak, or of another kind."""
    if isinstance(key, RSAPublicKey):
        return "RS256" if key.key_size in RSA_BITS else None
    return "ES256" if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


def _public_key(pem: str) -> RSAPublicKey | EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except Exception:
        raise SettingError("JWT_PUBLIC_KEY cannot be read as a public key in PEM form.") from None
    if algorithm_of(key) is None or not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise SettingError("JWT_PUBLIC_KEY must be an RSA key of 2048 to 8192 bits or a P-256 key.")
    return key


class KeySet:
    """An issuer's keys by id: kept while fresh, renewed when an unknown id appears but not at an attacker's pace, used on while the issuer is away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried: deque[float] = deque(maxlen=FETCHES)
        self._fetching: threading.Event | None = None
        self._lock = threading.Lock()

    def get(self, kid: str) -> PyJWK | None:
        """The key of this id. A known one is never waited for; for an unknown one, a fetch that is under way is."""
        if kid in self._keys:
            if time.monotonic() - self._fetched_at > FRESH_SECONDS:
                self._renewal()
            return self._keys.get(kid)
        for _ in range(2):  # a fetch that was under way already may bring what was there before this key was
            fetch = self._renewal()
            if fetch is None or not fetch.wait(WAIT_FOR_A_FETCH) or kid in self._keys:
                break
        return self._keys.get(kid)

    def _renewal(self) -> threading.Event | None:
        """The fetch that is under way, or one begun now if it is time for one."""
        with self._lock:
            now = time.monotonic()
            if self._fetching is None and (len(self._tried) < FETCHES or now - self._tried[0] > FETCHES_SECONDS):
                self._tried.append(now)
                done = threading.Event()
                # A thread of its own: however slow the issuer is, no request is slowed for longer than it agreed to wait.
                threading.Thread(target=self._renew, args=(done,), name="jwks", daemon=True).start()
                self._fetching = done
            return self._fetching

    def _renew(self, done: threading.Event) -> None:
        try:
            self._keys = fetched(self.url)
            self._fetched_at = time.monotonic()
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            log.warning("the key set at JWT_JWKS_URL could not be renewed (%s); %d known keys stay in use", type(error).__name__, len(self._keys))
        finally:
            with self._lock:
                self._fetching = None
            done.set()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address in the settings was checked; the one that it might point to was not."""

    def redirect_request(self, *args: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def fetched(url: str) -> dict[str, PyJWK]:
    """The usable keys of the set at this address; ValueError when there is none, so that garbage never replaces what is known."""
    deadline = time.monotonic() + FETCH_TIMEOUT
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "chatsvc"})  # noqa: S310 - config.py admits https, and http on loopback
    body = b""
    with _opener.open(request, timeout=READ_TIMEOUT) as response:
        while piece := response.read1(65536):
            body += piece
            if len(body) > MAX_SET_BYTES or time.monotonic() > deadline:
                raise ValueError("too large or too slow")
    document = json.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    usable = [_usable(entry) for entry in entries] if isinstance(entries, list) else []
    found = {key.key_id: key for key in usable if key is not None and key.key_id is not None}
    if not found:
        raise ValueError("no usable key")
    return found


def _usable(entry: Any) -> PyJWK | None:
    """A key to verify RS256 or ES256 with. One that is not, or that cannot be read, does not spoil the others."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK.from_dict(entry)
        return key if algorithm_of(key.key) == key.algorithm_name else None
    except Exception:  # whatever a library makes of a strange key
        return None
