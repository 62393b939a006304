"""Who is calling: one way in for bearer tokens and cookies, whoever issued the token."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

import jwt
from flask import current_app, request

from chatsvc.api.common.keys import Keys
from chatsvc.core import tokens
from chatsvc.core.api_keys import Key
from chatsvc.core.errors import Forbidden, Unauthenticated
from chatsvc.extensions import settings

ACCESS_COOKIE: Final = "chatsvc_access"
REFRESH_COOKIE: Final = "chatsvc_refresh"
CSRF_COOKIE: Final = "chatsvc_csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
OUR_OWN_PAGES: Final = ("same-origin", "none")  # "none": the person typed the address

MAX_TOKEN: Final = 8192
LAST_MOMENT: Final = 253_402_300_799  # the end of the year 9999
CACHE_SECONDS: Final = 60
CACHE_SIZE: Final = 5_000  # half a kilobyte each
# What issuers call the claim that tells a refresh token, which is no access token whoever made it.
KIND_CLAIMS: Final = ("type", "typ", "token_type", "token_use")
NOT_A_TOKEN = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Token(NamedTuple):
    """A token whose signature and times were checked."""

    user_id: str
    kind: str
    role: str
    expires_at: float
    csrf: str | None
    token_id: str
    sign_in: str | None
    sign_in_id: str | None
    credential: str
    credential_id: str | None

    @property
    def ids(self) -> list[str]:
        """Each may be revoked: the token, its sign-in, all sign-ins with the same password."""
        return [self.token_id, *filter(None, (self.sign_in_id, self.credential_id))]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody the service knows: by a token, or by a key that acts for them."""

    user_id: str
    username: str
    role: str
    token: Token | None = None
    key: Key | None = None

    @property
    def admin(self) -> bool:
        return self.role == "ADMIN"

    @property
    def let_in_with(self) -> list[str]:
        """What has to hold for as long as they are told something."""
        return [*(self.token.ids if self.token else ()), *((self.key.mark,) if self.key else ())]


def identify(kind: str = "access", cookie: str = ACCESS_COOKIE, *, along: bool = False) -> Caller:
    """Who sent this request; Unauthenticated, always alike, when that is nobody. With `along`, whether the token holds is asked by the
    first statement that is sent for it, and then nothing but the user's id is known."""
    token, by_cookie = presented(kind, cookie)
    if along and not by_cookie and not _refused_before(token) and tokens.carried_along():
        tokens.require(token.user_id, token.ids, partial(_ask, token))
        return Caller(token.user_id, token.user_id, "USER", token)
    caller = _known(token)
    if by_cookie:
        check_csrf(token)
    return caller


def _ask(token: Token) -> None:
    _known(token)


def _known(token: Token) -> Caller:
    """Asks whether the token still holds, and whose it is."""
    refused: dict[str, bool] = current_app.extensions["chatsvc.refused"]
    standing = tokens.standing(token.user_id, token.ids)
    if standing.revoked or standing.disabled_at:
        make_room(refused)
        refused[token.token_id] = True
        raise Unauthenticated()
    refused.pop(token.token_id, None)  # a disabled account may be opened again
    # A local account's own role counts, whatever its token says.
    return Caller(token.user_id, standing.username or token.user_id, standing.role or token.role, token)


def _refused_before(token: Token) -> bool:
    """Whoever comes with a revoked token again and again is asked first, so that it is not their victim's requests that are counted."""
    return token.token_id in current_app.extensions["chatsvc.refused"]


def presented(kind: str, cookie: str) -> tuple[Token, bool]:
    """The checked token of this request, and whether it came as a cookie; an Authorization header rules a cookie out."""
    header = request.headers.get("Authorization")
    by_cookie = header is None
    if header is None:
        text = request.cookies.get(cookie_name(cookie), "")
        # A page of a neighbouring host counts as the same site, and the browser sends our cookies along with what it asks for.
        if request.headers.get("Sec-Fetch-Site", "none") not in OUR_OWN_PAGES:
            raise Unauthenticated()
    else:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated()
    token = checked(text.strip(" "))
    if token.kind != kind:
        raise Unauthenticated()
    return token, by_cookie


def over_tls() -> bool:
    """Whether the browser came here over TLS, as far as that is known."""
    return request.is_secure or settings().public_url.startswith("https:")


def cookie_name(name: str) -> str:
    """Over TLS a name under which browsers take no cookie from a neighbouring host, so that none can sign somebody in as somebody else."""
    if not over_tls():
        return name
    return f"__Secure-{name}" if name == REFRESH_COOKIE else f"__Host-{name}"  # the second kind has to be for the whole host


def check_csrf(token: Token) -> None:
    """A cookie is sent by the browser whoever made the request; only the page itself can read the value asked for here."""
    if request.method not in SAFE_METHODS:
        given = request.headers.get(CSRF_HEADER, "")
        if not token.csrf or not hmac.compare_digest(given.encode(), token.csrf.encode()):
            raise Forbidden(f"Send the value of the cookie {cookie_name(CSRF_COOKIE)} in the header {CSRF_HEADER}")


def checked(text: str) -> Token:
    """The token behind this text, remembered for a while; whether it was revoked since is asked each time elsewhere."""
    if not text or len(text) > MAX_TOKEN:
        raise Unauthenticated()
    cache: dict[bytes, tuple[Token, float]] = current_app.extensions["chatsvc.tokens"]
    now = time.time()
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    hit = cache.get(mark)
    if hit is not None and now < hit[1]:
        return hit[0]
    keys: Keys = current_app.extensions["chatsvc.keys"]
    try:
        token = _understood(text, keys.claims(text))
    except NOT_A_TOKEN:
        raise Unauthenticated() from None
    if token.expires_at <= now:
        raise Unauthenticated()
    make_room(cache)
    cache[mark] = (token, min(token.expires_at, now + CACHE_SECONDS, keys.same_until(now)))
    return token


def make_room(remembered: dict[Any, Any]) -> None:
    """Forgets the oldest tenth when there is no room for one more."""
    if len(remembered) >= CACHE_SIZE:
        for mark in list(islice(remembered, max(1, CACHE_SIZE // 10))):  # threads: one step of the interpreter makes the list
            remembered.pop(mark, None)


def _understood(text: str, claims: dict[str, Any]) -> Token:
    user_id, expires_at, csrf = claims.get("sub"), claims.get("exp"), claims.get("csrf")
    sign_in, credential = claims.get("sign_in"), claims.get("credential")
    credential = credential if isinstance(credential, str) else ""
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 255 or "\0" in user_id:
        raise ValueError("sub")
    user_id.encode()  # a lone surrogate raises here rather than in a driver
    if not isinstance(expires_at, int | float) or not 0 < expires_at < LAST_MOMENT:
        raise ValueError("exp")
    return Token(
        user_id=user_id,
        kind="refresh" if any(str(claims.get(name)).lower() == "refresh" for name in KIND_CLAIMS) else "access",
        role="ADMIN" if claims.get("role") == "ADMIN" else "USER",
        expires_at=float(expires_at),
        csrf=csrf if isinstance(csrf, str) and csrf.isascii() else None,
        # What is signed, and not the whole text: a signature has other spellings (padding, its twin on an elliptic curve) that are as good.
        token_id="token:" + _digest(text.rpartition(".")[0]),
        sign_in=sign_in if isinstance(sign_in, str) else None,
        sign_in_id="sign-in:" + _digest(f"{user_id}\0{sign_in}") if isinstance(sign_in, str) else None,
        credential=credential,
        credential_id=tokens.of_credential(user_id, credential) if isinstance(sign_in, str) else None,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
