"""`/metrics`: who may look, and what stands there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chatsvc import create_app
from chatsvc.core import scraping
from chatsvc.extensions import db
from config import Settings
from tests import factories
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT, HandedOut
from tests.factories import METRICS_TOKEN, Person
from tests.scrape import Scrape

STRONG = "9fKq2-Lw81x_Zr7TbnV0-pYd4Hs6Gm3Jc"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
NEW_EACH_TIME = {"X-Request-ID", "Date"}


def ask(app: Flask, token: str | None = METRICS_TOKEN, method: str = "GET", path: str = "/metrics", **environ: Any) -> TestResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).open(path, method=method, headers=headers, environ_overrides=environ)


def scrape(app: Flask) -> Scrape:
    found = ask(app)
    assert found.status_code == 200
    assert found.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(found.text)


def told(response: TestResponse) -> tuple[Any, ...]:
    return response.status_code, response.data, [header for header in response.headers if header[0] not in NEW_EACH_TIME]


@pytest.fixture
def fresh(make_app: Callable[..., Flask]) -> Flask:
    """One that has counted nothing yet."""
    return make_app()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("token", [None, "", "wrong", METRICS_TOKEN + "x", METRICS_TOKEN[:-1], "ä"], ids=["none", "empty", "wrong", "longer", "shorter", "odd"])
def test_without_the_token_there_is_nothing_however_one_asks(app: Flask, method: str, token: str | None) -> None:
    assert told(ask(app, token, method)) == told(ask(app, token, method, "/metricz"))
    assert ask(app, token, method).status_code == 404


def test_nobodys_token_but_its_own_opens_it(app: Flask, admin: Person) -> None:
    assert admin.get("/metrics").status_code == 404


@pytest.mark.parametrize("token", [None, "", "anything"])
def test_where_no_token_is_set_nobody_may_look(make_app: Callable[..., Flask], token: str | None) -> None:
    production = make_app(CHAT_ENV="production", METRICS_TOKEN="", JWT_SECRET_KEY=STRONG, CHAT_ENCRYPTION_KEY=STRONG)
    assert ask(production, token).status_code == 404


def test_it_is_read_and_not_written(app: Flask) -> None:
    assert ask(app, method="POST").status_code == 405
    head = ask(app, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")


def test_a_port_of_its_own_has_figures_and_nothing_else(make_app: Callable[..., Flask]) -> None:
    with_port = make_app(METRICS_PORT="9464", CHAT_ENV="production", METRICS_TOKEN="", JWT_SECRET_KEY=STRONG, CHAT_ENCRYPTION_KEY=STRONG)
    assert [ask(with_port, token, SERVER_PORT="8000").status_code for token in (None, "", "anything")] == [404] * 3
    assert ask(with_port, None, SERVER_PORT="9464").status_code == 200
    assert ask(with_port, None, path="/healthz", SERVER_PORT="9464").status_code == 404
    assert ask(with_port, None, path="/healthz", SERVER_PORT="8000").status_code == 200
    assert ask(with_port, None, SERVER_PORT="8000", HTTP_HOST="127.0.0.1:9464").status_code == 404


def test_on_any_but_loopback_that_port_asks_for_the_token_too(make_app: Callable[..., Flask]) -> None:
    with_port = make_app(METRICS_PORT="9464", METRICS_HOST="0.0.0.0")
    assert ask(with_port, None, SERVER_PORT="9464").status_code == 404
    assert ask(with_port, SERVER_PORT="9464").status_code == 200


def test_a_request_is_counted_by_method_route_face_and_status(fresh: Flask) -> None:
    owner = factories.person(fresh, "owner")
    session = owner.session(title="Chat")
    for _ in range(3):
        owner.get(f"/api/v1/chat-sessions/{session['id']}")
    owner.get(f"/api/v1/chat-sessions/{factories.unknown_id()}")
    found, labels = scrape(fresh), {"route": "/api/v1/chat-sessions/<session_id>", "face": "v1", "method": "GET"}
    assert found.sum("chatsvc_http_requests_total", status="200", **labels) == 3
    assert found.sum("chatsvc_http_requests_total", status="404", **labels) == 1
    assert found.sum("chatsvc_http_request_duration_seconds_count", **labels) == 4
    assert found.sum("chatsvc_http_request_duration_seconds_bucket", le="+Inf", **labels) == 4
    assert 0 < found.sum("chatsvc_http_request_duration_seconds_sum", **labels) < 60


@pytest.mark.parametrize(
    ("path", "face"),
    [
        ("/api/v1/chat-sessions", "v1"),
        ("/api/chat-sessions", "envelope"),
        ("/chat/sessions", "app"),
        ("/auths/me", "app"),
        ("/chat-ui", "page"),
        ("/healthz", "none"),
    ],
)
def test_each_route_has_its_face(fresh: Flask, path: str, face: str) -> None:
    factories.person(fresh, "owner").get(path)
    assert scrape(fresh).sum("chatsvc_http_requests_total", route=path, face=face, status="200") == 1


def test_whatever_is_asked_there_are_no_more_lines_than_routes(fresh: Flask) -> None:
    client = fresh.test_client(use_cookies=False)
    for number in range(20):
        client.open(f"/somewhere/{number}", method=f"BREW{number}")
        client.get(f"/chat/sessions/{number}/nowhere")
    client.open("/healthz", method="PUT")
    found = scrape(fresh)
    assert found.sum("chatsvc_http_requests_total", method="OTHER", route="unknown", face="none", status="404") == 20
    assert found.sum("chatsvc_http_requests_total", method="GET", route="unknown", face="none", status="404") == 20
    assert found.sum("chatsvc_http_requests_total", method="PUT", route="unknown", face="none", status="405") == 1
    assert found.values("chatsvc_http_requests_total", "route") == {"unknown"}


def test_nobody_and_nothing_that_was_written_stands_there(fresh: Flask) -> None:
    somebody = factories.person(fresh, "a-person-with-a-name")
    session = somebody.session(title="An unmistakable title")
    somebody.message(session["id"], "An unmistakable message")
    somebody.get("/chat/sessions?search=unmistakable")
    text = ask(fresh).text
    for word in ("a-person-with-a-name", "unmistakable", session["id"], METRICS_TOKEN, somebody.token):
        assert word not in text


def test_replies_are_counted_by_how_they_ended(app: Flask, handed: HandedOut, owner: Person) -> None:
    before = scrape(app)
    handed.say("Hi", None)
    assert owner.post(CHAT, json={"message": "Hello"}).status_code == 200
    after = scrape(app)

    def more(name: str, **labels: str) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    assert more("chatsvc_replies_total") == more("chatsvc_replies_total", outcome="complete", kind="none", responder="other") == 1
    assert more("chatsvc_reply_first_token_seconds_count") == more("chatsvc_reply_duration_seconds_count", responder="other") == 1
    assert more("chatsvc_replies_running") == more("chatsvc_streams_running") == 0


def test_a_reply_that_fails_is_counted_by_its_kind(make_app: Callable[..., Flask]) -> None:
    nobody_there = make_app(CHAT_RESPONDER="openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_MODEL="parrot")
    assert factories.person(nobody_there, "owner").post(CHAT, json={"message": "Hello"}).status_code == 502
    found = scrape(nobody_there)
    assert found.sum("chatsvc_replies_total", outcome="failed", kind="unreachable", responder="openai") == 1
    assert found.sum("chatsvc_reply_first_token_seconds_count") == 0


def test_a_cleanup_is_counted_by_what_it_did_and_when(fresh: Flask, admin: Person) -> None:
    began = time.time()
    assert factories.person(fresh, "admin", role="ADMIN").post("/api/chat-sessions/cleanup").status_code == 200
    fresh.test_cli_runner().invoke(args=["cleanup", "purge"])
    found = scrape(fresh)
    for kind in ("timeout", "purge"):
        assert found.sum("chatsvc_cleanup_passes_total", kind=kind, outcome="ok") == 1
        assert found.sum("chatsvc_cleanup_last_success_timestamp_seconds", kind=kind) >= began - 1
    assert {"exchanges", "sessions", "messages"} <= found.values("chatsvc_cleanup_rows_total", "what")


def test_a_cleanup_that_fails_is_counted_as_one(database_url: str, tmp_path: Path) -> None:
    away = create_app(replace(factories.settings(database_url), database_url=f"sqlite:///{tmp_path / 'not there' / 'x.db'}"))
    assert away.test_cli_runner().invoke(args=["cleanup", "purge"]).exception
    found = scrape(away)
    assert found.sum("chatsvc_cleanup_passes_total", kind="purge", outcome="failed") == 1
    assert found.sum("chatsvc_cleanup_last_success_timestamp_seconds") == 0


def away(settings: Settings) -> Settings:
    """The same, with a database that is not there."""
    nowhere = "sqlite:////nowhere/at/all.db" if settings.sqlite else "postgresql+psycopg2://nobody@127.0.0.1:9/nothing"
    return replace(settings, database_url=nowhere)


def test_a_database_that_is_away_takes_nothing_but_its_own_figures(database_url: str) -> None:
    alone = create_app(away(factories.settings(database_url)))
    assert alone.test_client().get("/readyz").status_code == 503
    found = scrape(alone)
    assert found.sum("chatsvc_database_up") == 0
    assert found.sum("chatsvc_http_requests_total", route="/readyz", status="503") == 1
    assert not {"chatsvc_database_bytes", "chatsvc_exchanges_open"} & found.names


def test_the_database_is_asked_a_few_questions_once_in_five_seconds(fresh: Flask) -> None:
    with rows.statements(fresh) as sent:
        scrape(fresh)
        scrape(fresh)
    assert 5 < len(sent) < 16  # of SQLite each table is asked by itself
    assert scraping.OLDEST_SECONDS == 5


def test_the_database_tells_of_its_tables(app: Flask, engine_name: str, fresh: Flask) -> None:
    owner = factories.person(fresh, "owner")
    owner.message(owner.session()["id"], "Hello")
    if engine_name == "postgresql":
        with fresh.app_context(), db.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE chat_sessions")
    found = scrape(fresh)
    assert found.sum("chatsvc_database_up") == 1
    assert found.sum("chatsvc_database_bytes") > 50_000
    assert found.values("chatsvc_table_rows", "table") == set(scraping.TABLES)
    assert found.sum("chatsvc_table_rows", table="chat_sessions") >= 1
    assert found.sum("chatsvc_table_bytes") > 0 or engine_name == "sqlite"


def test_waits_for_a_connection_are_counted(fresh: Flask) -> None:
    with fresh.app_context():
        held = [db.engine.connect() for _ in range(16)]
        threading.Timer(0.3, held.pop().close).start()
        db.engine.connect().close()
        found = Scrape(ask(fresh).text)
        for connection in held:
            connection.close()
    assert found.sum("chatsvc_db_pool_waits_total") == 1
    assert 0.1 < found.sum("chatsvc_db_pool_wait_seconds_total") < 3
    assert found.sum("chatsvc_db_pool_timeouts_total") == 0
    assert found.sum("chatsvc_db_pool_size") == 16
    assert found.sum("chatsvc_db_pool_in_use") == 15
