"""Errors: the status from the kind of error, the shape from the face that the path begins with, and a request id on each."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from chatsvc.api import shape_of
from chatsvc.api.common.errors import STATUS
from chatsvc.api.common.wire import detail_error, envelope_error
from chatsvc.core import errors
from tests.api.v1.calls import SESSIONS, refused
from tests.factories import Person, unknown_id

DETAIL = [
    "/",
    "/nowhere",
    "/chat",
    "/chat/sessions/x/y",
    "/auths",
    "/auths/nowhere",
    "/api/v1",
    "/api/v1/",
    "/api/v1/nowhere",
    "/api/v1/chat-sessions/a/b/c",
]
ENVELOPE = ["/api", "/api/", "/api/chat-sessions/x/y/z", "/api/conversations/x/y/z", "/api/nowhere", "/api/v2/x", "/api/v10/chat-sessions", "/api/v1x"]
APINESS = ["/apiv1", "/apis/x", "/Api/x"]


@pytest.mark.parametrize("path", [*DETAIL, *APINESS])
def test_an_unknown_address_outside_the_envelope_answers_with_a_detail(app: Flask, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = app.test_client(use_cookies=False).open(path, method=method)
        assert refused(response, 404) == {"detail": "There is nothing at this address"}


@pytest.mark.parametrize("path", ENVELOPE)
def test_an_unknown_address_of_the_envelope_answers_in_the_envelope(app: Flask, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = app.test_client(use_cookies=False).open(path, method=method)
        assert (response.status_code, response.json) == (404, {"success": False, "message": "There is nothing at this address"})
        assert response.content_type == "application/json"
        assert response.headers["X-Request-ID"]


@pytest.mark.parametrize(("path", "method", "status"), [("/chat-ui/x/y", "GET", 404), ("/chat-ui/not-an-id", "GET", 404), ("/chat-ui", "POST", 405)])
def test_the_page_answers_errors_as_a_page(app: Flask, path: str, method: str, status: int) -> None:
    response = app.test_client(use_cookies=False).open(path, method=method)
    assert (response.status_code, response.content_type) == (status, "text/html; charset=utf-8")
    assert "<h1>That did not work</h1>" in response.text


def test_an_error_page_shows_what_was_asked_as_text(app: Flask) -> None:
    response = app.test_client(use_cookies=False).get("/chat-ui?<script>alert(1)</script>=1")
    assert response.status_code == 400
    assert "<script" not in response.text
    assert "&lt;script&gt;" in response.text


def test_a_method_that_is_not_known_is_refused_in_shape(app: Flask, owner: Person) -> None:
    for path, method in ((SESSIONS, "PATCH"), (f"{SESSIONS}/{unknown_id()}", "POST"), ("/auths/login", "GET"), ("/auths/me", "DELETE"), ("/healthz", "POST")):
        for client in (owner.client, app.test_client(use_cookies=False)):
            response = client.open(path, method=method)
            assert refused(response, 405) == {"detail": "This method is not allowed here"}
            assert response.headers["Allow"]


def test_a_slash_too_many_leads_nowhere_else(app: Flask, owner: Person) -> None:
    for path in (f"{SESSIONS}//", f"/{SESSIONS}", f"{SESSIONS}/{unknown_id()}//messages", f"{SESSIONS}/./x"):
        assert owner.get(path).status_code == 404


def test_the_shapes() -> None:
    problems, facts = [{"field": "title", "message": "must not be blank"}], {"session_id": "7"}
    assert detail_error("No", [], {}) == {"detail": "No"}
    assert detail_error("No", problems, facts) == {"detail": "No", "errors": problems, "session_id": "7"}
    assert envelope_error("No", [], {}) == {"success": False, "message": "No"}
    assert envelope_error("No", problems, facts) == {"success": False, "message": "No", "errors": problems, "data": facts}
    assert shape_of("/api/chat-sessions") is shape_of("/api") is envelope_error
    assert shape_of("/api/v1/chat-sessions") is shape_of("/chat/sessions") is shape_of("/") is shape_of("") is detail_error


def kinds(kind: type[errors.ChatError] = errors.ChatError) -> list[type[errors.ChatError]]:
    return [found for below in kind.__subclasses__() for found in (below, *kinds(below))]


def test_every_kind_of_error_has_a_status() -> None:
    for kind in kinds():
        assert any(known in STATUS for known in kind.__mro__), f"{kind.__name__} would be a 500"


ANSWERS: list[tuple[errors.ChatError, int, dict[str, str]]] = [
    (errors.Invalid(errors.Problem("title", "is odd")), 400, {}),
    (errors.Unauthenticated(), 401, {"WWW-Authenticate": "Bearer"}),
    (errors.WrongCredentials("No"), 401, {}),
    (errors.Forbidden("No"), 403, {}),
    (errors.NotFound("Thing"), 404, {}),
    (errors.Conflict("No"), 409, {}),
    (errors.KeyBusy("No"), 409, {"Retry-After": "1"}),
    (errors.KeyReused("No"), 422, {}),
    (errors.TooMany("No", retry_after=2.1), 429, {"Retry-After": "3"}),
    (errors.TooMany("No", retry_after=0.0), 429, {"Retry-After": "1"}),
    (errors.Unavailable("No"), 503, {"Retry-After": "2"}),
]


@pytest.mark.parametrize(("error", "status", "headers"), ANSWERS, ids=[f"{type(error).__name__}-{status}" for error, status, _ in ANSWERS])
def test_each_kind_of_error_has_its_status_and_headers(app: Flask, error: errors.ChatError, status: int, headers: dict[str, str]) -> None:
    with app.test_request_context(f"{SESSIONS}/x"):
        response: Any = app.ensure_sync(app.handle_user_exception)(error)
    assert response.status_code == status
    assert response.json["detail"] == error.message
    assert {name: response.headers.get(name) for name in headers} == headers
    if "Retry-After" not in headers:
        assert "Retry-After" not in response.headers


def test_every_answer_has_a_request_id_and_a_good_one_is_kept(app: Flask, owner: Person) -> None:
    seen = set()
    for response in (
        owner.get(SESSIONS),
        owner.post(SESSIONS, json={}),
        owner.post(SESSIONS, json={"title": 1}),
        owner.get(f"{SESSIONS}/{unknown_id()}"),
        owner.get("/nowhere"),
        owner.call("PATCH", SESSIONS),
        owner.call("OPTIONS", SESSIONS),
        owner.call("HEAD", SESSIONS),
        app.test_client(use_cookies=False).get(SESSIONS),
        app.test_client(use_cookies=False).get("/healthz"),
    ):
        seen.add(response.headers["X-Request-ID"])
        assert len(response.headers.getlist("X-Request-ID")) == 1
    assert len(seen) == 10
    for good in ("abc", "A.b_c-9", "x" * 64):
        assert owner.get(SESSIONS, headers={"X-Request-ID": good}).headers["X-Request-ID"] == good


def test_what_was_wrong_is_named_in_a_sentence_and_in_a_list(owner: Person) -> None:
    body = refused(owner.post(SESSIONS, json={"title": " ", "metadata": [], "more": 1}), 400, "title", "metadata", "more")
    assert body["errors"] == [
        {"field": "title", "message": "must not be blank"},
        {"field": "metadata", "message": "must be a JSON object"},
        {"field": "more", "message": "is not a known field"},
    ]
    assert body["detail"] == "title must not be blank; metadata must be a JSON object; more is not a known field"


def test_a_body_too_large_or_of_another_type_is_named(owner: Person) -> None:
    large = owner.post(SESSIONS, data=b"x" * (1024 * 1024 + 1), content_type="application/json")
    assert refused(large, 413, "body")["errors"][0]["message"] == "The body is larger than 1 MiB"
    other = owner.post(SESSIONS, data=b"{}", content_type="text/plain")
    assert refused(other, 415, "body")["errors"][0]["message"] == "Send the body as application/json"
