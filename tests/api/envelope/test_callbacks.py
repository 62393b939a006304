"""An answer that comes later, by a callback: signed in place of a token, and once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from flask import Flask

from tests.api.envelope.calls import SESSIONS, answered, refused
from tests.api.envelope.flows import SECRET, call_back, change, conversation, flow, said, send, sent, session, signature, taken
from tests.api.v1 import rows
from tests.factories import Person, token, unknown_id
from tests.responders.upstream import Upstream

QUESTION = "Which plants like shade?"
BODY = json.dumps({"output": "Ferns, later"}).encode()


@pytest.fixture
def gardener(admin: Person, n8n: Upstream) -> dict[str, Any]:
    """A persona whose flow takes the question and answers later."""
    n8n.script = lambda caller: caller.answer(b"", status=202)
    return flow(admin, n8n, secret=SECRET, answers="callback")


@pytest.fixture
def talk(owner: Person, gardener: dict[str, Any]) -> str:
    return conversation(owner, gardener)


@pytest.fixture
def waiting(owner: Person, talk: str) -> str:
    """An exchange that waits for its callback."""
    return str(taken(send(owner, talk))["sessionId"])


ACKNOWLEDGED = {
    "a 202": (b"", 202),
    "an empty 200": (b"", 200),
    "a 204": (b"", 204),
    "n8n's own words": (b'{"message": "Workflow was started"}', 200),
}


@pytest.mark.parametrize("how", ACKNOWLEDGED)
def test_a_send_is_taken_on_and_answered_by_the_callback(app: Flask, owner: Person, talk: str, n8n: Upstream, how: str) -> None:
    body, status = ACKNOWLEDGED[how]
    n8n.script = lambda caller: caller.answer(body, status=status)
    response = send(owner, talk)
    exchange = taken(response)
    assert "Preference-Applied" not in response.headers
    assert session(owner, exchange["sessionId"])["status"] == "ACTIVE"
    data = answered(call_back(app, exchange["sessionId"]), 200, "Answer received successfully")
    assert data == {"sessionId": exchange["sessionId"], "status": "COMPLETED"}
    shown = session(owner, exchange["sessionId"])
    assert (shown["status"], shown["lastMessage"], shown["errorKind"]) == ("COMPLETED", "Ferns, later", None)
    assert shown["durationMs"] >= 0
    assert said(owner, exchange["sessionId"]) == [("user", QUESTION, "complete"), ("assistant", "Ferns, later", "complete")]
    assert rows.breaches(app) == []


def test_one_that_answers_at_once_all_the_same_needs_no_callback(app: Flask, owner: Person, talk: str, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b'{"output": "Ferns"}')
    done = sent(owner, talk)
    assert done["reply"]["content"] == "Ferns"
    refused(call_back(app, done["sessionId"]), 409)
    assert said(owner, done["sessionId"])[1] == ("assistant", "Ferns", "complete")


def unsigned(session_id: str) -> dict[str, dict[str, str]]:
    good = signature(SECRET, BODY)
    return {
        "nothing": {},
        "no signature": {"X-Chatsvc-Timestamp": good["X-Chatsvc-Timestamp"]},
        "no time": {"X-Chatsvc-Signature": good["X-Chatsvc-Signature"]},
        "another secret": signature("another", BODY),
        "no secret": signature("", BODY),
        "another body": signature(SECRET, BODY + b" "),
        "another time": {**good, "X-Chatsvc-Timestamp": str(int(good["X-Chatsvc-Timestamp"]) + 1)},
        "long ago": signature(SECRET, BODY, time.time() - 301),
        "still to come": signature(SECRET, BODY, time.time() + 302),
        "no version": {**good, "X-Chatsvc-Signature": good["X-Chatsvc-Signature"].removeprefix("v1=")},
        "capitals": {**good, "X-Chatsvc-Signature": good["X-Chatsvc-Signature"].upper()},
        "no number": {**good, "X-Chatsvc-Timestamp": "now"},
        "a token": {"Authorization": f"Bearer {token('owner')}"},
        "an admin's token": {"Authorization": f"Bearer {token('admin', role='ADMIN')}"},
    }


def test_nobody_answers_who_has_not_signed_this_body_at_this_time(app: Flask, owner: Person, waiting: str) -> None:
    before = rows.dump(app)
    bodies = set()
    for how, headers in unsigned(waiting).items():
        response = call_back(app, waiting, headers=headers)
        assert response.status_code == 401, how
        bodies.add(response.data)
    for response in (call_back(app, unknown_id()), call_back(app, waiting, secret="another")):
        refused(response, 401)
        bodies.add(response.data)
    assert len(bodies) == 1, "what is wrong is not said"
    assert waiting.encode() not in bodies.pop()
    assert rows.dump(app) == before
    answered(call_back(app, waiting))


def test_a_signature_is_of_one_persona_alone(app: Flask, owner: Person, admin: Person, n8n: Upstream, waiting: str) -> None:
    other = conversation(owner, flow(admin, n8n, secret="of another", answers="callback"))
    theirs = taken(send(owner, other))["sessionId"]
    refused(call_back(app, waiting, secret="of another"), 401)
    refused(call_back(app, theirs), 401)
    assert [session(owner, one)["status"] for one in (waiting, theirs)] == ["ACTIVE", "ACTIVE"]


def test_a_persona_that_answers_directly_takes_no_callback(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b"Ferns")
    done = sent(owner, conversation(owner, flow(admin, n8n, secret=SECRET)))
    refused(call_back(app, done["sessionId"]), 401)
    plain = owner.session()["id"]
    refused(call_back(app, plain), 401)


def test_a_signature_answers_in_no_other_session(app: Flask, owner: Person, talk: str, waiting: str) -> None:
    other = taken(send(owner, talk, "Another question"))["sessionId"]
    headers = signature(SECRET, BODY)
    answered(app.test_client().post(f"{SESSIONS}/{waiting}/callback", data=BODY, content_type="application/json", headers=headers))
    assert session(owner, other)["status"] == "ACTIVE"


def test_it_is_good_once(app: Flask, owner: Person, waiting: str) -> None:
    answered(call_back(app, waiting, "First"))
    for output in ("First", "Second"):
        assert refused(call_back(app, waiting, output), 409)["message"] == "This session has been answered already, or has ended"
    assert said(owner, waiting)[1] == ("assistant", "First", "complete")


def test_after_a_cleanup_it_is_too_late_and_that_is_logged(app: Flask, owner: Person, admin: Person, waiting: str, caplog: pytest.LogCaptureFixture) -> None:
    time.sleep(0.02)
    answered(admin.post(f"{SESSIONS}/cleanup", json={"maxAgeHours": 0.000001}))
    refused(call_back(app, waiting), 409)
    shown = session(owner, waiting)
    assert (shown["status"], shown["errorKind"]) == ("TIMEOUT", "cleanup")
    assert f"a callback for session {waiting} came after it had been answered or had ended" in caplog.text
    assert said(owner, waiting) == [("user", QUESTION, "complete"), ("assistant", "", "failed")]


def test_what_is_erased_or_deleted_takes_none(app: Flask, owner: Person, talk: str, waiting: str) -> None:
    answered(owner.delete(f"{SESSIONS}/{waiting}"))
    refused(call_back(app, waiting), 401)
    deleted = taken(send(owner, talk))["sessionId"]
    rows.soft_delete(app, "owner", deleted)
    refused(call_back(app, deleted), 401)


def test_what_it_brings_must_be_an_answer(app: Flask, owner: Person, waiting: str) -> None:
    for output, fields in (
        (None, ("output",)),
        ("", ("output",)),
        (" ", ("output",)),
        (1, ("output",)),
        (["Ferns"], ("output",)),
        ("x" * 200_001, ("output",)),
    ):
        refused(call_back(app, waiting, output), 400, *fields)
    client = app.test_client(use_cookies=False)
    for raw, status in ((b"", 400), (b"Ferns", 400), (b'{"output": "Ferns", "more": 1}', 400), (b'{"reply": "Ferns"}', 400)):
        response = client.post(f"{SESSIONS}/{waiting}/callback", data=raw, content_type="application/json", headers=signature(SECRET, raw))
        assert response.status_code == status
    assert session(owner, waiting)["status"] == "ACTIVE"
    answered(call_back(app, waiting, "x" * 200_000))
    assert session(owner, waiting)["status"] == "COMPLETED"


def test_a_retry_of_the_send_is_told_the_same_before_and_after_it(app: Flask, owner: Person, talk: str, n8n: Upstream) -> None:
    first, again = (send(owner, talk, headers={"Idempotency-Key": "k"}) for _ in range(2))
    exchange = taken(first)
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (202, first.data, "true")
    answered(call_back(app, exchange["sessionId"]))
    assert send(owner, talk, headers={"Idempotency-Key": "k"}).data == first.data
    assert len(n8n.requests) == 1


def test_exchanges_that_wait_do_not_keep_a_user_from_sending(make_app: Any, owner: Person, talk: str) -> None:
    app = make_app(RATELIMIT_ENABLED="true", CHAT_STREAMS_PER_USER="1")
    who = Person(app.test_client(use_cookies=False), owner.user_id, owner.token)
    for _ in range(3):
        taken(send(who, talk))


def test_a_persona_that_is_deactivated_meanwhile_may_still_answer_what_it_was_asked(app: Flask, admin: Person, gardener: dict[str, Any], waiting: str) -> None:
    change(admin, gardener, isActive=False)
    answered(call_back(app, waiting))
