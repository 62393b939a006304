"""`docs/troubleshooting.md`, command by command: each runs, and shows what the page says it shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from chatsvc.core.models import ChatSession
from config import ROOT
from tests.api.envelope.flows import SECRET, conversation, failed, flow, send, session, taken
from tests.api.envelope.shell import listening, needs_curl, run
from tests.api.v1 import rows
from tests.factories import Person
from tests.responders.upstream import Upstream

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
HERE = "http://127.0.0.1:8000"
SECTIONS = {part.partition("\n")[0]: re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for part in PAGE.split("\n## ")[1:]}
KINDS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)[1:]


@pytest.fixture
def trouble(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> dict[str, str]:
    """A conversation with an exchange that failed and one that has waited for two days."""
    made = flow(admin, n8n, secret=SECRET, answers="callback")
    talk = conversation(owner, made)
    n8n.script = lambda caller: caller.answer(b"", status=500)
    _, broken = failed(send(owner, talk), 502)
    n8n.script = lambda caller: caller.answer(b"", status=202)
    waiting = taken(send(owner, talk))["sessionId"]
    long_ago = datetime.now(UTC) - timedelta(days=2)
    rows.run(app, update(ChatSession).where(ChatSession.id == waiting).values(created_at=long_ago, last_message_at=long_ago))
    known = {"TOKEN": owner.token, "ADMIN_TOKEN": admin.token, "CONVERSATION": talk, "SESSION": broken["sessionId"], "PERSONA": made["personaId"]}
    return {**known, "WAITING": waiting}


def ran(command: str, address: str, known: dict[str, str]) -> tuple[int, Any]:
    told = "".join(f"{name}={value}\n" for name, value in known.items())
    return run(told + command.replace(HERE, address))


def test_the_page_has_the_three_cases_and_all_its_commands_are_run_here() -> None:
    assert list(SECTIONS) == ["Session not created", "Session status not updated", "Cleanup job not running", "Debug commands"]
    assert {name: len(commands) for name, commands in SECTIONS.items()} == dict(zip(SECTIONS, (4, 4, 2, 3), strict=True))
    assert KINDS == ["timeout", "unreachable", "bad_status", "bad_response", "circuit_open", "cleanup"]


@needs_curl
def test_session_not_created(app: Flask, trouble: dict[str, str]) -> None:
    ready, who, theirs, sending = SECTIONS["Session not created"]
    with listening(app) as address:
        assert ran(ready, address, trouble)[0] == 200
        assert ran(who, address, {**trouble, "TOKEN": "expired"})[0] == 401
        status, body = ran(theirs, address, trouble)
        assert (status, body["data"]["conversationId"]) == (200, trouble["CONVERSATION"])
        assert ran(theirs, address, {**trouble, "TOKEN": trouble["ADMIN_TOKEN"]})[0] == 404
        status, body = ran(sending, address, trouble)
        assert (status, body["data"]["status"]) == (202, "ACTIVE")


@needs_curl
def test_who_is_signed_in(app: Flask, trouble: dict[str, str]) -> None:
    app.test_client().post("/auths/register", json={"username": "alice", "password": "alicepass123"})
    signed_in = app.test_client().post("/auths/login", json={"username": "alice", "password": "alicepass123"}).json or {}
    with listening(app) as address:
        status, body = ran(SECTIONS["Session not created"][1], address, {**trouble, "TOKEN": signed_in["access_token"]})
    assert (status, body["username"]) == (200, "alice")


@needs_curl
def test_session_status_not_updated(app: Flask, trouble: dict[str, str]) -> None:
    read, failures, circuit, verify = SECTIONS["Session status not updated"]
    with listening(app) as address:
        status, body = ran(read, address, trouble)
        assert (status, body["data"]["status"], body["data"]["errorKind"]) == (200, "FAILED", "bad_status")
        assert ran(read, address, {**trouble, "SESSION": "abc123def456"})[0] == 404
        status, body = ran(failures, address, trouble)
        assert (status, body["data"]["events"][0]["details"]["session_id"]) == (200, trouble["SESSION"])
        status, body = ran(circuit, address, trouble)
        assert (status, body["data"]["circuit"]["state"]) == (200, "closed")
    assert trouble["WAITING"] in flask(app, verify), "whose time was changed by hand"


@needs_curl
def test_cleanup_job_not_running(app: Flask, owner: Person, trouble: dict[str, str]) -> None:
    by_hand, noted = SECTIONS["Cleanup job not running"]
    assert flask(app, by_hand) == "timed out 1 exchanges\n"
    assert session(owner, trouble["WAITING"])["status"] == "TIMEOUT"
    with listening(app) as address:
        status, body = ran(noted, address, trouble)
    assert (status, [one["details"]["timed_out"] for one in body["data"]["events"]]) == (200, [1])


@needs_curl
def test_debug_commands(app: Flask, trouble: dict[str, str]) -> None:
    active, figures, cleanup = SECTIONS["Debug commands"]
    with listening(app) as address:
        status, body = ran(active, address, trouble)
        assert (status, [one["sessionId"] for one in body["data"]["sessions"]]) == (200, [trouble["WAITING"]])
        status, body = ran(figures, address, trouble)
        assert (status, body["data"]["byStatus"]) == (200, {"ACTIVE": 1, "FAILED": 1})
        assert ran(cleanup, address, trouble) == (200, {"success": True, "message": "Cleanup completed successfully", "data": {"timedOut": 1}})


def flask(app: Flask, command: str) -> str:
    """What a `.venv/bin/flask …` line of the page says."""
    program, *arguments = command.split()
    assert program == ".venv/bin/flask"
    return app.test_cli_runner().invoke(args=arguments).output
