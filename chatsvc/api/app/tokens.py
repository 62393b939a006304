"""The tokens that a sign-in hands out, as JSON for programs or as cookies for pages."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response
from flask_jwt_extended import create_access_token, create_refresh_token

from chatsvc.api.common import wire
from chatsvc.api.common.caller import ACCESS_COOKIE, CSRF_COOKIE, REFRESH_COOKIE, Token, cookie_name, over_tls
from chatsvc.extensions import settings

REFRESH_PATH = "/auths"


def access_life() -> timedelta:
    return timedelta(minutes=settings().access_minutes)


def refresh_life() -> timedelta:
    return timedelta(days=settings().refresh_days)


def sign_in_ends_at() -> datetime:
    """When the last token of a sign-in of now has run out, one that is being handed out this minute too."""
    return datetime.now(UTC) + refresh_life() + timedelta(minutes=1)


def outlived_at(token: Token) -> datetime:
    """When this token and all of its sign-in have run out. Outside issuers' may be good for longer than ours."""
    return max(sign_in_ends_at(), datetime.fromtimestamp(token.expires_at, UTC))


def handed_out(user_id: str, *, credential: str, sign_in: str | None = None, csrf: str | None = None, as_cookies: bool) -> Response:
    """A fresh pair for this user, of a new sign-in or the one given. Tokens in cookies are not also in the body, where a script could read them."""
    csrf = csrf or secrets.token_urlsafe(24)
    claims = {"sign_in": sign_in or secrets.token_urlsafe(18), "csrf": csrf, "credential": credential}
    access = create_access_token(user_id, expires_delta=access_life(), additional_claims=claims)
    refresh = create_refresh_token(user_id, expires_delta=refresh_life(), additional_claims=claims)
    told: dict[str, Any] = {"token_type": "bearer", "expires_in": int(access_life().total_seconds())}
    if not as_cookies:
        return wire.answer(wire.encoded({"access_token": access, "refresh_token": refresh, **told}), 200)
    response = wire.answer(wire.encoded({**told, "token_type": "cookie", "csrf_token": csrf}), 200)
    _set_cookie(response, ACCESS_COOKIE, access, life=access_life(), path="/")
    _set_cookie(response, REFRESH_COOKIE, refresh, life=refresh_life(), path=REFRESH_PATH)
    _set_cookie(response, CSRF_COOKIE, csrf, life=refresh_life(), path="/", readable=True)
    return response


def without_cookies(response: Response) -> Response:
    for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH), (CSRF_COOKIE, "/")):
        response.delete_cookie(cookie_name(name), path=path, secure=over_tls(), httponly=name != CSRF_COOKIE, samesite="Strict")
    return response


def _set_cookie(response: Response, name: str, value: str, *, life: timedelta, path: str, readable: bool = False) -> None:
    response.set_cookie(cookie_name(name), value, max_age=life, path=path, secure=over_tls(), httponly=not readable, samesite="Strict")
