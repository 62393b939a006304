"""A route lets in whom it says, with what it says, and answers as it says. Whatever is not declared is not let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response
from marshmallow import Schema

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Door, Route, route_of
from chatsvc.api.common.fields import QueryWhole, Text
from chatsvc.core.errors import Conflict
from tests.api.v1.calls import answered, refused
from tests.factories import Person, person, unknown_id


class Query(Schema):
    page = QueryWhole(low=1, high=9, load_default=1)


class Body(Schema):
    text = Text(max=5, required=True)


@pytest.fixture
def house(make_app: Callable[..., Flask]) -> Flask:
    """The service with one more door."""
    app = make_app()
    door = Door("trial", __name__, url_prefix="/api/v1/trial")

    @door.route_for("GET", "/open", Route(Allow.ANYONE, "Open"))
    def opened() -> dict[str, bool]:
        return {"open": True}

    @door.route_for("GET", "/mine", Route(Allow.USER, "Mine", query=Query))
    def mine(caller: Caller, *, page: int) -> dict[str, Any]:
        return {"user_id": caller.user_id, "admin": caller.admin, "page": page}

    @door.route_for("GET", "/ours", Route(Allow.ADMIN, "Ours"))
    def ours(caller: Caller) -> dict[str, str]:
        return {"user_id": caller.user_id}

    @door.route_for("POST", "/<session_id>/notes/<message_id>", Route(Allow.USER, "Note", query=Query, body=Body, status=201))
    def note(caller: Caller, **given: Any) -> dict[str, Any]:
        return given

    @door.route_for("POST", "/form", Route(Allow.ANYONE, "Form", body=Body, form=True))
    def form(*, text: str) -> dict[str, str]:
        return {"text": text}

    @door.route_for("DELETE", "/gone", Route(Allow.USER, "Gone", status=204))
    def gone(caller: Caller) -> None:
        return None

    @door.route_for("GET", "/own", Route(Allow.USER, "An answer of its own"))
    def own(caller: Caller) -> Response:
        return Response("teapot", 418)

    @door.route_for("POST", "/once", Route(Allow.USER, "Once", status=201, creates=True))
    def once(caller: Caller) -> dict[str, str]:
        return {"id": unknown_id()}

    declare_what_fails(door)
    app.register_blueprint(door)
    return app


def declare_what_fails(door: Door) -> None:
    @door.route_for("GET", "/broken", Route(Allow.USER, "Broken"))
    def broken(caller: Caller) -> dict[str, str]:
        raise ZeroDivisionError("a secret of the house")

    @door.route_for("GET", "/conflict", Route(Allow.USER, "Conflict"))
    def conflict(caller: Caller) -> dict[str, str]:
        raise Conflict("Not now", session_id="7")


@pytest.fixture
def guest(house: Flask) -> Person:
    return person(house, "guest")


@pytest.fixture
def chief(house: Flask) -> Person:
    return person(house, "chief", role="ADMIN")


def test_an_open_route_asks_nobody_who_they_are(house: Flask) -> None:
    client = house.test_client(use_cookies=False)
    assert answered(client.get("/api/v1/trial/open")) == {"open": True}
    assert answered(client.get("/api/v1/trial/open", headers={"Authorization": "Bearer nonsense"})) == {"open": True}


def test_a_users_route_gets_the_caller_and_the_checked_input(guest: Person, chief: Person) -> None:
    assert answered(guest.get("/api/v1/trial/mine")) == {"user_id": "guest", "admin": False, "page": 1}
    assert answered(chief.get("/api/v1/trial/mine?page=3")) == {"user_id": "chief", "admin": True, "page": 3}


def test_an_admins_route_lets_nobody_else_in(house: Flask, guest: Person, chief: Person) -> None:
    assert answered(chief.get("/api/v1/trial/ours")) == {"user_id": "chief"}
    refused(guest.get("/api/v1/trial/ours"), 403)
    response = house.test_client(use_cookies=False).get("/api/v1/trial/ours")
    refused(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_route_gets_its_ids_body_and_query_together(guest: Person) -> None:
    session_id = unknown_id()
    path = f"/api/v1/trial/{session_id.upper()}/notes/7?page=2"
    assert answered(guest.post(path, json={"text": "Hello"}), 201) == {"session_id": session_id, "message_id": 7, "text": "Hello", "page": 2}


def test_a_caller_is_checked_before_the_input_and_the_input_before_the_ids(house: Flask, guest: Person) -> None:
    path = "/api/v1/trial/no-id/notes/no-id"
    refused(house.test_client(use_cookies=False).post(f"{path}?page=x", data=b"{"), 401)
    refused(guest.post(f"{path}?page=x", json={"text": "too long"}), 400, "page")
    refused(guest.post(path, json={"text": "too long"}), 400, "text")
    refused(guest.post(path, json={"text": "Hello"}), 404)


def test_what_a_route_does_not_declare_is_refused(guest: Person) -> None:
    refused(guest.get("/api/v1/trial/mine?more=1"), 400, "more")
    refused(guest.get("/api/v1/trial/open?more=1"), 400, "more")
    refused(guest.delete("/api/v1/trial/gone?more=1"), 400, "more")


def test_a_form_is_taken_where_the_route_says_so(house: Flask, guest: Person) -> None:
    client = house.test_client(use_cookies=False)
    assert answered(client.post("/api/v1/trial/form", data={"text": "Hello"})) == {"text": "Hello"}
    assert answered(client.post("/api/v1/trial/form", json={"text": "Hello"})) == {"text": "Hello"}
    refused(guest.post(f"/api/v1/trial/{unknown_id()}/notes/7", data={"text": "Hello"}), 415, "body")


def test_an_answer_without_a_body_has_none(guest: Person) -> None:
    response = guest.delete("/api/v1/trial/gone")
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["X-Request-ID"]


def test_a_view_may_answer_in_its_own_way(guest: Person) -> None:
    response = guest.get("/api/v1/trial/own")
    assert (response.status_code, response.data) == (418, b"teapot")


def test_a_creating_route_may_be_asked_again(guest: Person) -> None:
    first, second = (guest.post("/api/v1/trial/once", headers={"Idempotency-Key": "key"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert guest.post("/api/v1/trial/once").data != first.data


def test_a_failure_tells_the_caller_nothing_but_where_to_look(guest: Person) -> None:
    response = guest.get("/api/v1/trial/broken", headers={"X-Request-ID": "find-me"})
    assert refused(response, 500) == {"detail": "Something went wrong here. If it goes on, report request find-me"}


def test_an_error_may_bring_facts_along(guest: Person) -> None:
    assert answered(guest.get("/api/v1/trial/conflict"), 409) == {"detail": "Not now", "session_id": "7"}


def test_a_declaration_can_be_looked_up(house: Flask, app: Flask) -> None:
    found = route_of(house, "trial.ours")
    assert found is not None
    assert (found.allow, found.summary, found.status) == (Allow.ADMIN, "Ours", 200)
    assert route_of(house, "trial.nowhere") is None
    assert route_of(app, "trial.ours") is None


def test_a_head_is_a_get_without_a_body(guest: Person) -> None:
    response = guest.call("HEAD", "/api/v1/trial/mine")
    assert (response.status_code, response.data) == (200, b"")
    refused(guest.get("/api/v1/trial/mine?page=0"), 400, "page")
    assert guest.call("HEAD", "/api/v1/trial/mine?page=0").status_code == 400
