"""A product that calls with a key of its own, and says for whom it acts."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from flask import current_app, request

from chatsvc.api.common.caller import CACHE_SECONDS, SAFE_METHODS, Caller, make_room
from chatsvc.core import api_keys, tokens
from chatsvc.core.api_keys import Key
from chatsvc.core.errors import Forbidden, Invalid, Problem, Unauthenticated

HEADER: Final = "X-API-Key"
ON_BEHALF_OF: Final = "X-On-Behalf-Of"
IN_ENVIRON, WHOM_IN_ENVIRON = "HTTP_X_API_KEY", "HTTP_X_ON_BEHALF_OF"
MAX_ID: Final = 255

BOTH = Problem(HEADER, "cannot be sent together with Authorization; send one of the two")
NO_KEY = Problem(ON_BEHALF_OF, "goes with X-API-Key; a token acts for the user whose it is")
FOR_NOBODY = Problem(ON_BEHALF_OF, "is required with this key: the id of the user that it acts for")
NOBODYS = Problem(ON_BEHALF_OF, "is required here: the id of the user whose it will be")
NO_ID = Problem(ON_BEHALF_OF, f"must be a user's id of 1 to {MAX_ID} characters, in UTF-8")


def is_sent() -> bool:
    return IN_ENVIRON in request.environ


def identify(along: bool) -> Caller:
    """For whom the key of this request acts; Unauthenticated, always alike, when it is not good. With `along`, whether a key that was good a
    moment ago still is, is asked by the first statement that is sent for it, as it is of tokens (`caller`)."""
    if "HTTP_AUTHORIZATION" in request.environ:
        raise Invalid(BOTH)
    digest = api_keys.digest_of(request.environ[IN_ENVIRON].strip(" "))
    if digest is None:
        raise Unauthenticated()
    user_id, problem = _for_whom()
    key = _good_lately(digest)
    if along and key and not problem and (user_id or key.admin) and tokens.carried_along():
        api_keys.require(key, user_id, partial(_ask, digest, user_id))
        return _acting(key, user_id, user_id)
    standing = _ask(digest, user_id)
    key = Key(standing.id, frozenset(standing.scopes.split()))
    _remember(digest, key)
    if problem or not (user_id or key.admin):
        raise Invalid(problem or FOR_NOBODY)
    return _acting(key, user_id, standing.username)


def _for_whom() -> tuple[str, Problem | None]:
    """The user that is named, nobody when none is, and what is wrong with the name. Headers come as bytes, and ids are text."""
    raw = request.environ.get(WHOM_IN_ENVIRON)
    if raw is None:
        return "", None
    try:
        user_id = raw.encode("latin-1").decode()
    except UnicodeError:
        return "", NO_ID
    return ("", NO_ID) if not 1 <= len(user_id) <= MAX_ID or "\0" in user_id else (user_id, None)


def _ask(digest: str, user_id: str) -> Any:
    standing = api_keys.standing(digest, user_id)
    if standing is None:
        _known().pop(digest, None)
    if standing is None or standing.disabled_at:
        raise Unauthenticated()
    return standing


def _acting(key: Key, user_id: str, username: str | None) -> Caller:
    current_app.extensions["chatsvc.key_uses"].note(key.id)
    whom = user_id or key.mark
    # An account's own role is for its own sign-in: a key may no more than its scopes say.
    return Caller(whom, username or whom, "ADMIN" if key.admin else "USER", key=key)


def _known() -> dict[str, tuple[Key, float]]:
    found: dict[str, tuple[Key, float]] = current_app.extensions["chatsvc.api_keys"]
    return found


def _good_lately(digest: str) -> Key | None:
    key, until = _known().get(digest, (None, 0.0))
    return key if time.monotonic() < until else None


def _remember(digest: str, key: Key) -> None:
    make_room(_known())
    _known()[digest] = (key, time.monotonic() + CACHE_SECONDS)


def check(caller: Caller, *, for_admins: bool, by_key: bool) -> None:
    """Whether the key's scopes reach as far as this route."""
    key = caller.key
    if key is None:
        if WHOM_IN_ENVIRON in request.environ:
            raise Invalid(NO_KEY)
        return
    if not by_key:
        raise Forbidden("A key has no sign-in that could end; an admin revokes it with DELETE /api/api-keys/{id}")
    if for_admins and not key.admin:
        raise Forbidden("Only an admin may do this, or a key with the scope admin")
    if request.method in SAFE_METHODS:
        return
    if not key.writes:
        raise Forbidden("This key may only read; take one with the scope write")
    if not for_admins and WHOM_IN_ENVIRON not in request.environ:
        raise Invalid(NOBODYS)
