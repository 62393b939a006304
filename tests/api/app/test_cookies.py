"""Signing in by cookie, as a page does: the cookies themselves, and every way to use them that is not the page's."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import factories
from tests.api.app.accounts import NOBODY, account, login, page, sign_in
from tests.factories import SECRET

ACCESS, REFRESH, CSRF = "chatsvc_access", "chatsvc_refresh", "chatsvc_csrf"
SESSIONS = "/api/v1/chat-sessions"
ONE = f"{SESSIONS}/0c8f0a52-3c1c-4f0e-9a53-0d4b6c1b7a11"
WRITES = [("POST", SESSIONS), ("PUT", ONE), ("DELETE", ONE), ("POST", f"{ONE}/messages"), ("POST", "/auths/logout")]


@pytest.fixture
def alice(app: Flask) -> str:
    return account(app)


@pytest.fixture
def browser(app: Flask, alice: str) -> tuple[FlaskClient, str]:
    return page(app)


def body(response: TestResponse) -> dict[str, Any]:
    assert response.json is not None
    return dict(response.json)


def cookies_of(response: TestResponse) -> dict[str, Any]:
    """Each cookie that is set, with its attributes."""
    found: SimpleCookie = SimpleCookie()
    for line in response.headers.getlist("Set-Cookie"):
        found.load(line)
    return dict(found)


def write(client: FlaskClient, csrf: str | None, **headers: str) -> TestResponse:
    """A write as the page does it."""
    sent = headers if csrf is None else {"X-CSRF-Token": csrf, **headers}
    response: TestResponse = client.post(SESSIONS, json={"title": "by cookie"}, headers=sent)
    return response


def test_the_tokens_are_in_cookies_that_scripts_cannot_read_and_nowhere_else(app: Flask, alice: str) -> None:
    response = login(app, headers={"X-Session": "cookie"})
    assert response.json is not None
    assert response.json == {"token_type": "cookie", "expires_in": 3600, "csrf_token": response.json["csrf_token"]}
    cookies = cookies_of(response)
    assert set(cookies) == {ACCESS, REFRESH, CSRF}
    for name, path, life, hidden in ((ACCESS, "/", 3600, True), (REFRESH, "/auths", 30 * 86400, True), (CSRF, "/", 30 * 86400, "")):
        cookie = cookies[name]
        assert (cookie["path"], int(cookie["max-age"]), cookie["httponly"], cookie["samesite"], cookie["domain"], cookie["secure"]) == (
            path,
            life,
            hidden,
            "Strict",
            "",
            "",
        )
    assert cookies[CSRF].value == response.json["csrf_token"]
    assert cookies[ACCESS].value not in response.text
    assert cookies[REFRESH].value not in response.text


@pytest.mark.parametrize("value", ["", "token", "true", "cookies"])
def test_only_who_asks_for_cookies_gets_them(app: Flask, alice: str, value: str) -> None:
    response = login(app, headers={"X-Session": value})
    assert "Set-Cookie" not in response.headers
    assert response.json is not None
    assert "access_token" in response.json


def test_every_route_takes_the_cookie(browser: tuple[FlaskClient, str], alice: str) -> None:
    client, csrf = browser
    assert client.get("/auths/me").json == {"id": alice, "username": "alice", "role": "USER"}
    made = write(client, csrf)
    assert made.status_code == 201
    assert made.json is not None
    path = f"{SESSIONS}/{made.json['id']}"
    headers = {"X-CSRF-Token": csrf}
    assert client.get(SESSIONS).status_code == client.get(path).status_code == client.head(path).status_code == 200
    assert client.put(path, json={"title": "new"}, headers=headers).status_code == 200
    assert client.post(f"{path}/messages", json={"content": "Hi", "message_type": "user"}, headers=headers).status_code == 201
    assert client.delete(path, headers=headers).status_code == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_write_without_the_value_that_only_the_page_can_read_is_refused(browser: tuple[FlaskClient, str], method: str, path: str) -> None:
    client, csrf = browser
    for headers in ({}, *({"X-CSRF-Token": given} for given in ("", "wrong", "ä", "x" * 10_000, csrf[:-1], csrf.swapcase(), f"{csrf},{csrf}"))):
        response = client.open(path, method=method, json={}, headers=headers)
        assert response.status_code == 403
        assert response.json == {"detail": "Send the value of the cookie chatsvc_csrf in the header X-CSRF-Token"}
    assert body(client.get(SESSIONS))["total"] == 0
    assert client.get("/auths/me").status_code == 200


def test_the_value_belongs_to_the_sign_in_and_not_to_whatever_cookie_says_so(app: Flask, browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    _, of_another_sign_in = page(app)
    assert write(client, of_another_sign_in).status_code == 403
    client.set_cookie(CSRF, "planted")
    assert write(client, "planted").status_code == 403
    assert write(client, csrf).status_code == 201


def test_the_value_in_a_cookie_alone_proves_nothing(browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    assert client.get_cookie(CSRF) is not None
    assert write(client, None).status_code == 403
    assert client.post(f"{SESSIONS}?X-CSRF-Token={csrf}", json={}).status_code == 403


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic YWxpY2U6YWxpY2VwYXNzMTIz", "Bearer null", "bearer undefined", "Digest x"]
)
def test_a_bad_authorization_header_is_refused_though_the_cookie_is_good(browser: tuple[FlaskClient, str], header: str) -> None:
    client, csrf = browser
    for response in (
        client.get("/auths/me", headers={"Authorization": header}),
        write(client, csrf, Authorization=header),
        client.post("/auths/refresh", headers={"Authorization": header, "X-CSRF-Token": csrf}),
    ):
        assert (response.status_code, response.data) == (401, NOBODY)


def test_a_good_authorization_header_counts_and_the_cookie_does_not(app: Flask, browser: tuple[FlaskClient, str]) -> None:
    client, _ = browser
    header = {"Authorization": f"Bearer {factories.token('outsider')}"}
    assert body(client.get("/auths/me", headers=header))["id"] == "outsider"
    assert body(client.post(SESSIONS, json={}, headers=header))["user_id"] == "outsider"


def test_a_token_without_a_csrf_value_writes_nothing_by_cookie(app: Flask, alice: str) -> None:
    client = app.test_client()
    client.set_cookie(ACCESS, factories.token(alice))
    assert client.get("/auths/me").status_code == 200
    assert write(client, "").status_code == write(client, None).status_code == write(client, "None").status_code == 403


@pytest.mark.parametrize("csrf", [5, None, "", "\ud800", "ä", ["x"], {"a": 1}])
def test_a_token_with_a_strange_csrf_value_writes_nothing_by_cookie(app: Flask, alice: str, csrf: Any) -> None:
    client = app.test_client()
    client.set_cookie(ACCESS, jwt.encode({"sub": alice, "exp": 4e9, "csrf": csrf}, SECRET))
    for given in (None, "", str(csrf).encode("utf-8", "replace").decode("latin-1")):
        assert write(client, given).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "anything"])
def test_a_page_of_another_origin_cannot_use_the_cookies_even_on_a_neighbouring_host(browser: tuple[FlaskClient, str], site: str) -> None:
    client, csrf = browser
    read = client.get("/auths/me", headers={"Sec-Fetch-Site": site})
    assert (read.status_code, read.data) == (401, NOBODY)
    assert write(client, csrf, **{"Sec-Fetch-Site": site}).status_code == 401
    assert client.post("/auths/refresh", headers={"X-CSRF-Token": csrf, "Sec-Fetch-Site": site}).status_code == 401


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_can(browser: tuple[FlaskClient, str], site: str) -> None:
    client, csrf = browser
    assert client.get("/auths/me", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert write(client, csrf, **{"Sec-Fetch-Site": site}).status_code == 201


def test_a_page_of_another_origin_uses_a_bearer_token_whatever_the_browser_says(app: Flask) -> None:
    outsider = factories.person(app, "outsider")
    assert outsider.get("/auths/me", headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}).status_code == 200


def test_renewing_by_cookie_keeps_the_tokens_in_cookies_and_the_page_its_value(browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    before = client.get_cookie(ACCESS), client.get_cookie(REFRESH, path="/auths")
    response = client.post("/auths/refresh", headers={"X-CSRF-Token": csrf})
    assert response.status_code == 200
    assert response.json == {"token_type": "cookie", "expires_in": 3600, "csrf_token": csrf}
    after = client.get_cookie(ACCESS), client.get_cookie(REFRESH, path="/auths")
    assert all(one and other and one.value != other.value for one, other in zip(before, after, strict=True))
    assert write(client, csrf).status_code == 201


@pytest.mark.parametrize("given", [None, "wrong"])
def test_renewing_by_cookie_takes_the_value_too_and_spends_nothing_without_it(browser: tuple[FlaskClient, str], given: str | None) -> None:
    client, csrf = browser
    assert client.post("/auths/refresh", headers={"X-CSRF-Token": given} if given else {}).status_code == 403
    assert client.post("/auths/refresh", headers={"X-CSRF-Token": csrf}).status_code == 200


def test_a_spent_refresh_cookie_ends_the_sign_in(app: Flask, browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    stolen = client.get_cookie(REFRESH, path="/auths")
    assert stolen is not None
    assert client.post("/auths/refresh", headers={"X-CSRF-Token": csrf}).status_code == 200
    thief = app.test_client()
    thief.set_cookie(REFRESH, stolen.value, path="/auths")
    assert thief.post("/auths/refresh", headers={"X-CSRF-Token": csrf}).status_code == 401
    assert client.get("/auths/me").status_code == 401


def test_the_access_cookie_renews_nothing_and_the_refresh_cookie_opens_nothing(app: Flask, browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    access, refresh = client.get_cookie(ACCESS), client.get_cookie(REFRESH, path="/auths")
    assert access is not None
    assert refresh is not None
    swapped = app.test_client()
    swapped.set_cookie(ACCESS, refresh.value)
    swapped.set_cookie(REFRESH, access.value, path="/auths")
    assert swapped.get("/auths/me").data == NOBODY
    assert swapped.post("/auths/refresh", headers={"X-CSRF-Token": csrf}).data == NOBODY


def test_signing_out_takes_every_cookie_back_as_it_was_set(browser: tuple[FlaskClient, str]) -> None:
    client, csrf = browser
    access = client.get_cookie(ACCESS)
    assert access is not None
    response = client.post("/auths/logout", headers={"X-CSRF-Token": csrf})
    assert response.status_code == 204
    for name, cookie in cookies_of(response).items():
        assert (cookie.value, cookie["max-age"], cookie["samesite"]) == ("", "0", "Strict")
        assert cookie["path"] == ("/auths" if name == REFRESH else "/")
        assert bool(cookie["httponly"]) == (name != CSRF)
    assert [client.get_cookie(ACCESS), client.get_cookie(REFRESH, path="/auths"), client.get_cookie(CSRF)] == [None, None, None]
    client.set_cookie(ACCESS, access.value)
    assert client.get("/auths/me").data == NOBODY


def test_signing_in_over_an_old_sign_in_makes_a_new_one(browser: tuple[FlaskClient, str], app: Flask) -> None:
    client, old = browser
    planted = client.get_cookie(ACCESS)
    response = login(app, client=client, headers={"X-Session": "cookie"})
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["csrf_token"] != old
    fresh = client.get_cookie(ACCESS)
    assert planted
    assert fresh
    assert planted.value != fresh.value


def test_a_bearer_sign_in_sets_and_needs_no_cookie(app: Flask, alice: str) -> None:
    assert sign_in(app).person.post(SESSIONS, json={}).status_code == 201


def over_tls(make_app: Callable[..., Flask], how: str) -> tuple[Flask, dict[str, Any]]:
    if how == "its address is known":
        return make_app(PUBLIC_URL="HTTPS://chat.example.com/"), {}
    return make_app(PROXY_HOPS="1"), {"headers": {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}}


@pytest.mark.parametrize("how", ["its address is known", "the proxy says so"])
def test_over_tls_a_neighbouring_host_can_plant_no_cookie(make_app: Callable[..., Flask], alice: str, how: str) -> None:
    app, rest = over_tls(make_app, how)
    headers = {**rest.get("headers", {}), "X-Session": "cookie"}
    response = login(app, headers=headers)
    cookies = cookies_of(response)
    assert set(cookies) == {f"__Host-{ACCESS}", f"__Secure-{REFRESH}", f"__Host-{CSRF}"}
    assert all(cookie["secure"] and not cookie["domain"] for cookie in cookies.values())
    assert all(cookie["path"] == "/" for name, cookie in cookies.items() if name.startswith("__Host-"))
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")

    client = app.test_client(use_cookies=False)
    good = cookies[f"__Host-{ACCESS}"].value
    assert client.get("/auths/me", headers={**headers, "Cookie": f"__Host-{ACCESS}={good}"}).status_code == 200
    # What a neighbour could set has another name, and is not looked at.
    for planted in (f"{ACCESS}={good}", f"__Secure-{ACCESS}={good}", f"__host-{ACCESS}={good}"):
        assert client.get("/auths/me", headers={**headers, "Cookie": planted}).data == NOBODY


def test_without_tls_nothing_is_said_of_tls(app: Flask, alice: str) -> None:
    response = login(app, headers={"X-Session": "cookie", "X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in response.headers
    assert set(cookies_of(response)) == {ACCESS, REFRESH, CSRF}


@pytest.mark.parametrize("value", ["x", "", '"', "a.b.c", "x" * 100_000, "\\054\\073", "%00"])
def test_a_cookie_of_nonsense_is_nobody(app: Flask, value: str) -> None:
    response = app.test_client(use_cookies=False).get("/auths/me", headers={"Cookie": f"{ACCESS}={value}"})
    assert (response.status_code, response.data) == (401, NOBODY)
