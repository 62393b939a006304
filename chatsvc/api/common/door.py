"""One declaration per route: who may call it, with what, and what it answers. Whatever is not declared is not let in."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response
from flask.sansio.app import App
from marshmallow import Schema

from chatsvc.api.common import address, by_key, ids, limits, reading, wire
from chatsvc.api.common.caller import Caller, identify
from chatsvc.api.common.once import once
from chatsvc.core import about, acting, audit, patience
from chatsvc.core.database import ask_what_is_due, require
from chatsvc.core.errors import Forbidden, Invalid, Unauthenticated
from chatsvc.core.idempotency import Answer

View = Callable[..., Any]


class Allow(enum.Enum):
    """Who may call a route."""

    ANYONE = "anyone"
    USER = "any user"
    ADMIN = "an admin"


@dataclass(frozen=True, slots=True)
class Route:
    """What a route promises; the documents and the tests are made from these."""

    allow: Allow
    summary: str
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    form: bool = False
    status: int = 200
    answer: type[Schema] | None = None
    creates: bool = False
    limited: bool = True
    sends: bool = False
    stream: bool = False
    lines: bool = False
    # Where answers come in an envelope: its words when all went well.
    says: str = ""
    page: bool = False
    # The view needs the caller's id and nothing else of the account, and begins with one statement: that asks about the token, too.
    along: bool = False
    # Whether a key gets here, acting for somebody.
    by_key: bool = True
    # A field of the answer that stands in the first alone, and is null in what is kept for a replay.
    shown_once: str = ""


class NoInput(Schema):
    """For routes without parameters: anything given is refused."""


class Door(Blueprint):
    """A blueprint whose routes say who may call them."""

    def wrapped(self, result: Any, route: Route) -> Any:
        """What stands on the wire for what a view returned; a face that wraps its answers says how."""
        return result

    def made(self, result: Any, route: Route) -> Answer:
        """The answer to what makes something, and what of it is kept."""
        body = wire.encoded(self.wrapped(result, route))
        kept = wire.encoded(self.wrapped({**result, route.shown_once: None}, route)) if route.shown_once else None
        return Answer(route.status, body, kept=kept)

    def route_for(self, method: str, rule: str, route: Route) -> Callable[[View], View]:
        """Declares a view. It gets the caller (unless anyone may call), the path's ids and the checked input as keywords; it returns the answer's body."""
        query = (route.query or NoInput)()
        body = route.body() if route.body else None

        def declare(view: View) -> View:
            def answer(**path: str) -> Response:
                acting.act_for(acting.NOBODY)
                patience.begin()
                try:
                    response = carried_out(path)
                    ask_what_is_due()
                except Exception:
                    ask_what_is_due()  # before anybody is told anything else
                    raise
                finally:
                    require(None)
                    acting.called_by(None)
                    patience.begin(None)
                    audit.by_key(None)
                return response

            def carried_out(path: dict[str, str]) -> Response:
                known = _let_in(route)
                given = reading.query(query)
                if body is not None:
                    given |= reading.body_or_form(body) if route.form else reading.body(body)
                given |= ids.read(path)
                if "session_id" in path:
                    about.of_session(given["session_id"])
                if not route.creates or not known:
                    result = view(*known, **given)
                    return result if isinstance(result, Response) else _answered(self.wrapped(result, route), route.status)
                return once(known[0].user_id, lambda: self.made(view(*known, **given), route))

            self.record_once(lambda state: _remember(state.app, f"{self.name}.{view.__name__}", route))
            self.add_url_rule(rule, view.__name__, answer, methods=[method])
            return view

        return declare


def _let_in(route: Route) -> tuple[Caller, ...]:
    """The caller, counted and allowed; nobody is told more than they may know."""
    if route.allow is Allow.ANYONE:
        if route.limited:
            limits.spend("default", f"address:{address.client()}")
        return ()
    try:
        caller = by_key.identify(route.along) if by_key.is_sent() else identify(along=route.along)
    except (Unauthenticated, Invalid):
        limits.spend("default", f"address:{address.client()}")
        raise
    if caller.key:
        audit.by_key(caller.key.id)
        limits.spend("key", caller.key.mark)
    acting.called_by(acting.user(caller.user_id))
    about.of_user(caller.user_id)
    limits.spend("default", f"user:{caller.user_id}")
    if route.sends:
        limits.spend("send", f"user:{caller.user_id}")
        limits.spend("send_daily", f"user:{caller.user_id}")
    by_key.check(caller, for_admins=route.allow is Allow.ADMIN, by_key=route.by_key)
    if route.allow is Allow.ADMIN and not caller.admin:
        raise Forbidden("Only an admin may do this")
    return (caller,)


def _answered(result: Any, status: int) -> Response:
    return Response(status=204) if status == 204 else wire.answer(wire.encoded(result), status)


def _remember(app: App, endpoint: str, route: Route) -> None:
    app.extensions.setdefault("chatsvc.routes", {})[endpoint] = route


def route_of(app: Flask, endpoint: str) -> Route | None:
    found: Route | None = app.extensions.get("chatsvc.routes", {}).get(endpoint)
    return found
