"""The circuit over two processes' worth of service: counted together, asked by neither while it is open, shown to admins."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import jwt
from flask import Flask

from bench.streams import SECRET, free_port, served
from bench.streams import token as bench_token
from tests.api.envelope.calls import Body, answered
from tests.api.envelope.webhooks import FINE, LOOPBACK, Line, another, answers, line, run
from tests.api.v1 import rows
from tests.faults.kill_streams import workers_of
from tests.responders.upstream import Upstream, running


def wait_out(app: Flask, persona_id: str) -> None:
    ago = (
        "strftime('%Y-%m-%d %H:%M:%f', opened_at, '-31 seconds') || '000'" if app.extensions["chatsvc.settings"].sqlite else "opened_at - interval '31 seconds'"
    )
    run(app, f"UPDATE circuits SET opened_at = {ago} WHERE persona_id = :p", p=persona_id)


def test_two_workers_count_together(make_app: Callable[..., Flask]) -> None:
    with running() as upstream:
        upstream.script = answers("", 500)
        first = line(make_app(**LOOPBACK), upstream.url)
        second = another(first, "stranger", make_app(**LOOPBACK))
        assert first.circuit() == {"state": "closed", "failures": 0, "openedAt": None}
        for number in range(5):
            assert (first, second)[number % 2].send().status_code == 502
        shown = second.circuit()
        assert (shown["state"], shown["failures"]) == ("open", 5)
        assert shown["openedAt"]
        assert "circuit" not in answered(first.who.get(f"/api/personas/{first.persona_id}"))
        refused_while_open(first, second, upstream)
        wait_out(first.app, first.persona_id)
        assert first.circuit()["state"] == "half_open"
        upstream.script = FINE
        assert second.send().status_code == 201
        assert first.circuit() == {"state": "closed", "failures": 0, "openedAt": None}
        assert first.send().status_code == 201
        assert len(upstream.requests) == 7
        actions = answered(first.admin.get(f"/api/audit-events?subject={first.persona_id}"))["events"]
        assert Counter(event["action"] for event in actions) == {"persona.created": 1, "webhook.failed": 5, "circuit.opened": 1, "circuit.closed": 1}
        assert rows.breaches(first.app) == []


def refused_while_open(first: Line, second: Line, upstream: Upstream) -> None:
    """A hundred at both, of which the flow hears nothing."""
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: (first, second)[number % 2].send(), range(100)))
    assert {response.status_code for response in told} == {503}
    assert {response.headers["Retry-After"] for response in told} == {"30"}
    bodies = [cast("Body", response.json) for response in told]
    assert {(body["success"], body["data"]["status"], body["data"]["reply"]) for body in bodies} == {(False, "FAILED", None)}
    found = first.session(bodies[0]["data"]["sessionId"])
    assert (found["status"], found["errorKind"], found["errorMessage"]) == ("FAILED", "circuit_open", bodies[0]["message"])
    assert len(upstream.requests) == 5


def test_two_real_workers_count_together(empty_database: str) -> None:
    def ask(port: int, method: str, path: str, body: Any = None, *, role: str = "USER") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        claims = jwt.decode(bench_token("owner"), SECRET, ["HS256"])
        headers = {"Authorization": f"Bearer {jwt.encode({**claims, 'role': role}, SECRET)}", "Content-Type": "application/json", "Connection": "close"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found

    port = free_port()
    settings = {**LOOPBACK, "DATABASE_URL": empty_database, "WEB_CONCURRENCY": "2", "RATELIMIT_ENABLED": "false", "LOG_LEVEL": "error"}
    with running() as upstream, served(port, **settings) as pid:
        assert len(workers_of(pid)) == 2
        upstream.script = answers("", 500)
        persona = {"name": "Gardener", "kind": "webhook", "webhookUrl": upstream.url}
        persona_id = ask(port, "POST", "/api/personas", persona, role="ADMIN")[1]["data"]["personaId"]
        path = f"/api/conversations/{ask(port, 'POST', '/api/conversations', {'personaId': persona_id})[1]['data']['conversationId']}/messages"
        with ThreadPoolExecutor(10) as pool:
            told = Counter(status for status, _ in pool.map(lambda _: ask(port, "POST", path, {"message": "?"}), range(5)))
            assert told == {502: 5}
            told = Counter(status for status, _ in pool.map(lambda _: ask(port, "POST", path, {"message": "?"}), range(100)))
        assert (told, len(upstream.requests)) == ({503: 100}, 5)
        assert ask(port, "GET", f"/api/personas/{persona_id}", role="ADMIN")[1]["data"]["circuit"]["state"] == "open"
