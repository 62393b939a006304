"""A slice of the fuzz, with every test run; and whether it would notice."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import exceptions, run, spoilt

FAILED = {"detail": "The responder failed", "session_id": "7c0f", "user_message": {}, "assistant_message": {"status": "failed"}}


@pytest.mark.long
def test_every_operation_is_asked_in_all_the_ways_that_its_schema_tells(engine_name: str, tmp_path: Path) -> None:
    found = run.fuzz(engine_name, run.Plan(seconds=60, spoilt=400, seed=1, shown=tmp_path / "said.txt"))
    said = (tmp_path / "said.txt").read_text()
    assert not found["failures"], (found["failures"], said)
    assert found["5xx_to_bad_input"] == 0, found["broken"]
    assert found["schemathesis_is_content"], said
    assert found["verified"]
    assert found["requests"] > 300


@pytest.mark.parametrize(
    ("label", "status", "body", "told"),
    [
        ("POST /api/v1/chat", 502, FAILED, True),
        ("POST /api/v1/chat", 500, FAILED, False),
        ("POST /api/v1/chat", 503, {"detail": "The database is busy"}, False),
        ("POST /api/v1/chat", 502, {**FAILED, "assistant_message": {"status": "complete"}}, False),
        ("GET /api/v1/chat-sessions", 502, FAILED, False),
        ("POST /api/conversations/{conversation_id}/messages", 504, {"success": False, "data": {"sessionId": "7c0f", "status": "FAILED"}}, True),
        ("POST /api/conversations/{conversation_id}/messages", 504, {"success": False, "message": "Too slow"}, False),
    ],
)
def test_only_the_answer_of_a_send_may_tell_of_a_failed_responder(label: str, status: int, body: Any, told: bool) -> None:
    assert exceptions.tells_a_failed_reply(label, status, json.dumps(body).encode()) is told


def test_requests_are_spoilt_the_same_way_by_the_same_seed_and_personas_keep_their_addresses() -> None:
    asked = spoilt.Asked("POST /api/personas", "/api/personas", {"content-type": "application/json"}, b'{"webhookUrl": "http://127.0.0.1:9/"}')
    chance, again = random.Random(1), random.Random(1)
    found = [spoilt.spoilt(asked, chance) for _ in range(300)]
    assert found == [spoilt.spoilt(asked, again) for _ in range(300)]
    assert len({repr(one) for one in found}) > 100
    assert {body for _, _, body, _ in found} == {asked.body}
    other = spoilt.Asked("POST /chat/sessions", "/chat/sessions", {}, b'{"title": "Trip"}')
    assert len({spoilt.spoilt(other, chance)[2] for _ in range(300)}) > 100


def test_a_run_in_which_the_service_was_at_fault_is_no_good_one() -> None:
    counted = {"statuses": {"200": 3}, "reached": {"GET /healthz": {"200": 3}}, "excepted": {}, "failed": {}, "broken": []}
    fine = run.report(["GET /healthz"], counted, spoilt.Told(), quiet=True, verified=True)
    assert run.is_good(fine, all_reached=True)
    unreached = run.report(["GET /healthz", "GET /readyz"], counted, spoilt.Told(), quiet=True, verified=True)
    assert run.is_good(unreached)
    assert not run.is_good(unreached, all_reached=True)
    broken = spoilt.Told()
    broken.broken.append({"status": 500})
    for counts, told, quiet, verified in (
        ({**counted, "broken": [{"status": 500}]}, spoilt.Told(), True, True),
        ({**counted, "failed": {"JsonSchemaError GET /healthz 200": 1}}, spoilt.Told(), True, True),
        (counted, broken, True, True),
        (counted, spoilt.Told(), False, True),
        (counted, spoilt.Told(), True, False),
    ):
        assert not run.is_good(run.report(["GET /healthz"], counts, told, quiet=quiet, verified=verified))
