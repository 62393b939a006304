"""`POST /auths/login`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc.core import throttle, users
from tests.api.app.accounts import PASSWORD, account, bearer, login, set_in_database, sign_in
from tests.api.app.clock import time_passes
from tests.factories import SECRET

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def alice(app: Flask) -> str:
    return account(app)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were really compared, in order."""
    seen: list[str] = []
    verify = users._verify

    def noted(password_hash: str, password: str) -> bool:
        seen.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr(users, "_verify", noted)
    return seen


def post(app: Flask, body: Any = None, **rest: Any) -> TestResponse:
    response: TestResponse = app.test_client(use_cookies=False).post("/auths/login", data=body, **rest)
    return response


def test_the_line_of_the_spec_signs_in(app: Flask, alice: str) -> None:
    response = post(app, "username=alice&password=alicepass123", content_type=FORM)
    assert response.status_code == 200
    body = response.json
    assert body is not None
    assert body == {"access_token": body["access_token"], "refresh_token": body["refresh_token"], "token_type": "bearer", "expires_in": 3600}
    assert bearer(app, body["access_token"]).get("/auths/me").json == {"id": alice, "username": "alice", "role": "USER"}
    assert "Set-Cookie" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"


def test_json_signs_in_as_well(app: Flask, alice: str) -> None:
    response = post(app, json.dumps({"username": "Alice", "password": PASSWORD}), content_type="application/json")
    assert response.status_code == 200


def test_what_oauth2_clients_send_along_changes_nothing(app: Flask, alice: str) -> None:
    form = {"grant_type": "password", "username": "alice", "password": PASSWORD, "scope": "", "client_id": "", "client_secret": ""}
    assert post(app, form).status_code == 200
    assert post(app, {**form, "scope": "chat offline_access", "client_id": "docs", "client_secret": "x", "grant_type": ""}).status_code == 200


def test_each_sign_in_is_another_one(app: Flask, alice: str) -> None:
    first, second = sign_in(app), sign_in(app)
    assert len({first.access, first.refresh, second.access, second.refresh}) == 4


