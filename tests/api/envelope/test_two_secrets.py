"""Two signing secrets at once while one is changed: what is sent is signed with both, what comes may be with either, and for how long."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from chatsvc.core import personas
from chatsvc.core.models import Persona
from chatsvc.core.models.types import ago, ahead, now
from chatsvc.extensions import db
from tests.api.envelope.calls import MOMENT, SESSIONS, answered, refused
from tests.api.envelope.flows import EVENTS, PERSONAS, call_back, conversation, events, flow, said, send, sent, session, signature, taken
from tests.api.envelope.flows import change as changed
from tests.api.v1 import rows
from tests.factories import Person, person
from tests.responders.upstream import Upstream
from tests.watching import statements_to

OLD, NEW, THIRD = "the-old-one-Kd82hfGq", "the-new-one-Wz51mmPx", "the-third-one-Rb07ccTy"
DAY = timedelta(days=1)


@pytest.fixture
def gardener(admin: Person, n8n: Upstream) -> dict[str, Any]:
    """A persona whose flow takes the question and answers later."""
    n8n.script = lambda caller: caller.answer(b"", status=202)
    return flow(admin, n8n, secret=OLD, answers="callback")


@pytest.fixture
def talk(owner: Person, gardener: dict[str, Any]) -> str:
    return conversation(owner, gardener)


def one(made: dict[str, Any]) -> str:
    return f"{PERSONAS}/{made['personaId']}"


def change(admin: Person, made: dict[str, Any], **given: Any) -> dict[str, Any]:
    """With a new secret the one before is good for a day more, unless it is said otherwise."""
    hours = {"previousSecretHours": 24} if given.get("secret") else {}
    return changed(admin, made, **{**hours, **given})


def asked(owner: Person, talk: str) -> str:
    """A new exchange that waits for its callback."""
    return str(taken(send(owner, talk))["sessionId"])


def signed_with(n8n: Upstream) -> list[str]:
    """Which of the secrets the newest request is signed with, in the order of its header, by the documented rule and not by the service's own code."""
    caller = n8n.callers[-1]
    over = caller.headers["x-chatsvc-timestamp"].encode() + b"." + caller.raw
    known = {"v1=" + hmac.new(secret.encode(), over, hashlib.sha256).hexdigest(): secret for secret in (OLD, NEW, THIRD)}
    return [known[each] for each in caller.headers.get("x-chatsvc-signature", "").split(" ") if each]


def until(app: Flask, made: dict[str, Any]) -> timedelta | None:
    """How much longer the secret before is good, by the database's clock; None when there is none."""
    statement = select(Persona.previous_secret_until, now().label("at")).where(Persona.id == made["personaId"])
    end, at = rows.run(app, statement)[0]
    left: timedelta | None = None if end is None else end - at
    return left


def kept(app: Flask, made: dict[str, Any]) -> tuple[str | None, ...]:
    statement = select(Persona.secret_sealed, Persona.previous_secret_sealed).where(Persona.id == made["personaId"])
    return tuple(rows.run(app, statement)[0])


def ends_at(app: Flask, moment: Any) -> None:
    rows.run(app, update(Persona).where(Persona.previous_secret_sealed.is_not(None)).values(previous_secret_until=moment))


@contextmanager
def sent_to_database(app: Flask) -> Iterator[list[str]]:
    seen: list[str] = []
    with app.app_context(), statements_to(db.engine, lambda sql, values, statement: seen.append(sql)):
        yield seen


# What is sent


def test_what_is_sent_is_signed_with_both_the_newer_first_and_afterwards_with_that_alone(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n, secret=OLD)
    talk = conversation(owner, made)
    sent(owner, talk)
    assert signed_with(n8n) == [OLD]
    change(admin, made, secret=NEW)
    sent(owner, talk)
    assert signed_with(n8n) == [NEW, OLD]
    ends_at(app, ahead(timedelta(minutes=1)))
    sent(owner, talk)
    assert signed_with(n8n) == [NEW, OLD]
    ends_at(app, ago(timedelta(seconds=1)))
    sent(owner, talk)
    assert signed_with(n8n) == [NEW]


