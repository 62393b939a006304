"""`POST /auths/register`."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.app.accounts import PASSWORD, account, login, sign_in


def register(app: Flask, username: Any = "alice", password: Any = PASSWORD, **more: Any) -> TestResponse:
    body = json.dumps({"username": username, "password": password, **more})
    response: TestResponse = app.test_client().post("/auths/register", data=body, content_type="application/json")
    return response


def problems(response: TestResponse) -> set[str]:
    assert response.status_code == 400, response.text
    assert response.json is not None
    assert set(response.json) == {"detail", "errors"}
    return {problem["field"] for problem in response.json["errors"]}


def test_a_new_account_can_sign_in(app: Flask) -> None:
    response = register(app, "Zoë the 2nd")
    assert response.status_code == 201
    assert response.json is not None
    assert response.json == {"id": response.json["id"], "username": "Zoë the 2nd", "role": "USER"}
    assert sign_in(app, "zoë THE 2nd").person.get("/auths/me").json == response.json


@pytest.mark.parametrize("spelling", ["alice", "ALICE", "Alice", "ａｌｉｃｅ", "𝐚𝐥𝐢𝐜𝐞", "aLıce".replace("ı", "i")])
def test_a_name_that_is_taken_is_taken_in_every_spelling(app: Flask, spelling: str) -> None:
    account(app)
    response = register(app, spelling)
    assert response.status_code == 409
    assert response.json == {"detail": "This username is taken"}
    assert login(app).status_code == 200


def test_of_many_who_want_a_name_at_once_one_gets_it(app: Flask) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: register(app).status_code, range(8)))
    assert sorted(statuses) == [201] + [409] * 7


@pytest.mark.parametrize(
    "name",
    [
        " alice",
        "alice ",
        "alice\u00a0",
        "al\u200bice",
        "al\u200dice",
        "al\u00adice",
        "\ufeffalice",
        "alice\u202e",
        "al\nice",
        "al\tice",
        "alice\x7f",
        "al\u2028ice",
        "al\u3000ice",
        "al\u3164ice",
        "alice\u115f",
        "alice\ufe0f",
        "al\u034fice",
        "alice\U000e0101",
        "alice\U000e0041",
        "\u2800alice",
        "alice\ue000",
        "alice\U0010fffe",
        "alice  smith",
        "\u3164",
        "\u200b",
    ],
)
def test_a_name_holds_nothing_that_cannot_be_seen(app: Flask, name: str) -> None:
    assert problems(register(app, name)) == {"username"}


@pytest.mark.parametrize("name", ["a", "a" * 64, "O'Neill-Smith", "名前", "Ж", "محمد", "name@example.org", "<script>", "100%", "Zoe\u0308", "👩"])
def test_any_name_that_can_be_seen_will_do(app: Flask, name: str) -> None:
    assert register(app, name).status_code == 201
    assert login(app, name).status_code == 200


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"username": ""}, {"username"}),
        ({"username": "   "}, {"username"}),
        ({"username": "a" * 65}, {"username"}),
        ({"username": None}, {"username"}),
        ({"username": 5}, {"username"}),
        ({"username": "a\0b"}, {"username"}),
        ({"username": "\ud800"}, {"body"}),
        ({"password": "seven77"}, {"password"}),
        ({"password": "p" * 257}, {"password"}),
        ({"password": None}, {"password"}),
        ({"password": "12345678\0"}, {"password"}),
        ({"password": "        "}, {"password"}),
        ({"username": "", "password": ""}, {"username", "password"}),
        ({"role": "ADMIN"}, {"role"}),
        ({"id": "x", "disabled_at": None, "password_hash": "x", "username_key": "x"}, {"id", "disabled_at", "password_hash", "username_key"}),
    ],
)
def test_what_cannot_be_an_account_is_told_so_field_by_field(app: Flask, given: dict[str, Any], fields: set[str]) -> None:
    assert problems(register(app, **given)) == fields
    assert login(app).status_code == 401


def test_a_password_of_256_characters_will_do_and_counts_to_the_last(app: Flask) -> None:
    assert register(app, password="é" * 255 + "x").status_code == 201
    assert login(app, password="é" * 255 + "x").status_code == 200
    assert login(app, password="é" * 255 + "y").status_code == 401


def test_accounts_are_made_from_json_only(app: Flask) -> None:
    response = app.test_client().post("/auths/register", data={"username": "alice", "password": PASSWORD})
    assert response.status_code == 415


def test_registration_can_be_closed(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_REGISTRATION="false")
    response = register(app)
    assert response.status_code == 403
    assert response.json == {"detail": "Registration is closed here; ask the operator for an account"}
    assert login(app).status_code == 401


def test_registering_counts_as_a_try_to_sign_in(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2/minute")
    assert [register(app, f"user{number}").status_code for number in range(3)] == [201, 201, 429]
