"""Personas: who may make them, what is kept of them, and what of that anybody sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.envelope.calls import MOMENT, answered, refused
from tests.api.envelope.flows import (
    CONVERSATIONS,
    EVENTS,
    PERSONAS,
    SECRET,
    call_back,
    change,
    conversation,
    events,
    failed,
    flow,
    persona,
    send,
    sent,
    taken,
)
from tests.api.v1 import rows
from tests.api.v1.streams import CHAT
from tests.factories import Person, person, unknown_id
from tests.responders.upstream import Upstream

FOR_ADMINS = [
    *("personaId", "name", "kind", "webhookUrl", "baseUrl", "model", "systemPrompt", "timeoutMs", "answers", "isActive", "hasSecret"),
    *("createdAt", "updatedAt", "circuit"),
]
FOR_ALL = [name for name in FOR_ADMINS if name not in ("webhookUrl", "baseUrl", "systemPrompt", "circuit")]
API_KEY = "sk-proj-Tz4kQ9vYb2mXw7LrN1"
CLOSED = {"state": "closed", "failures": 0, "openedAt": None}
EVERYTHING = {
    "name": "Gardener",
    "kind": "webhook",
    "webhookUrl": "http://127.0.0.1:5678/webhook/chat",
    "baseUrl": "http://127.0.0.1:5679/v1",
    "model": "parrot",
    "systemPrompt": "You know every plant. Nobody may read this.",
    "timeoutMs": 2500,
    "answers": "callback",
    "isActive": False,
}


def one(made: dict[str, Any]) -> str:
    return f"{PERSONAS}/{made['personaId']}"


def test_what_is_left_out_has_a_default(admin: Person) -> None:
    made = persona(admin)
    assert list(made) == FOR_ADMINS
    assert (made["webhookUrl"], made["baseUrl"], made["model"], made["systemPrompt"]) == (None, None, None, None)
    assert (made["answers"], made["isActive"], made["hasSecret"], made["circuit"]) == ("direct", True, False, CLOSED)
    assert MOMENT.fullmatch(made["createdAt"])
    assert made["createdAt"] == made["updatedAt"]
    assert persona(admin, kind="webhook", webhookUrl="https://n8n.example/webhook/chat")["timeoutMs"] == 10_000


def test_what_is_written_comes_back_but_for_the_secrets(admin: Person) -> None:
    made = persona(admin, **EVERYTHING, secret=SECRET, apiKey=API_KEY)
    assert {name: made[name] for name in EVERYTHING} == EVERYTHING
    assert made["hasSecret"] is True
    assert list(made) == FOR_ADMINS
    assert answered(admin.get(one(made)), 200, "Persona retrieved successfully") == made
    assert answered(admin.get(PERSONAS), 200, "Personas retrieved successfully")["personas"] == [made]


def test_a_user_sees_neither_addresses_nor_prompts(admin: Person, owner: Person) -> None:
    made = persona(admin, **EVERYTHING, secret=SECRET)
    shown = {name: made[name] for name in FOR_ALL}
    read, listed = owner.get(one(made)), owner.get(PERSONAS)
    assert answered(read) == shown
    assert list(answered(read)) == FOR_ALL
    assert answered(listed)["personas"] == [shown]
    for response in (read, listed):
        assert "127.0.0.1" not in response.text
        assert "every plant" not in response.text


def test_only_admins_write(admin: Person, owner: Person) -> None:
    made = persona(admin)
    for method, path, body in (
        ("POST", PERSONAS, {"name": "Mine", "kind": "echo"}),
        ("PUT", one(made), {"name": "Mine"}),
        ("PATCH", one(made), {"name": "Mine"}),
        ("DELETE", one(made), None),
    ):
        assert refused(owner.call(method, path, json=body), 403)["message"] == "Only an admin may do this"
    assert answered(admin.get(PERSONAS))["personas"] == [made]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_leaves_what_is_left_out(admin: Person, method: str) -> None:
    made = persona(admin, **EVERYTHING, secret=SECRET)
    changed = answered(admin.call(method, one(made), json={"name": "Forester", "isActive": True}), 200, "Persona updated successfully")
    assert changed == {**made, "name": "Forester", "isActive": True, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] >= made["updatedAt"]
    emptied = answered(admin.call(method, one(made), json={"systemPrompt": None, "model": None, "baseUrl": None}))
    assert (emptied["systemPrompt"], emptied["model"], emptied["baseUrl"], emptied["webhookUrl"]) == (None, None, None, EVERYTHING["webhookUrl"])


def test_a_secret_stays_until_it_is_replaced_or_taken_away(app: Flask, admin: Person, n8n: Upstream, owner: Person) -> None:
    made = flow(admin, n8n, secret=SECRET)
    talk = conversation(owner, made)

    def is_signed() -> bool:
        sent(owner, talk)
        return "x-chatsvc-signature" in n8n.requests[-1][1]

    assert is_signed()
    assert change(admin, made, name="Forester")["hasSecret"] is True
    assert is_signed()
    assert change(admin, made, secret=None)["hasSecret"] is False
    assert not is_signed()


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({}, ("name", "kind")),
    "no kind": ({"name": "Gardener"}, ("kind",)),
    "another kind": ({"name": "Gardener", "kind": "parrot"}, ("kind",)),
    "a blank name": ({"name": " ", "kind": "echo"}, ("name",)),
    "a long name": ({"name": "x" * 256, "kind": "echo"}, ("name",)),
    "a webhook without an address": ({"name": "Gardener", "kind": "webhook"}, ("webhookUrl",)),
    "an address of another kind": ({"name": "Gardener", "kind": "webhook", "webhookUrl": "ftp://n8n.example/chat"}, ("webhookUrl",)),
    "an address with a password": ({"name": "Gardener", "kind": "webhook", "webhookUrl": "https://me:pw@n8n.example/chat"}, ("webhookUrl",)),
    "a base address that is none": ({"name": "Gardener", "kind": "openai", "baseUrl": "nowhere"}, ("baseUrl",)),
    "no time": ({"name": "Gardener", "kind": "echo", "timeoutMs": 0}, ("timeoutMs",)),
    "too much time": ({"name": "Gardener", "kind": "echo", "timeoutMs": 600_001}, ("timeoutMs",)),
    "another way to answer": ({"name": "Gardener", "kind": "echo", "answers": "later"}, ("answers",)),
    "a callback from echo": ({"name": "Gardener", "kind": "echo", "answers": "callback", "secret": "x"}, ("answers",)),
    "a callback without a secret": ({"name": "Gardener", "kind": "webhook", "webhookUrl": "https://n8n.example", "answers": "callback"}, ("secret",)),
    "an id": ({"name": "Gardener", "kind": "echo", "personaId": unknown_id()}, ("personaId",)),
    "a column": ({"name": "Gardener", "kind": "echo", "secret_sealed": "x"}, ("secret_sealed",)),
    "a secret of another kind": ({"name": "Gardener", "kind": "echo", "secret": 1, "apiKey": []}, ("secret", "apiKey")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_by_name(app: Flask, admin: Person, case: str) -> None:
    given, fields = REFUSED[case]
    refused(admin.post(PERSONAS, json=given), 400, *fields)
    assert rows.count(app, "personas") == 0


def test_a_change_that_leaves_nonsense_is_refused_and_changes_nothing(admin: Person) -> None:
    made = persona(admin, **EVERYTHING, secret=SECRET)
    for given, field in (
        ({}, "body"),
        ({"webhookUrl": None}, "webhookUrl"),
        ({"secret": None}, "secret"),
        ({"kind": "echo"}, "answers"),
        ({"name": None}, "name"),
        ({"more": 1}, "more"),
    ):
        refused(admin.call("PATCH", one(made), json=given), 400, field)
    assert answered(admin.get(one(made))) == made


def test_one_that_is_not_there_is_not_found(admin: Person) -> None:
    for persona_id in (unknown_id(), "persona456"):
        for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None)):
            assert refused(admin.call(method, f"{PERSONAS}/{persona_id}", json=body), 404)["message"] == "Persona not found"


def test_one_that_nobody_uses_is_deleted_for_good(admin: Person) -> None:
    made = persona(admin)
    assert answered(admin.delete(one(made)), 200, "Persona deleted successfully") == {"personaId": made["personaId"]}
    refused(admin.get(one(made)), 404)
    refused(admin.delete(one(made)), 404)


def test_one_that_is_in_use_is_deactivated_instead(admin: Person, owner: Person) -> None:
    talked_to, answering = persona(admin), persona(admin)
    talk = conversation(owner, talked_to)
    assert owner.post(CHAT, json={"message": "Hello", "persona_id": answering["personaId"]}).status_code == 200
    for made in (talked_to, answering):
        said = refused(admin.delete(one(made)), 409)
        assert said["message"] == "This persona is in use; deactivate it instead (isActive: false)"
        assert change(admin, made, isActive=False)["isActive"] is False
    refused(owner.post(CONVERSATIONS, json={"personaId": talked_to["personaId"]}), 409)
    refused(send(owner, talk), 409)
    assert answered(owner.get(f"{CONVERSATIONS}/{talk}/chat-sessions?status=ALL"))["sessions"] == []
    change(admin, talked_to, isActive=True)
    sent(owner, talk)


# Lists


def test_they_are_listed_by_name(admin: Person, owner: Person) -> None:
    made = {name: persona(admin, name=name, isActive=name != "Botanist") for name in ("Gardener", "Botanist", "Cook", "Astronomer", "Driver")}
    by_name = sorted(made)
    found = answered(owner.get(f"{PERSONAS}?limit=2"))
    assert [one["name"] for one in found["personas"]] == by_name[:2]
    assert {**found["pagination"], "nextCursor": "…"} == {"page": 1, "limit": 2, "total": 5, "pages": 3, "nextCursor": "…"}
    assert [one["name"] for one in answered(owner.get(f"{PERSONAS}?limit=2&page=3"))["personas"]] == by_name[4:]
    active = answered(owner.get(f"{PERSONAS}?isActive=true"))
    assert ([one["name"] for one in active["personas"]], active["pagination"]["total"]) == ([name for name in by_name if name != "Botanist"], 4)
    assert [one["name"] for one in answered(owner.get(f"{PERSONAS}?isActive=false"))["personas"]] == ["Botanist"]
    past = answered(owner.get(f"{PERSONAS}?page=9"))
    assert (past["personas"], past["pagination"]["total"], past["pagination"]["nextCursor"]) == ([], 5, None)


def test_a_walk_by_cursor_sees_each_once_though_names_are_alike(admin: Person, owner: Person) -> None:
    made = {persona(admin)["personaId"] for _ in range(7)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = answered(owner.get(f"{PERSONAS}?limit=3" + (f"&cursor={cursor}" if cursor else "")))
        seen += [one["personaId"] for one in found["personas"]]
        cursor = found["pagination"]["nextCursor"]
    assert (len(seen), set(seen)) == (7, made)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "page=0", "isActive=yes", "cursor=x", "kind=echo"])
def test_a_list_that_cannot_be_asked_for_is_refused_by_name(owner: Person, query: str) -> None:
    refused(owner.get(f"{PERSONAS}?{query}"), 400, query.partition("=")[0])
    refused(owner.get(f"{PERSONAS}?page=1&cursor=x"), 400, "cursor")


# Secrets


def everything_kept(app: Flask) -> str:
    return "".join(str(rows.run(app, text(f"SELECT * FROM {table}"))) for table in ("personas", "audit_events", "idempotency_keys", "chat_sessions"))


def test_secrets_are_in_no_answer_no_log_no_event_and_unreadable_in_the_database(
    app: Flask, admin: Person, owner: Person, n8n: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secrets = {"secret": SECRET, "apiKey": API_KEY}
    given = {"name": "Gardener", "kind": "webhook", "webhookUrl": f"{n8n.url}/chat", **secrets}
    heard = [admin.post(PERSONAS, json=given, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert heard[1].headers["Idempotent-Replayed"] == "true"
    made = answered(heard[0], 201)
    heard += [admin.call(method, one(made), json=secrets) for method in ("PUT", "PATCH")]
    heard += [who.get(path) for who in (admin, owner) for path in (PERSONAS, one(made))]
    heard += [admin.get(EVENTS), admin.post(PERSONAS, json={**given, "kind": "none"}), admin.call("PATCH", one(made), json={**secrets, "more": 1})]
    talk = conversation(owner, made)
    heard.append(send(owner, talk))
    n8n.script = lambda caller: caller.answer(f"I was told {SECRET}".encode(), status=500)
    heard.append(send(owner, talk))
    seen = "".join(response.text + str(response.headers) for response in heard) + caplog.text + everything_kept(app)
    assert [name for name, secret in secrets.items() if secret in seen] == []
    assert n8n.requests[0][1]["x-chatsvc-signature"].startswith("v1=")
    sealed = rows.run(app, "SELECT secret_sealed, api_key_sealed FROM personas")[0]
    assert all(sealed)


def test_the_same_secret_looks_different_each_time_and_fits_nowhere_else(app: Flask, admin: Person, owner: Person, n8n: Upstream) -> None:
    first, second = (flow(admin, n8n, secret=SECRET) for _ in range(2))
    kept = {str(row.id): row.secret_sealed for row in rows.run(app, "SELECT id, secret_sealed FROM personas")}
    assert len(set(kept.values())) == 2
    rows.run(app, "UPDATE personas SET secret_sealed = :sealed WHERE id = :id", sealed=kept[first["personaId"]], id=second["personaId"])
    words, _ = failed(send(owner, conversation(owner, second)), 502)
    assert words == "The persona cannot be asked: its secrets must be entered anew."
    assert n8n.requests == []
    sent(owner, conversation(owner, first))


def test_after_a_change_of_the_key_secrets_are_entered_anew(
    app: Flask, admin: Person, owner: Person, n8n: Upstream, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    made = flow(admin, n8n, secret=SECRET, answers="callback")
    talk = conversation(owner, made)
    n8n.script = lambda caller: caller.answer(b"", status=202)
    waiting = taken(send(owner, talk))["sessionId"]
    other = make_app(CHAT_ENCRYPTION_KEY="another-key-0f-the-tests-abcdefghijkl")
    owner_there, admin_there = person(other, "owner"), person(other, "admin", role="ADMIN")
    assert answered(admin_there.get(one(made)))["hasSecret"] is True
    words, exchange = failed(send(owner_there, talk), 502)
    assert words == "The persona cannot be asked: its secrets must be entered anew."
    ended = answered(owner_there.get(f"/api/chat-sessions/{exchange['sessionId']}"))
    assert (ended["status"], ended["errorKind"], ended["errorMessage"]) == ("FAILED", "unreachable", words)
    refused(call_back(other, waiting), 401)
    assert f"callbacks of persona {made['personaId']} cannot be checked" in caplog.text
    assert SECRET not in caplog.text
    change(admin_there, made, secret="entered anew")
    answered(call_back(other, waiting, secret="entered anew"))
    taken(send(owner_there, talk))


# Who did what


def test_what_is_done_to_personas_is_written_down(admin: Person, owner: Person) -> None:
    made = persona(admin)
    change(admin, made, name="Forester", secret=SECRET)
    refused(admin.call("PATCH", one(made), json={"kind": "webhook"}), 400, "webhookUrl")
    answered(admin.delete(one(made)))
    about = [("admin", made["personaId"])]
    found = {action: events(admin, action) for action in ("persona.created", "persona.updated", "persona.deleted")}
    assert {action: [(event["actorId"], event["subject"]) for event in some] for action, some in found.items()} == dict.fromkeys(found, about)
    assert found["persona.created"][0]["details"] == {"name": "Gardener", "kind": "echo"}
    assert found["persona.updated"][0]["details"] == {"changed": ["name", "secret"]}