def test_who_is_asked_and_both_secrets_are_read_in_one_statement(app: Flask, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n, secret=OLD, answers="callback")
    change(admin, made, secret=NEW)
    with sent_to_database(app) as seen:
        personas.responder_of(made["personaId"])
        assert personas.secrets_of(made["personaId"]) == [NEW, OLD]
    assert len(seen) == 2


# What comes


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_an_exchange_begun_before_or_after_the_change_is_answered_with_either(
    app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, secret: str
) -> None:
    before = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    for waiting in (before, asked(owner, talk)):
        answered(call_back(app, waiting, secret=secret), 200, "Answer received successfully")
        assert said(owner, waiting)[1] == ("assistant", "Ferns, later", "complete")


def test_afterwards_the_old_one_is_a_wrong_one_and_changes_nothing(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str) -> None:
    waiting = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    ends_at(app, ago(timedelta(seconds=1)))
    before = rows.dump(app)
    wrong = [call_back(app, waiting, secret=secret) for secret in (OLD, THIRD)]
    assert {(response.status_code, response.data) for response in wrong} == {(401, wrong[0].data)}
    assert (rows.dump(app), session(owner, waiting)["status"]) == (before, "ACTIVE")
    answered(call_back(app, waiting, secret=NEW))


def test_what_is_signed_with_both_in_one_header_is_not_taken(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str) -> None:
    """A signature is remembered by its letters, so that it is good once: it has one spelling."""
    waiting = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    body = json.dumps({"output": "Ferns, later"}).encode()
    both = [signature(secret, body) for secret in (NEW, OLD)]
    together = {**both[0], "X-Chatsvc-Signature": " ".join(each["X-Chatsvc-Signature"] for each in both)}
    refused(call_back(app, waiting, headers=together), 401)
    assert session(owner, waiting)["status"] == "ACTIVE"


def test_an_exchange_takes_one_answer_whichever_secret_signs_the_second(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str) -> None:
    waiting = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    answered(call_back(app, waiting, "First", secret=NEW))
    for secret in (OLD, NEW):
        refused(call_back(app, waiting, "Second", secret=secret), 409)
    assert said(owner, waiting)[1] == ("assistant", "First", "complete")


def test_the_old_secret_of_another_persona_is_none_here(app: Flask, owner: Person, admin: Person, n8n: Upstream, talk: str) -> None:
    other = flow(admin, n8n, secret=THIRD, answers="callback")
    change(admin, other, secret=NEW)
    waiting = asked(owner, talk)
    for secret in (THIRD, NEW):
        refused(call_back(app, waiting, secret=secret), 401)
    assert session(owner, waiting)["status"] == "ACTIVE"


# How long


@pytest.mark.parametrize(("hours", "long"), [(24, DAY), (1, DAY / 24), (168, 7 * DAY)])
def test_it_is_good_for_as_long_as_is_said(app: Flask, admin: Person, gardener: dict[str, Any], hours: int, long: timedelta) -> None:
    shown = change(admin, gardener, secret=NEW, previousSecretHours=hours)["previousSecretUntil"]
    assert MOMENT.fullmatch(shown)
    assert long - timedelta(minutes=1) < (until(app, gardener) or DAY * 99) <= long


@pytest.mark.parametrize("given", [{}, {"previousSecretHours": 0}], ids=["nothing said", "none"])
def test_else_it_ends_at_once(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream, given: dict[str, int]) -> None:
    waiting = asked(owner, talk)
    change(admin, gardener, secret=THIRD)
    assert changed(admin, gardener, secret=NEW, **given).get("previousSecretUntil") is None
    asked(owner, talk)
    assert (signed_with(n8n), kept(app, gardener)[1], until(app, gardener)) == ([NEW], None, None)
    refused(call_back(app, waiting, secret=OLD), 401)
    answered(call_back(app, waiting, secret=NEW))


