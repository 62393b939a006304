"""Somebody with a bit of everything, all of it marked, made the way people make it."""

from __future__ import annotations

from typing import Any

from flask import Flask

from chatsvc.core import users
from tests.api.app.accounts import PASSWORD, SignIn, bearer
from tests.api.envelope.calls import SESSIONS, answered
from tests.api.envelope.flows import SECRET, conversation, flow, send, taken
from tests.api.v1 import rows
from tests.factories import Person
from tests.responders.upstream import Upstream

MARK = "zq7marked"
NAME = f"{MARK} alice"


def account(app: Flask) -> Person:
    """An account of a marked name, signed in."""
    with app.app_context():
        users.create(NAME, PASSWORD)
    return sign_in(app)


def sign_in(app: Flask, password: str = PASSWORD) -> Person:
    response = app.test_client(use_cookies=False).post("/auths/login", json={"username": NAME, "password": password})
    assert response.status_code == 200, response.text
    given: Any = response.json
    person = SignIn(app, given["access_token"], given["refresh_token"]).person
    me: Any = person.get("/auths/me").json
    return Person(person.client, me["id"], person.token)


def fill(app: Flask, who: Person, admin: Person, n8n: Upstream) -> None:
    """Sessions of every kind, edited and deleted messages, exchanges that were answered, failed and are waited for, kept answers, events."""
    app.test_client(use_cookies=False).post("/auths/login", json={"username": NAME, "password": "wrong"})
    kept = who.session(title=f"{MARK} title", metadata={"note": f"{MARK} meta"}, agent_type=None)["id"]
    message = who.message(kept, f"{MARK} first text", metadata={"a": f"{MARK} metadata"})["id"]
    answered_v1(who.put(f"/api/v1/chat-sessions/{kept}/messages/{message}", json={"content": f"{MARK} edited"}))
    for number in range(3):
        who.message(kept, f"{MARK} {number}" * 30)
    gone = who.message(kept, f"{MARK} taken back")["id"]
    assert who.delete(f"/chat/sessions/{kept}/messages/{gone}").status_code == 204
    ended = who.session(title=f"{MARK} ended")["id"]
    answered_v1(who.delete(f"/api/v1/chat-sessions/{ended}"))
    deleted = who.session(title=f"{MARK} deleted")["id"]
    who.message(deleted, f"{MARK} in a deleted one")
    assert who.delete(f"/chat/sessions/{deleted}").status_code == 204
    answered(who.post(SESSIONS, json={"title": f"{MARK} kept answer"}, headers={"Idempotency-Key": f"{MARK}-key"}), 201)
    key = {"Idempotency-Key": f"{MARK}-chat"}
    answered_v1(who.post("/api/v1/chat", json={"message": f"{MARK} chat"}, headers=key))
    answered(who.call("PATCH", f"{SESSIONS}/{who.session(title=f'{MARK} cancelled')['id']}/cancel"))
    _exchanges(who, admin, n8n)


def _exchanges(who: Person, admin: Person, n8n: Upstream) -> None:
    made = flow(admin, n8n)
    talk = conversation(who, made, title=f"{MARK} conversation")
    n8n.script = lambda caller: caller.answer(b'{"output": "%s reply"}' % MARK.encode())
    agent = {"User-Agent": f"{MARK} browser"}
    assert send(who, talk, f"{MARK} asked", headers=agent, metadata={"page": f"{MARK} page"}).status_code == 201
    n8n.script = lambda caller: caller.answer(b"no", status=500)
    assert send(who, talk, f"{MARK} failed", headers=agent).status_code == 502
    n8n.script = lambda caller: caller.answer(b"", status=202)
    late = conversation(who, flow(admin, n8n, secret=SECRET, answers="callback"), title=f"{MARK} late")
    taken(send(who, late, f"{MARK} waits", headers=agent))


def answered_v1(response: Any) -> None:
    assert response.status_code == 200, response.text


def amounts(app: Flask, *tables: str) -> list[int]:
    return [rows.count(app, table) for table in tables]


__all__ = ["MARK", "NAME", "account", "amounts", "bearer", "fill", "sign_in"]
