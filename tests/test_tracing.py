"""Spans at a real receiver, which reads them as a collector does: a request, its statements, its reply, what it asked of others; no words of anybody."""

from __future__ import annotations

import gzip
import http.client
import http.server
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bench.streams import free_port, served, token
from chatsvc import tracing
from chatsvc.core import naming, spans
from chatsvc.responders import http as outgoing
from config import ROOT
from tests import factories
from tests.api.v1.streams import CHAT
from tests.responders.upstream import Upstream, completion, in_pieces, running

UNMISTAKABLE = "unmistakable words of somebody"


@dataclass
class Collector:
    """Keeps what it is sent."""

    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    url: str = ""

    def take(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest.FromString(body)
        self.raw.append(body)
        for of_resource in sent.resource_spans:
            self.services |= {one.value.string_value for one in of_resource.resource.attributes if one.key == "service.name"}
            self.spans += [span for of_scope in of_resource.scope_spans for span in of_scope.spans]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def facts(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    found = Collector()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.take(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as found:
        yield found


@pytest.fixture
def traced(make_app: Callable[..., Flask], collector: Collector, upstream: Upstream) -> Iterator[tuple[Flask, Callable[[], None]]]:
    """An application that sends its spans, and what sends the last of them."""
    app = make_app(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, CHAT_RESPONDER="openai", OPENAI_BASE_URL=f"{upstream.url}/v1", OPENAI_MODEL="parrot")
    around = outgoing.around
    end = tracing.begin(app)
    yield app, end
    end()
    outgoing.around = around


def test_a_request_its_statements_its_reply_and_the_question_to_others_are_one_trace(
    traced: tuple[Flask, Callable[[], None]], collector: Collector, upstream: Upstream
) -> None:
    app, end = traced
    upstream.script = in_pieces(completion("A thing"))
    owner = factories.person(app, "owner")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = owner.post(CHAT, json={"message": UNMISTAKABLE}, headers={"traceparent": parent, "X-Request-ID": "r-9"})
    assert sent.status_code == 200, sent.text
    end()
    (request,) = collector.named(f"POST {CHAT}")
    (reply,) = collector.named("reply")
    (question,) = collector.named("POST")
    statements = [span for span in collector.spans if span.name.split(" ")[0] in naming.VERBS.pattern]
    assert request.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert {span.trace_id for span in (reply, question)} == {request.trace_id}
    assert reply.parent_span_id == request.span_id
    assert question.parent_span_id == reply.span_id
    wanted = {"http.request.method": "POST", "http.route": CHAT, "http.response.status_code": 200, "chatsvc.request": "r-9"}
    assert facts(request).items() >= wanted.items()
    assert (request.kind, question.kind, reply.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)
    assert facts(question)["http.response.status_code"] == 200
    assert facts(reply)["chatsvc.responder"] == "openai"
    assert {span.name for span in statements} >= {"INSERT chat_messages", "UPDATE chat_messages"}
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in collector.spans)
    assert collector.services == {"chatsvc"}


def test_nothing_of_what_people_wrote_is_sent(traced: tuple[Flask, Callable[[], None]], collector: Collector, upstream: Upstream) -> None:
    app, end = traced
    upstream.script = in_pieces(completion("An unmistakable answer"))
    person = factories.person(app, "unmistakable-person")
    person.post(CHAT, json={"message": UNMISTAKABLE})
    session = person.session(title=UNMISTAKABLE)
    person.message(session["id"], UNMISTAKABLE)
    person.get("/chat/sessions?search=unmistakable")
    person.get("/unmistakable/path")
    end()
    sent = b"".join(collector.raw)
    assert len(collector.spans) > 10
    for word in (b"unmistakable", b"An unmist", person.token.encode(), factories.SECRET.encode(), b"search="):
        assert word not in sent


def test_of_a_failure_its_kind_is_told_and_not_its_words(traced: tuple[Flask, Callable[[], None]], collector: Collector) -> None:
    app, end = traced

    class Broken:
        def reply(self, question: object, stop: object) -> Any:
            raise ZeroDivisionError(UNMISTAKABLE)

    app.extensions["chatsvc.responder"] = Broken()
    assert factories.person(app, "owner").post(CHAT, json={"message": "Hello"}).status_code == 502
    end()
    (reply,) = collector.named("reply")
    assert facts(reply)["error.type"] == "ZeroDivisionError"
    assert reply.status.code == Status.STATUS_CODE_ERROR
    assert UNMISTAKABLE.encode() not in b"".join(collector.raw)


def test_a_collector_that_is_away_holds_nobody_up(make_app: Callable[..., Flask]) -> None:
    app = make_app(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    logging.getLogger("opentelemetry").setLevel("CRITICAL")
    end = tracing.begin(app)
    began = time.monotonic()
    assert factories.person(app, "owner").get("/chat/sessions").status_code == 200
    assert time.monotonic() - began < 5
    spans.tracer = None
    threading.Thread(target=end, daemon=True).start()  # its last try takes as long as the library gives it


def test_while_nobody_traces_there_is_nothing() -> None:
    assert spans.tracer is None
    assert spans.current() is None
    with spans.span("x") as told:
        told["y"] = 1


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT chat_sessions.id FROM chat_sessions WHERE user_id = %(u)s", "SELECT chat_sessions"),
        ("SET LOCAL chatsvc.acts_for = 'u; DELETE FROM users'; INSERT INTO chat_messages (id) VALUES (1)", "DELETE users"),
        ("WITH x AS (SELECT 1) UPDATE users SET a = 1", "SELECT users"),
        ("COMMIT", "statement"),
    ],
)
def test_a_statement_is_called_by_words_that_are_known(sql: str, name: str) -> None:
    """Somebody's id may look like one; even then nothing of it is told but words of ours."""
    assert naming.of_statement(sql)[0] == name


def test_without_the_packages_it_does_not_start_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry/__init__.py").write_text("")  # found first, and empty
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "JWT_SECRET_KEY": factories.SECRET, "CHAT_ENCRYPTION_KEY": factories.SECRET}
    environ = {
        **os.environ,
        **settings,
        "METRICS_TOKEN": factories.METRICS_TOKEN,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONPATH": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", "import wsgi"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set, and the packages that it needs are not installed. Run: make otel" in done.stderr


def test_the_service_as_shipped_sends_them(empty_database: str, collector: Collector) -> None:
    port = free_port()
    with served(port, DATABASE_URL=empty_database, WEB_CONCURRENCY="1", CHAT_THREADS="8", LOG_LEVEL="error", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/v1/chat-sessions", headers={"Authorization": f"Bearer {token('owner')}"})
        assert connection.getresponse().status == 200
        connection.close()
    (request,) = collector.named("GET /api/v1/chat-sessions")  # said when it was told to stop
    assert any(span.parent_span_id == request.span_id and "SELECT" in span.name for span in collector.spans)