def test_what_is_handed_out_runs_out_when_it_says(make_app: Callable[..., Flask], alice: str) -> None:
    app = make_app(JWT_ACCESS_TOKEN_MINUTES="5", JWT_REFRESH_TOKEN_DAYS="2")
    response = login(app)
    assert response.json is not None
    assert response.json["expires_in"] == 300
    for name, seconds in (("access_token", 300), ("refresh_token", 2 * 86400)):
        claims = jwt.decode(response.json[name], SECRET, ["HS256"])
        assert claims["exp"] - claims["iat"] == seconds
        assert abs(claims["iat"] - time.time()) < 5
        assert claims["sub"] == alice
        assert "password" not in json.dumps(claims)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"username", "password"}),
        ({"username": "alice"}, {"password"}),
        ({"username": "alice", "password": ""}, {"password"}),
        ({"username": " ", "password": PASSWORD}, {"username"}),
        ({"username": None, "password": PASSWORD}, {"username"}),
        ({"username": ["alice"], "password": PASSWORD}, {"username"}),
        ({"username": {"$ne": ""}, "password": {"$ne": ""}}, {"username", "password"}),
        ({"username": "a" * 256, "password": PASSWORD}, {"username"}),
        ({"username": "alice", "password": "p" * 257}, {"password"}),
        ({"username": "alice\0", "password": PASSWORD}, {"username"}),
        ({"username": "alice", "password": PASSWORD + "\0"}, {"password"}),
        ({"username": "alice", "password": PASSWORD, "grant_type": "refresh_token"}, {"grant_type"}),
        ({"username": "alice", "password": PASSWORD, "role": "ADMIN"}, {"role"}),
        ({"username": "alice", "password": PASSWORD, "user_id": "x", "is_admin": True}, {"user_id", "is_admin"}),
        ({"username": "alice", "password": 12345678}, {"password"}),
        ({"username": True, "password": PASSWORD}, {"username"}),
    ],
)
def test_input_that_is_no_sign_in_is_told_so_field_by_field(app: Flask, given: dict[str, Any], fields: set[str]) -> None:
    response = post(app, json.dumps(given), content_type="application/json")
    assert response.status_code == 400, response.text
    assert response.json is not None
    assert {problem["field"] for problem in response.json["errors"]} == fields
    assert all(name in response.json["detail"] for name in fields)
    assert PASSWORD not in response.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"username=alice&password=alicepass123", "text/plain", 415),
        (b"username=alice&password=alicepass123", "application/xml", 415),
        (b"username=alice&password=alicepass123", "", 415),
        (b"--x\r\nContent-Disposition: form-data; name=username\r\n\r\nalice\r\n--x--", "multipart/form-data; boundary=x", 415),
        (b"", FORM, 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"alice"', "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"username": "alice", "password": "\\ud800"}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"username=alice&password=%ED%A0%80", FORM, 400),
        (b"username=alice&password=%FF", FORM, 400),
        (b"username=alice&password=\xff", FORM, 400),
        (b"username=alice&username=bob&password=alicepass123", FORM, 400),
        (b"username=alice&password=alicepass123&extra=1", FORM, 400),
        (b"username=alice&password=%00alicepass123", FORM, 400),
        (b"&".join(b"a%d=1" % number for number in range(500)), FORM, 400),
        (b"username=alice&password=" + b"x" * (1024 * 1024), FORM, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(app: Flask, body: bytes, kind: str, status: int) -> None:
    response = post(app, body, content_type=kind)
    assert response.status_code == status, response.text
    assert response.json is not None
    assert set(response.json) == {"detail", "errors"}


@pytest.mark.parametrize("kind", [FORM, "application/json"])
def test_a_password_of_a_megabyte_is_refused_before_anything_is_computed(app: Flask, alice: str, looked_at: list[str], kind: str) -> None:
    password = "x" * 1_000_000
    body = f"username=alice&password={password}" if kind == FORM else json.dumps({"username": "alice", "password": password})
    started = time.perf_counter()
    response = post(app, body, content_type=kind)
    assert response.status_code == 400
    assert time.perf_counter() - started < 2
    assert looked_at == []
    assert len(response.data) < 1000


def test_a_form_that_says_one_thing_and_is_another_is_refused(app: Flask, alice: str) -> None:
    assert post(app, "username=alice&password=alicepass123", content_type="application/json").status_code == 400
    assert post(app, json.dumps({"username": "alice", "password": PASSWORD}), content_type=FORM).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_signing_in_is_a_post(app: Flask, method: str) -> None:
    response = app.test_client().open("/auths/login", method=method)
    assert response.status_code == 405
    assert response.json == {"detail": "This method is not allowed here"}


def test_a_password_in_the_address_signs_nobody_in(app: Flask, alice: str) -> None:
    response = app.test_client().post(f"/auths/login?username=alice&password={PASSWORD}")
    assert response.status_code == 400
    assert PASSWORD not in response.text


def test_a_wrong_password_and_an_unknown_user_look_the_same(app: Flask, alice: str, looked_at: list[str]) -> None:
    wrong, unknown = login(app, password="wrong-password"), login(app, "nobody", "wrong-password")
    assert (wrong.status_code, wrong.data) == (unknown.status_code, unknown.data) == (401, b'{"detail":"Wrong username or password"}')
    ours = [{name: value for name, value in response.headers if name != "X-Request-ID"} for response in (wrong, unknown)]
    assert ours[0] == ours[1]
    assert len(looked_at) == 2


def test_a_disabled_account_looks_like_a_wrong_password(app: Flask, alice: str) -> None:
    set_in_database(app, "disabled_at = created_at")
    right, wrong = login(app), login(app, password="wrong-password")
    assert (right.status_code, right.data) == (wrong.status_code, wrong.data)
    assert right.status_code == 401


def test_after_a_few_wrong_passwords_even_the_right_one_waits(app: Flask, alice: str, looked_at: list[str]) -> None:
    assert [login(app, password=f"wrong-{number}").status_code for number in range(throttle.FREE_TRIES)] == [401] * throttle.FREE_TRIES
    refused = login(app)
    assert refused.status_code == 429
    assert refused.json == {"detail": "Too many wrong passwords. Wait, then try again"}
    assert refused.headers["Retry-After"] == "1"
    assert len(looked_at) == throttle.FREE_TRIES
    with app.app_context():
        time_passes(seconds=1.01)
    assert login(app).status_code == 200


def test_the_back_off_of_accounts_holds_though_rate_limits_are_off(make_app: Callable[..., Flask], alice: str) -> None:
    app = make_app(RATELIMIT_ENABLED="false")
    assert {login(app, password="wrong-password").status_code for _ in range(10)} == {401, 429}


def test_somebody_who_guesses_does_not_keep_the_owner_out(app: Flask, alice: str) -> None:
    assert 429 in {login(app, password="wrong-password", address="198.51.100.66").status_code for _ in range(10)}
    assert login(app, address="203.0.113.5").status_code == 200
    assert login(app, address="198.51.100.66").status_code == 429


def test_an_hour_of_guessing_is_fewer_than_twenty_passwords_looked_at(app: Flask, alice: str, looked_at: list[str]) -> None:
    elapsed = 0.0
    while elapsed < 3600 and len(looked_at) < 100:
        response = login(app, password="wrong-password")
        wait = float(response.headers["Retry-After"]) if response.status_code == 429 else 0
        with app.app_context():
            time_passes(seconds=wait)
        elapsed += wait
    assert throttle.FREE_TRIES < len(looked_at) < 20


def test_of_thirty_two_wrong_passwords_at_once_a_few_are_looked_at(app: Flask, alice: str, looked_at: list[str]) -> None:
    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(lambda number: login(app, password=f"wrong-{number}").status_code, range(32)))
    assert set(statuses) == {401, 429}
    assert len(looked_at) == statuses.count(401) <= throttle.FREE_TRIES + 2


def test_an_account_is_found_for_guessing_however_its_name_is_written(app: Flask, alice: str) -> None:
    spellings = ["alice", "ALICE", "Alice", "ａlice", "aLiCe", "𝐚lice"]
    assert [login(app, name, "wrong-password").status_code for name in spellings] == [401] * throttle.FREE_TRIES + [429]


def test_an_address_may_try_so_often_a_minute_whatever_the_account(make_app: Callable[..., Flask], alice: str) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="3/minute")
    assert [login(app, f"user{number}", "wrong-password").status_code for number in range(4)] == [401, 401, 401, 429]
    refused = login(app)
    assert refused.status_code == 429
    assert refused.json == {"detail": "Too many requests. Wait, then try again"}
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Policy"] == '"login";q=3;w=60'
    assert refused.headers["RateLimit"].startswith('"login";r=0;t=')
    assert login(app, address="203.0.113.5").status_code == 200


def test_an_idle_authorization_header_does_not_stand_in_the_way_of_signing_in(app: Flask, alice: str) -> None:
    assert login(app, headers={"Authorization": "Bearer expired.or.nonsense"}).status_code == 200
