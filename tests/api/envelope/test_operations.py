"""What an operator looks at and sets off: statistics, the cleanup, the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from chatsvc.core.models import ChatMessage, ChatSession
from tests.api.envelope.calls import MOMENT, SESSIONS, answered, cancel, refused
from tests.api.envelope.flows import EVENTS, SECRET, call_back, change, conversation, events, failed, flow, persona, send, sent, session, taken, until
from tests.api.v1 import rows
from tests.factories import Person, unknown_id
from tests.migrations import processes
from tests.responders.upstream import Upstream

STATS = f"{SESSIONS}/stats"
CLEANUP = f"{SESSIONS}/cleanup"
FIGURES = ["total", "active", "byStatus", "successRate", "averageResponseTimeMs", "p95ResponseTimeMs", "failures"]
NONE = {"total": 0, "active": 0, "byStatus": {}, "successRate": None, "averageResponseTimeMs": None, "p95ResponseTimeMs": None, "failures": {}}


def stats(who: Person, query: str = "") -> Any:
    return answered(who.get(f"{STATS}{query}"), 200, "Statistics retrieved successfully")


@pytest.fixture
def waiting(owner: Person, admin: Person, n8n: Upstream) -> list[str]:
    """Three exchanges that wait for their callbacks."""
    n8n.script = lambda caller: caller.answer(b"", status=202)
    talk = conversation(owner, flow(admin, n8n, secret=SECRET, answers="callback"))
    return [taken(send(owner, talk, f"Question {n}"))["sessionId"] for n in range(3)]


def made_ago(app: Flask, session_id: str, **past: float) -> None:
    """As if all of it had happened then."""
    at = datetime.now(UTC) - timedelta(**past)
    rows.run(app, update(ChatMessage).where(ChatMessage.session_id == session_id).values(created_at=at))
    rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(created_at=at, updated_at=at))
    rows.run(app, update(ChatSession).where(ChatSession.id == session_id, ChatSession.message_count > 0).values(last_message_at=at))


# Statistics


def test_nothing_is_counted_where_there_is_nothing(owner: Person) -> None:
    found = stats(owner)
    assert found == NONE
    assert list(found) == FIGURES


def test_counts_cover_all_sessions_and_rates_the_exchanges(app: Flask, owner: Person, admin: Person, n8n: Upstream, waiting: list[str]) -> None:
    owner.session()
    owner.delete(f"/api/v1/chat-sessions/{owner.session(agent_type=None)['id']}")
    talk = conversation(owner, flow(admin, n8n))
    n8n.script = lambda caller: caller.answer(b'{"output": "Ferns"}')
    done = [sent(owner, talk)["sessionId"] for _ in range(3)]
    n8n.script = lambda caller: caller.answer(b"", status=500)
    failed(send(owner, talk), 502)
    answered(cancel(owner, waiting[0]))
    for session_id, milliseconds in zip(done, (100, 200, 600), strict=True):
        at = datetime(2026, 3, 1, 12, 0, 0, 500_000, UTC)
        ended = at + timedelta(milliseconds=milliseconds)
        rows.run(app, update(ChatSession).where(ChatSession.id == session_id).values(created_at=at, ended_at=ended))
    found = stats(owner)
    assert (found["total"], found["active"]) == (9, 3)
    assert found["byStatus"] == {"ACTIVE": 3, "COMPLETED": 4, "FAILED": 1, "CANCELLED": 1}
    assert found["successRate"] == 3 / 5
    assert (found["averageResponseTimeMs"], found["p95ResponseTimeMs"]) == (300, 600)
    assert found["failures"] == {"bad_status": 1}
    # A plain session that has ended is no success of anybody's.
    assert stats(owner, f"?personaId={session(owner, waiting[0])['personaId']}")["successRate"] == 0


def test_of_one_persona_one_user_or_all(owner: Person, stranger: Person, admin: Person) -> None:
    first, second = persona(admin), persona(admin)
    for who, made, amount in ((owner, first, 1), (owner, second, 2), (stranger, first, 3)):
        talk = conversation(who, made)
        for _ in range(amount):
            sent(who, talk)

    def total(who: Person, query: str) -> int:
        return int(stats(who, query)["total"])

    assert [total(owner, f"?personaId={made['personaId']}") for made in (first, second)] == [1, 2]
    assert (total(owner, ""), total(owner, "?userId=owner"), total(stranger, ""), total(admin, "")) == (3, 3, 3, 0)
    assert (total(admin, "?scope=global"), total(admin, "?userId=stranger"), total(admin, "?userId=nobody")) == (6, 3, 0)
    assert total(admin, f"?scope=global&personaId={first['personaId']}") == 4
    assert total(admin, f"?userId=owner&personaId={second['personaId']}") == 2
    assert total(owner, f"?personaId={unknown_id()}") == 0


def test_the_figures_of_others_are_for_admins(owner: Person, admin: Person) -> None:
    for query in ("userId=stranger", "scope=global"):
        assert refused(owner.get(f"{STATS}?{query}"), 403)["message"] == "Only an admin may see the statistics of others"
        stats(admin, f"?{query}")


def test_what_cannot_be_asked_is_refused_by_name(owner: Person, admin: Person) -> None:
    for query, field in (
        ("personaId=persona123", "personaId"),
        ("scope=all", "scope"),
        ("userId=", "userId"),
        ("groupBy=week", "groupBy"),
        ("from=2026-01-01", "groupBy"),
        ("to=2026-01-01", "groupBy"),
        ("groupBy=day&from=2026-1-1", "from"),
        ("groupBy=day&from=2026-02-30", "from"),
        ("groupBy=day&from=2026-01-02&to=2026-01-01", "from"),
        ("groupBy=day&from=2020-01-01&to=2026-01-01", "from"),
        ("groupBy=day&to=yesterday", "to"),
        ("groupBy=day&to=0001-01-01", "to"),
        ("more=1", "more"),
    ):
        refused(owner.get(f"{STATS}?{query}"), 400, field)
    refused(admin.get(f"{STATS}?scope=global&userId=owner"), 400, "userId")


def test_day_by_day(app: Flask, owner: Person, admin: Person) -> None:
    talk = conversation(owner, persona(admin))
    days = ("2026-03-01T23:59:59.999Z", "2026-03-03T00:00:00.000Z", "2026-03-03T12:00:00.000Z")
    for day in days:
        at = datetime.fromisoformat(day)
        rows.run(app, update(ChatSession).where(ChatSession.id == sent(owner, talk)["sessionId"]).values(created_at=at, ended_at=at + timedelta(seconds=2)))
    found = stats(owner, "?groupBy=day&from=2026-03-01&to=2026-03-04")
    assert list(found) == [*FIGURES, "series"]
    assert [list(one) for one in found["series"]] == [["day", *FIGURES]] * 4
    assert [(one["day"], one["total"], one["successRate"], one["averageResponseTimeMs"]) for one in found["series"]] == [
        ("2026-03-01", 1, 1, 2000),
        ("2026-03-02", 0, None, None),
        ("2026-03-03", 2, 1, 2000),
        ("2026-03-04", 0, None, None),
    ]
    assert found["series"][1] == {"day": "2026-03-02", **NONE}
    assert (found["total"], found["p95ResponseTimeMs"]) == (3, 2000)
    assert len(stats(owner, "?groupBy=day")["series"]) == 30
    assert len(stats(owner, "?groupBy=day&from=2026-03-01&to=2026-03-01")["series"]) == 1


# The cleanup


def test_what_nobody_has_answered_for_too_long_is_ended(app: Flask, owner: Person, admin: Person, waiting: list[str]) -> None:
    old, fresh, answered_ = waiting
    answered(call_back(app, answered_))
    plain = owner.session()["id"]
    for session_id in (old, answered_, plain):
        made_ago(app, session_id, hours=24, minutes=1)
    made_ago(app, fresh, hours=23, minutes=59)
    assert answered(admin.post(CLEANUP), 200, "Cleanup completed successfully") == {"timedOut": 1}
    shown = session(owner, old)
    assert (shown["status"], shown["errorKind"]) == ("TIMEOUT", "cleanup")
    assert shown["errorMessage"] == "No answer came in time; the cleanup ended this exchange"
    assert MOMENT.fullmatch(shown["endedAt"])
    assert [session(owner, one)["status"] for one in (fresh, answered_, plain)] == ["ACTIVE", "COMPLETED", "ACTIVE"]
    assert answered(admin.post(CLEANUP)) == {"timedOut": 0}
    assert rows.count(app, "chat_messages") == 6, "nothing is deleted"
    assert stats(owner)["failures"] == {"cleanup": 1}
    assert rows.breaches(app) == []
    noted = events(admin, "cleanup.timeout")
    assert [(one["actorId"], one["details"]) for one in noted] == [
        ("admin", {"timed_out": 0, "max_age_hours": 24}),
        ("admin", {"timed_out": 1, "max_age_hours": 24}),
    ]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None])
def test_the_age_may_be_given_under_any_content_type(app: Flask, admin: Person, waiting: list[str], content_type: str | None) -> None:
    made_ago(app, waiting[0], hours=3)
    for raw, amount in ((b'{"maxAgeHours": 4}', 0), (b'{"maxAgeHours": 2.5}', 1), (b"{}", 0), (b"", 0)):
        assert answered(admin.call("POST", CLEANUP, data=raw, content_type=content_type)) == {"timedOut": amount}


def test_an_age_that_makes_no_sense_is_refused(app: Flask, admin: Person, owner: Person, waiting: list[str]) -> None:
    ages: list[Any] = [0, -1, 87_601, "24", None, True, []]
    for age in ages:
        refused(admin.post(CLEANUP, json={"maxAgeHours": age}), 400, "maxAgeHours")
    refused(admin.post(CLEANUP, json={"maxAgeHours": 24, "more": 1}), 400, "more")
    for raw in (b"maxAgeHours=24", b"[]", b"{", b'{"maxAgeHours": NaN}'):
        refused(admin.call("POST", CLEANUP, data=raw, content_type="application/x-www-form-urlencoded"), 400, "body")
    refused(admin.post(f"{CLEANUP}?maxAgeHours=1", json={}), 400, "maxAgeHours")
    assert refused(owner.post(CLEANUP, json={"maxAgeHours": 24}), 403)["message"] == "Only an admin may do this"
    for hours in (87_600, 0.5):
        answered(admin.post(CLEANUP, json={"maxAgeHours": hours}))
    assert [session(owner, one)["status"] for one in waiting] == ["ACTIVE"] * 3


def test_the_hours_are_a_setting(app: Flask, make_app: Any, owner: Person, waiting: list[str]) -> None:
    made_ago(app, waiting[0], hours=3)
    result = make_app(CHAT_SESSION_TIMEOUT_HOURS="2").test_cli_runner().invoke(args=["cleanup", "timeout"])
    assert (result.exit_code, result.output) == (0, "timed out 1 exchanges\n")
    assert session(owner, waiting[0])["status"] == "TIMEOUT"


@pytest.mark.parametrize("command", ["timeout", "all"])
def test_the_command_ends_them_too(app: Flask, owner: Person, admin: Person, waiting: list[str], command: str) -> None:
    made_ago(app, waiting[0], hours=25)
    result = app.test_cli_runner().invoke(args=["cleanup", command])
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "timed out 1 exchanges")
    assert [session(owner, one)["status"] for one in waiting] == ["TIMEOUT", "ACTIVE", "ACTIVE"]
    (noted,) = events(admin, "cleanup.timeout")
    assert (noted["actorId"], noted["details"]) == (None, {"timed_out": 1, "max_age_hours": 24})


def test_the_repeating_job_ends_them_pass_by_pass(app: Flask, database_url: str, owner: Person, waiting: list[str], tmp_path: Path) -> None:
    made_ago(app, waiting[0], hours=25)
    with processes.start(tmp_path, database_url, "cleanup", "all", "--every", "0.001") as running:
        running.wait_for("timed out 1 exchanges")
        made_ago(app, waiting[1], hours=25)
        until(lambda: running.output().count("timed out 1 exchanges") == 2, 30)
    assert [session(owner, one)["status"] for one in waiting] == ["TIMEOUT", "TIMEOUT", "ACTIVE"]


# The audit trail


def test_who_did_what_is_written_down(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n)
    change(admin, made, timeoutMs=4000)
    talk = conversation(owner, made)
    erased = sent(owner, talk)["sessionId"]
    answered(owner.delete(f"{SESSIONS}/{erased}"))
    cancelled = owner.session()["id"]
    answered(cancel(owner, cancelled))
    n8n.script = lambda caller: caller.answer(b"", status=500)
    failed(send(owner, talk), 502)
    answered(admin.post(CLEANUP))
    answered(admin.delete(f"/api/personas/{persona(admin)['personaId']}"))
    runner = app.test_cli_runner()
    assert runner.invoke(args=["users", "create", "alice", "--password", "alicepass123"]).exit_code == 0
    assert runner.invoke(args=["users", "create", "carol", "--admin", "--password", "carolpass123"]).exit_code == 0
    for command in ("promote", "disable"):
        assert runner.invoke(args=["users", command, "alice"]).exit_code == 0
    client = app.test_client(use_cookies=False)
    client.post("/auths/register", json={"username": "bob", "password": "bobs password"})
    for password in ("wrong password", "bobs password"):
        client.post("/auths/login", json={"username": "bob", "password": password})
    found = answered(admin.get(f"{EVENTS}?limit=100"), 200, "Audit events retrieved successfully")
    kinds = [one["action"] for one in found["events"]]
    assert {
        *("persona.created", "persona.updated", "persona.deleted", "session.erased", "session.cancelled", "cleanup.timeout"),
        *("webhook.failed", "login.failed", "login.succeeded"),
    } < set(kinds)
    assert [one["details"]["username"] for one in events(admin, "user.promoted")] == ["alice", "carol"]
    assert [one["details"]["username"] for one in events(admin, "user.disabled")] == ["alice"]
    assert [one["eventId"] for one in found["events"]] == sorted((one["eventId"] for one in found["events"]), reverse=True)
    assert found["pagination"]["total"] == len(kinds)
    (erasure,) = events(admin, "session.erased")
    assert (erasure["actorId"], erasure["subject"], erasure["details"]) == ("owner", erased, {"messages": 2})
    assert events(admin, "session.cancelled")[0]["subject"] == cancelled
    assert not any(secret in str(found) for secret in ("alicepass123", "bobs password", "wrong password"))
    assert all(MOMENT.fullmatch(one["createdAt"]) for one in found["events"])


def test_the_trail_is_filtered_and_paged(owner: Person, admin: Person) -> None:
    made = [persona(admin, name=f"Gardener {n}")["personaId"] for n in range(5)]
    answered(cancel(owner, owner.session()["id"]))

    def subjects(query: str) -> list[str]:
        return [one["subject"] for one in answered(admin.get(f"{EVENTS}?{query}"))["events"]]

    assert subjects("action=persona.created") == subjects("actorId=admin") == made[::-1]
    assert subjects(f"subject={made[1]}") == [made[1]]
    assert subjects(f"action=session.cancelled&subject={made[1]}") == []
    assert subjects("actorId=admin&limit=2&page=2") == made[2::-1][:2]
    walked: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = answered(admin.get(f"{EVENTS}?actorId=admin&limit=2" + (f"&cursor={cursor}" if cursor else "")))
        walked += [one["subject"] for one in found["events"]]
        cursor = found["pagination"]["nextCursor"]
    assert walked == made[::-1]
    for query in ("limit=0", "page=0", "cursor=x", "action=", "userId=owner"):
        refused(admin.get(f"{EVENTS}?{query}"), 400, query.partition("=")[0])
    refused(owner.get(EVENTS), 403)


def test_old_events_are_purged(app: Flask, make_app: Any, admin: Person) -> None:
    persona(admin)
    long_ago = datetime.now(UTC) - timedelta(days=8)
    rows.run(app, "INSERT INTO audit_events (action, created_at, details) VALUES ('old', :at, '{}')", at=long_ago.strftime("%Y-%m-%d %H:%M:%S.%f"))
    result = make_app(CHAT_AUDIT_DAYS="7").test_cli_runner().invoke(args=["cleanup", "purge"])
    assert "1 audit events" in result.output
    assert [one["action"] for one in answered(admin.get(EVENTS))["events"]] == ["persona.created"]
