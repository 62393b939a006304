"""`/auths`: signing in and out with a local account."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from chatsvc.api.app import schemas, tokens, wire
from chatsvc.api.common import address, limits, reading
from chatsvc.api.common.caller import REFRESH_COOKIE, Caller, Token, check_csrf, checked, presented
from chatsvc.api.common.door import Allow, Door, Route
from chatsvc.core import tokens as revocations
from chatsvc.core import users
from chatsvc.core.errors import Forbidden, Unauthenticated
from chatsvc.core.paging import Window
from chatsvc.extensions import settings

door = Door("auths", __name__, url_prefix="/auths")


@door.route_for("POST", "/login", Route(Allow.ANYONE, "Sign in with name and password", body=schemas.Login, form=True, answer=schemas.TokensOut))
def login(*, username: str, password: str, **_: Any) -> Response:
    _count_address()
    user = users.authenticate(username, password, address=address.client())
    return tokens.handed_out(user.id, credential=users.credential(user), as_cookies=request.headers.get("X-Session", "").lower() == "cookie")


@door.route_for("POST", "/register", Route(Allow.ANYONE, "Make an account", body=schemas.Register, status=201, answer=schemas.MeOut))
def register(*, username: str, password: str) -> wire.Body:
    if not settings().registration:
        raise Forbidden("Registration is closed here; ask the operator for an account")
    _count_address()
    return wire.user(users.create(username, password))


def _count_address() -> None:
    limits.spend("login", f"address:{address.client()}")
    limits.spend("login_all", "everybody")


@door.route_for("POST", "/refresh", Route(Allow.ANYONE, "Trade a refresh token for a new pair; each is good once", answer=schemas.TokensOut))
def refresh() -> Response:
    token, by_cookie = _refresh_token()
    standing = revocations.standing(token.user_id, token.ids)
    # One that is good for longer than they are made here now would outlive what is kept of its revocation.
    too_long = token.expires_at > tokens.sign_in_ends_at().timestamp()
    if standing.disabled_at or standing.role is None or token.sign_in_id is None or too_long:
        raise Unauthenticated()
    if by_cookie:
        check_csrf(token)
    limits.spend("login", f"user:{token.user_id}")
    if not revocations.spend(token.user_id, token.token_id, sign_in_id=token.sign_in_id, expires_at=tokens.outlived_at(token)):
        raise Unauthenticated()
    if standing.revoked:
        raise Unauthenticated()
    return tokens.handed_out(token.user_id, credential=token.credential, sign_in=token.sign_in, csrf=token.csrf, as_cookies=by_cookie)


def _refresh_token() -> tuple[Token, bool]:
    """From the body, the Authorization header, or the cookie."""
    given = reading.body(schemas.Refresh(), optional=True).get("refresh_token") if request.mimetype == "application/json" else None
    if given is None:
        return presented("refresh", REFRESH_COOKIE)
    token = checked(given)
    if token.kind != "refresh":
        raise Unauthenticated()
    return token, False


@door.route_for("POST", "/logout", Route(Allow.USER, "Sign out: every token of this sign-in stops being good", status=204, by_key=False))
def logout(caller: Caller) -> Response:
    token = caller.token
    assert token is not None, "a key does not get here"
    revocations.revoke(caller.user_id, token.sign_in_id or token.token_id, expires_at=tokens.outlived_at(token))
    response = tokens.without_cookies(Response(status=204))
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@door.route_for("GET", "/me", Route(Allow.USER, "Who you are", answer=schemas.MeOut))
def me(caller: Caller) -> wire.Body:
    return {"id": caller.user_id, "username": caller.username, "role": caller.role}


@door.route_for("GET", "/users", Route(Allow.ADMIN, "The accounts", query=schemas.UserList, answer=schemas.UserOut))
def everybody(caller: Caller, *, limit: int, cursor: str | None) -> Response:
    rows, next_cursor = users.everybody(Window(limit, cursor=cursor))
    return wire.array(map(wire.listed_user, rows), next_cursor)
