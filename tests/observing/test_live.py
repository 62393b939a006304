"""The service as `flask serve` starts it, scraped while it works: threads on SQLite, greenlets on PostgreSQL, two workers, one of them killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from bench.streams import SECRET, free_port, served
from tests import postgres
from tests.factories import METRICS_TOKEN
from tests.faults.kill_streams import workers_of
from tests.observing import files
from tests.promtool import program
from tests.scrape import Scrape

ONLY_ON_POSTGRESQL = {"chatsvc_table_bytes"}


@dataclass
class Watched:
    port: int
    metrics_port: int
    pid: int
    folder: Path

    def ask(self, method: str, path: str, body: Any = None, user: str = "owner", port: int = 0, token: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        claims = {"sub": user, "exp": int(time.time()) + 3600, "role": "ADMIN" if user == "admin" else "USER"}
        headers = {"Authorization": f"Bearer {token or jwt.encode(claims, SECRET, 'HS256')}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def scrape(self) -> Scrape:
        status, text = self.ask("GET", "/metrics", port=self.metrics_port, token="none")
        assert status == 200
        return Scrape(text.decode())

    def becomes(self, true: Callable[[Scrape], bool], within: float = 60) -> Scrape:
        ends_at = time.monotonic() + within
        while not true(found := self.scrape()):
            assert time.monotonic() < ends_at, found.text
            time.sleep(0.2)
        return found


@pytest.fixture(scope="module")
def database(engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('live') / 'own.db'}"
        return
    with postgres.new_database(request.getfixturevalue("server")) as url:
        yield url


@pytest.fixture(scope="module")
def service(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """It has been used in every way that is counted."""
    port, metrics_port, folder = free_port(), free_port(), tmp_path_factory.mktemp("metrics")
    settings = {"METRICS_PORT": str(metrics_port), "METRICS_TOKEN": METRICS_TOKEN, "METRICS_DIR": str(folder), "CHAT_ECHO_DELAY_MS": "0"}
    open_to_us = {"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "LOG_LEVEL": "error"}
    with served(port, DATABASE_URL=database, WEB_CONCURRENCY="2", CHAT_THREADS="32", **settings, **open_to_us) as pid:
        found = Watched(port, metrics_port, pid, folder)
        use(found)
        yield found


def use(service: Watched) -> None:
    for _ in range(20):
        assert service.ask("GET", "/api/v1/chat-sessions")[0] == 200
    assert service.ask("POST", "/api/v1/chat", {"message": "one two three"})[0] == 200
    assert service.ask("GET", "/api/v1/chat-sessions/none")[0] == 404
    with_a_hole = {"name": "Hole", "kind": "webhook", "webhookUrl": f"http://127.0.0.1:{free_port()}/"}
    status, made = service.ask("POST", "/api/personas", with_a_hole, user="admin")
    assert status == 201
    persona = json.loads(made)["data"]["personaId"]
    for _ in range(6):  # the fifth opens its breaker
        assert service.ask("POST", "/api/v1/chat", {"message": "Hello", "persona_id": persona})[0] in (502, 503)


def test_any_worker_tells_of_all(service: Watched) -> None:
    found = service.becomes(lambda one: one.sum("chatsvc_workers") == 2)
    for _ in range(5):
        found = service.scrape()
        assert found.sum("chatsvc_http_requests_total", route="/api/v1/chat-sessions", status="200") == 20
        assert found.sum("chatsvc_replies_total", outcome="complete", responder="echo") == 1
        assert found.sum("chatsvc_replies_total", outcome="failed", responder="webhook", kind="unreachable") == 5
        assert found.sum("chatsvc_replies_total", outcome="failed", kind="circuit_open") == 1
    assert found.sum("chatsvc_breakers", state="open") + found.sum("chatsvc_breakers", state="half_open") == 1
    assert found.sum("chatsvc_database_up") == 1
    assert found.sum("chatsvc_db_pool_size") == 32


def test_the_cleanup_which_is_a_process_of_its_own_is_told_of(service: Watched) -> None:
    def both(found: Scrape) -> bool:
        return all(found.sum("chatsvc_cleanup_last_success_timestamp_seconds", kind=kind) > time.time() - 3600 for kind in ("timeout", "purge"))

    assert service.becomes(both).sum("chatsvc_cleanup_passes_total", outcome="ok") == 2


def test_its_own_port_has_figures_alone_and_the_other_asks_for_the_token(service: Watched) -> None:
    assert service.ask("GET", "/healthz", port=service.metrics_port)[0] == 404
    assert service.ask("GET", "/api/v1/chat-sessions", port=service.metrics_port)[0] == 404
    assert service.ask("GET", "/metrics")[0] == 404
    assert service.ask("GET", "/metrics", token=METRICS_TOKEN)[0] == 200


def test_every_metric_of_the_dashboard_and_the_alerts_is_there(service: Watched, engine_name: str) -> None:
    found = service.becomes(lambda one: "chatsvc_cleanup_rows_total" in one.names).names
    expressions = [*files.shown(), *files.alerts().values()]
    asked = {name for expression in expressions for name in files.METRIC.findall(expression)}
    missing = asked - found - (ONLY_ON_POSTGRESQL if engine_name == "sqlite" else set())
    assert missing <= {"chatsvc_breaker_open"}  # half open since, on a machine that is slow
    assert len(asked) > 20


def test_every_label_of_the_dashboard_and_the_alerts_is_there(service: Watched) -> None:
    there: dict[str, set[str]] = {}
    for name, labels in service.scrape().samples:
        there.setdefault(name, set()).update(label for label, _ in labels)
    for expression in (*files.shown(), *files.alerts().values()):
        for name, matchers in files.LABELS.findall(expression):
            asked = set(files.MATCHER.findall(matchers)) - {"job", "instance"}
            assert name not in there or asked <= there[name], expression


def test_prometheus_has_nothing_against_a_scrape(service: Watched) -> None:
    done = subprocess.run([program("promtool"), "check", "metrics"], input=service.scrape().text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_itself_reads_it_and_carries_out_every_expression(service: Watched, tmp_path: Path) -> None:
    server, port = program("prometheus"), free_port()
    text = (files.PROMETHEUS / "prometheus.yml").read_text().replace("127.0.0.1:9464", f"127.0.0.1:{service.metrics_port}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "alerts.yml").write_text((files.PROMETHEUS / "alerts.yml").read_text())
    words = ["--config.file=prometheus.yml", f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen([server, *words], cwd=tmp_path)
    try:
        ends_at = time.monotonic() + 90
        while not query(port, "count_over_time(chatsvc_workers[1m]) > 3"):
            assert time.monotonic() < ends_at, "Prometheus has not scraped"
            time.sleep(0.5)
        for expression in (*files.shown(), *files.alerts().values()):
            query(port, expression)
        assert query(port, 'up{job="chatsvc"} == 1')
        assert query(port, "ALERTS{alertname='ChatsvcDown'}") == []
    finally:
        process.terminate()
        process.wait(30)


def query(port: int, expression: str) -> list[Any]:
    """What Prometheus finds; an expression that it does not understand raises."""
    address = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[Any] = json.loads(answer.read())["data"]["result"]
            return found
    except urllib.error.HTTPError as error:
        if error.code == 503:  # it is still starting
            return []
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    except OSError:
        return []


# The last: it changes who serves.
def test_what_a_killed_worker_has_counted_stays_and_its_gauges_go(service: Watched) -> None:
    before = service.becomes(lambda one: one.sum("chatsvc_workers") == 2)
    one, other = workers_of(service.pid)
    os.kill(one, signal.SIGKILL)
    after = service.becomes(lambda found: found.sum("chatsvc_workers") == 2 and (service.folder / "gone.json").exists())
    assert one not in workers_of(service.pid)
    assert other in workers_of(service.pid)
    for name in ("chatsvc_http_requests_total", "chatsvc_replies_total", "chatsvc_http_request_duration_seconds_count"):
        assert after.sum(name) >= before.sum(name) > 0
    assert after.sum("chatsvc_http_requests_total", route="/api/v1/chat-sessions", status="200") == 20
    assert after.sum("chatsvc_db_pool_size") == 32
    assert len(list(service.folder.glob("*.cells"))) == 3  # two workers and the cleanup