def test_an_admin_ends_it_early_and_that_is_written_down(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream) -> None:
    waiting = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    shown = change(admin, gardener, previousSecretHours=0)
    assert (shown["hasSecret"], shown.get("previousSecretUntil")) == (True, None)
    asked(owner, talk)
    assert (signed_with(n8n), kept(app, gardener)[1], until(app, gardener)) == ([NEW], None, None)
    refused(call_back(app, waiting, secret=OLD), 401)
    answered(call_back(app, waiting, secret=NEW))
    assert [event["details"] for event in events(admin, "persona.updated")] == [
        {"changed": ["previous_secret_hours"]},
        {"changed": ["previous_secret_hours", "secret"]},
    ]


def test_other_changes_leave_it(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream) -> None:
    shown = change(admin, gardener, secret=NEW)["previousSecretUntil"]
    assert change(admin, gardener, name="Forester", timeoutMs=4000)["previousSecretUntil"] == shown
    asked(owner, talk)
    assert signed_with(n8n) == [NEW, OLD]


def test_without_a_secret_both_are_gone(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n, secret=OLD)
    talk = conversation(owner, made)
    change(admin, made, secret=NEW)
    shown = change(admin, made, secret=None)
    assert (shown["hasSecret"], shown.get("previousSecretUntil"), kept(app, made), until(app, made)) == (False, None, (None, None), None)
    sent(owner, talk)
    assert signed_with(n8n) == []
    assert change(admin, made, secret=THIRD).get("previousSecretUntil") is None
    sent(owner, talk)
    assert signed_with(n8n) == [THIRD]


def test_a_third_within_the_day_drops_the_oldest(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream) -> None:
    waiting = asked(owner, talk)
    change(admin, gardener, secret=NEW)
    ends_at(app, ahead(timedelta(minutes=1)))
    change(admin, gardener, secret=THIRD)
    assert (until(app, gardener) or timedelta()) > DAY - timedelta(minutes=1)
    asked(owner, talk)
    assert signed_with(n8n) == [THIRD, NEW]
    refused(call_back(app, waiting, secret=OLD), 401)
    answered(call_back(app, waiting, secret=NEW))


def test_a_change_that_is_sent_again_replaces_nothing(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream) -> None:
    """Whoever did not hear the answer asks again; the one before must not be lost for it, nor be good for longer."""
    shown = change(admin, gardener, secret=NEW)["previousSecretUntil"]
    assert change(admin, gardener, secret=NEW)["previousSecretUntil"] == shown
    asked(owner, talk)
    assert signed_with(n8n) == [NEW, OLD]
    assert change(admin, gardener, secret=NEW, previousSecretHours=0).get("previousSecretUntil") is None
    assert change(admin, gardener, secret=NEW).get("previousSecretUntil") is None


def test_one_may_go_back_to_the_old_one(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream) -> None:
    change(admin, gardener, secret=NEW)
    change(admin, gardener, secret=OLD)
    asked(owner, talk)
    assert signed_with(n8n) == [OLD, NEW]


