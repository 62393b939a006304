"""What every answer carries, and which pages elsewhere may call."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsvc import create_app
from tests import factories

APP = "https://app.example.com"
EVERYWHERE = ["/healthz", "/auths/me", "/auths/login", "/api/v1/chat-sessions", "/api/nothing", "/nothing", "/"]
MADE = re.compile("[0-9a-f]{16}")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FlaskClient]:
    """An application without a table, with these settings."""
    folder: Path = tmp_path_factory.mktemp("bare")
    return lambda **changes: create_app(factories.settings(f"sqlite:///{folder / 'bare.db'}", **changes)).test_client()


@pytest.fixture(scope="module")
def client(bare: Callable[..., FlaskClient]) -> FlaskClient:
    return bare()


@pytest.fixture(scope="module")
def open_client(bare: Callable[..., FlaskClient]) -> FlaskClient:
    """One that two origins may call."""
    return bare(CORS_ORIGINS=f"{APP}, http://localhost:3000")


def preflight(client: FlaskClient, origin: str, path: str = "/api/v1/chat-sessions", method: str = "POST") -> TestResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization, content-type"}
    response: TestResponse = client.options(path, headers=headers)
    return response


def cors(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith("Access-Control")}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_is_guarded_and_has_an_id(client: FlaskClient, path: str) -> None:
    for response in (client.get(path), client.post(path), client.options(path), client.delete(path)):
        assert response.status_code < 500
        headers = response.headers
        assert MADE.fullmatch(headers["X-Request-ID"])
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers


def test_ids_are_all_different(client: FlaskClient) -> None:
    assert len({client.get("/healthz").headers["X-Request-ID"] for _ in range(50)}) == 50


@pytest.mark.parametrize("given", ["a", "0", "a.b-c_d", "x" * 64, "0c8f0a52-3c1c-4f0e-9a53-0d4b6c1b7a11"])
def test_an_id_that_is_safe_is_given_back(client: FlaskClient, given: str) -> None:
    for path in EVERYWHERE:
        assert client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "a\tb", "<script>", "a;b", "a,b", "é", "a%0d%0ab", '"', "a/b", "\x7f", "a\x85", "١٢"])
def test_an_id_that_is_not_is_replaced(client: FlaskClient, given: str) -> None:
    response = client.get("/healthz", environ_overrides={"HTTP_X_REQUEST_ID": given.encode().decode("latin-1")})
    assert MADE.fullmatch(response.headers["X-Request-ID"])


def test_a_failure_names_the_request(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    good = {"Authorization": f"Bearer {factories.token()}", "X-Request-ID": "from-the-caller"}
    response = client.get("/auths/me", headers=good)  # there is no table to ask
    assert response.status_code == 500
    assert response.headers["X-Request-ID"] == "from-the-caller"
    assert "from-the-caller" in response.text
    assert "from-the-caller" in caplog.text
    assert "sqlite" not in response.text.lower()


@pytest.mark.parametrize("settings", [{"PUBLIC_URL": "https://chat.example.com"}])
def test_over_tls_browsers_are_told_to_stay_there(bare: Callable[..., FlaskClient], settings: dict[str, str]) -> None:
    assert bare(**settings).get("/healthz").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_whether_it_is_tls_is_not_for_the_client_to_say(client: FlaskClient, bare: Callable[..., FlaskClient]) -> None:
    said = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in client.get("/healthz", headers=said).headers
    assert "Strict-Transport-Security" in bare(PROXY_HOPS="1").get("/healthz", headers=said).headers


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("origin", [APP, "null", "http://localhost:3000"])
def test_by_default_no_page_elsewhere_is_let_in(client: FlaskClient, path: str, origin: str) -> None:
    for response in (client.get(path, headers={"Origin": origin}), preflight(client, origin, path)):
        assert cors(response) == {}
        assert "Vary" not in response.headers


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000"])
def test_a_page_on_the_list_may_ask_before_it_asks(open_client: FlaskClient, origin: str) -> None:
    response = preflight(open_client, origin)
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Vary"] == "Origin"
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE"
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "last-event-id"} <= set(allowed)
    # What a sign-in by cookie needs is for our own page alone.
    assert not {"x-csrf-token", "x-session", "cookie"} & set(allowed)


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_page_on_the_list_may_read_every_answer_errors_too(open_client: FlaskClient, path: str) -> None:
    response = open_client.get(path, headers={"Origin": APP})
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert {"X-Request-ID", "Retry-After", "Idempotent-Replayed", "Link"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:443",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://evil.example?https://app.example.com",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://app.example.com, https://evil.example",
        "https://example.com",
        "http://localhost:3001",
        "https://app.example.com\x00",
        "*",
    ],
)
def test_a_page_that_is_not_exactly_on_the_list_is_not_let_in(open_client: FlaskClient, origin: str) -> None:
    for response in (open_client.get("/healthz", headers={"Origin": origin}), preflight(open_client, origin)):
        assert cors(response) == {}
        assert response.headers["Vary"] == "Origin"


def test_cookies_are_never_let_in(open_client: FlaskClient) -> None:
    for response in (open_client.get("/healthz", headers={"Origin": APP}), preflight(open_client, APP), preflight(open_client, APP, "/auths/login")):
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Access-Control-Allow-Origin"] != "*"