REFUSED: dict[str, dict[str, Any]] = {
    "more than a week": {"secret": NEW, "previousSecretHours": 169},
    "less than none": {"secret": NEW, "previousSecretHours": -1},
    "a part of an hour": {"secret": NEW, "previousSecretHours": 0.5},
    "words": {"secret": NEW, "previousSecretHours": "24"},
    "true": {"secret": NEW, "previousSecretHours": True},
    "null": {"secret": NEW, "previousSecretHours": None},
    "no new secret": {"previousSecretHours": 24},
    "another change": {"name": "Forester", "previousSecretHours": 24},
    "a secret taken away": {"secret": None, "answers": "direct", "previousSecretHours": 24},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_time_that_makes_no_sense_is_refused_and_changes_nothing(app: Flask, admin: Person, gardener: dict[str, Any], case: str) -> None:
    change(admin, gardener, secret=NEW)
    before, until_then = answered(admin.get(one(gardener))), kept(app, gardener)
    refused(admin.call("PATCH", one(gardener), json=REFUSED[case]), 400, "previousSecretHours")
    assert (answered(admin.get(one(gardener))), kept(app, gardener)) == (before, until_then)


def test_a_new_persona_has_none_before(admin: Person, n8n: Upstream) -> None:
    given = {"name": "Gardener", "kind": "webhook", "webhookUrl": f"{n8n.url}/x", "secret": OLD}
    assert answered(admin.post(PERSONAS, json=given), 201).get("previousSecretUntil") is None
    refused(admin.post(PERSONAS, json={**given, "previousSecretHours": 1}), 400, "previousSecretHours")


# What is kept, and who sees it


def test_neither_is_in_an_answer_a_log_or_an_event_nor_readable_in_the_database(
    app: Flask, admin: Person, owner: Person, gardener: dict[str, Any], talk: str, n8n: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    heard = [
        admin.call(method, one(gardener), json={"secret": secret, "previousSecretHours": 24})
        for method, secret in (("PUT", NEW), ("PATCH", THIRD), ("PATCH", NEW))
    ]
    heard += [who.get(path) for who in (admin, owner) for path in (PERSONAS, one(gardener))]
    n8n.script = lambda caller: caller.answer(f"I was told {NEW} and {THIRD}".encode(), status=500)
    heard += [admin.get(EVENTS), send(owner, talk), admin.call("PATCH", one(gardener), json={"secret": NEW, "previousSecretHours": 999})]
    assert signed_with(n8n) == [NEW, THIRD]
    tables = "".join(str(rows.run(app, text(f"SELECT * FROM {table}"))) for table in ("personas", "audit_events", "idempotency_keys", "chat_sessions"))
    sealed = kept(app, gardener)
    seen = "".join(response.text + str(response.headers) for response in heard) + caplog.text
    assert [secret for secret in (OLD, NEW, THIRD, *sealed) if secret is None or secret in seen] == []
    assert [secret for secret in (OLD, NEW, THIRD) if secret in tables] == []


def test_lists_and_single_ones_do_not_carry_what_is_sealed(app: Flask, admin: Person, owner: Person, gardener: dict[str, Any]) -> None:
    change(admin, gardener, secret=NEW)
    with sent_to_database(app) as seen:
        for who in (admin, owner):
            for path in (PERSONAS, one(gardener)):
                answered(who.get(path))
    of_personas = [sql for sql in seen if "FROM personas" in sql]
    assert len(of_personas) >= 4
    for sql in of_personas:
        assert "previous_secret_sealed" not in sql
        assert sql.count("secret_sealed") == sql.count("secret_sealed IS NOT NULL")


def test_only_admins_see_until_when_and_after_that_nobody(app: Flask, admin: Person, owner: Person, gardener: dict[str, Any]) -> None:
    shown = change(admin, gardener, secret=NEW)["previousSecretUntil"]
    assert [found["previousSecretUntil"] for found in (answered(admin.get(one(gardener))), answered(admin.get(PERSONAS))["personas"][0])] == [shown, shown]
    for found in (answered(owner.get(one(gardener))), answered(owner.get(PERSONAS))["personas"][0]):
        assert (found["hasSecret"], "previousSecretUntil" in found) == (True, False)
    ends_at(app, ago(timedelta(seconds=1)))
    assert answered(admin.get(one(gardener))).get("previousSecretUntil") is None


@pytest.mark.parametrize("column", ["secret_sealed", "previous_secret_sealed"])
def test_a_sealed_one_is_good_in_its_own_place_alone(
    app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], talk: str, n8n: Upstream, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = flow(admin, n8n, secret=OLD)
    change(admin, other, secret=THIRD)
    change(admin, gardener, secret=NEW)
    moved = select(Persona.__table__.c[column]).where(Persona.id == other["personaId"]).scalar_subquery()
    rows.run(app, update(Persona).where(Persona.id == gardener["personaId"]).values(previous_secret_sealed=moved))
    waiting = asked(owner, talk)
    assert signed_with(n8n) == [NEW]
    for secret in (OLD, THIRD):
        refused(call_back(app, waiting, secret=secret), 401)
    assert f"a secret of persona {gardener['personaId']} is passed over" in caplog.text
    answered(call_back(app, waiting, secret=NEW))


def test_one_that_cannot_be_read_any_more_is_not_kept(
    app: Flask, admin: Person, gardener: dict[str, Any], make_app: Callable[..., Flask], owner: Person, talk: str, n8n: Upstream
) -> None:
    change(admin, gardener, secret=NEW)
    other = make_app(CHAT_ENCRYPTION_KEY="another-key-0f-the-tests-abcdefghijkl")
    waiting = asked(owner, talk)
    for secret in (OLD, NEW):
        refused(call_back(other, waiting, secret=secret), 401)
    assert change(person(other, "admin", role="ADMIN"), gardener, secret=THIRD).get("previousSecretUntil") is None
    assert kept(app, gardener)[1] is None
    answered(call_back(other, waiting, secret=THIRD))


def test_the_cleanup_erases_it_once_it_is_good_no_longer(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    over, good, never = (flow(admin, n8n, secret=OLD) for _ in range(3))
    change(admin, over, secret=NEW)
    ends_at(app, ago(timedelta(seconds=1)))
    change(admin, good, secret=NEW)
    before = [answered(admin.get(one(made))) for made in (over, good, never)]
    run = app.test_cli_runner().invoke
    assert "1 replaced secrets" in run(args=["cleanup", "purge", "--dry-run"]).output
    assert kept(app, over)[1] is not None
    assert "1 replaced secrets" in run(args=["cleanup", "purge"]).output
    assert (kept(app, over)[1], until(app, over)) == (None, None)
    assert None not in kept(app, good)
    assert [answered(admin.get(one(made))) for made in (over, good, never)] == before
    assert "0 replaced secrets" in run(args=["cleanup", "purge"]).output
    sent(owner, conversation(owner, over))
    assert signed_with(n8n) == [NEW]


def test_a_flow_that_is_moved_to_the_new_one_loses_no_callback(app: Flask, owner: Person, admin: Person, gardener: dict[str, Any], n8n: Upstream) -> None:
    """The recipe of docs/n8n.md, step by step; n8n holds one secret at any time, and checks what it is sent."""
    held, refusals = [OLD], []

    def flow_of_n8n(caller: Any) -> None:
        over = caller.headers["x-chatsvc-timestamp"].encode() + b"." + caller.raw
        wanted = "v1=" + hmac.new(held[0].encode(), over, hashlib.sha256).hexdigest()
        if wanted not in caller.headers["x-chatsvc-signature"]:
            refusals.append(caller.headers)
        caller.answer(b"", status=202)

    n8n.script = flow_of_n8n
    talk = conversation(owner, gardener)
    waiting = [asked(owner, talk)]
    change(admin, gardener, secret=NEW)
    waiting.append(asked(owner, talk))
    answered(call_back(app, waiting.pop(0), secret=held[0]))
    held[0] = NEW
    waiting.append(asked(owner, talk))
    change(admin, gardener, previousSecretHours=0)
    waiting.append(asked(owner, talk))
    for session_id in waiting:
        answered(call_back(app, session_id, secret=held[0]))
    assert refusals == []
    assert answered(owner.get(f"{SESSIONS}?limit=10&offset=0&status=COMPLETED"))["pagination"]["total"] == 4
