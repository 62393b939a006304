"""Exchanges under attack: ends that meet, callbacks that are sent again, keys and headers that are meant to break something."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from flask import Flask

from bench.streams import SECRET as BENCH_SECRET
from bench.streams import free_port, served
from chatsvc.core import connections, exchanges, replies
from tests.api.envelope.calls import SESSIONS, Body, cancel
from tests.api.envelope.webhooks import FINE, LOOPBACK, SECRET, Line, accepted, another, answers, line, run, signed
from tests.api.v1 import rows
from tests.factories import token
from tests.migrations.raw import Raw
from tests.responders.upstream import Caller, Upstream, running

# The long run: CHAT_TEST_RACES=2000 make test ARGS=tests/api/envelope/test_exchange_races.py
RACES = int(os.environ.get("CHAT_TEST_RACES", "200"))


@pytest.fixture
def product(make_app: Callable[..., Flask]) -> Flask:
    return make_app(**LOOPBACK, PUBLIC_URL="https://chat.example.com")


@pytest.fixture
def impatient(make_app: Callable[..., Flask], engine_name: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """One whose writers wait for a second."""
    monkeypatch.setattr(connections, "STATEMENT_SECONDS" if engine_name == "sqlite" else "LOCK_SECONDS", 1)
    return make_app(**LOOPBACK, PUBLIC_URL="https://chat.example.com")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as server:
        server.script = FINE
        yield server


def eventually(true: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_cancel_that_meets_the_answer_has_one_outcome(product: Flask, upstream: Upstream) -> None:
    chance, there = random.Random(3), {f"Question {number}": threading.Event() for number in range(RACES)}
    ids: dict[str, str] = {}

    def script(caller: Caller) -> None:
        ids[caller.body["message"]] = caller.body["sessionId"]
        there[caller.body["message"]].set()
        caller.wait_for_hang_up(chance.uniform(0, 0.05))
        FINE(caller)

    upstream.script = script
    who = line(product, upstream.url, timeoutMs=8000)

    def one(message: str) -> tuple[int, str, int, str, str]:
        told: list[Any] = []
        sender = threading.Thread(target=lambda: told.append(who.send(message)))
        sender.start()
        assert there[message].wait(10)
        time.sleep(chance.uniform(0, 0.06))
        ended = cancel(who.who, ids[message])
        sender.join(10)
        return (
            told[0].status_code,
            told[0].json["data"]["status"],
            ended.status_code,
            who.session(ids[message])["status"],
            str(told[0].json["data"]["reply"])[:4],
        )

    with ThreadPoolExecutor(6) as pool:
        outcomes = Counter(pool.map(one, there))
    assert set(outcomes) <= {(201, "COMPLETED", 409, "COMPLETED", "{'me"), (409, "CANCELLED", 200, "CANCELLED", "None")}, outcomes
    assert outcomes.total() == RACES
    assert len(outcomes) == 2
    kept = run(product, "SELECT s.status, m.status FROM chat_sessions s JOIN chat_messages m ON m.session_id = s.id WHERE m.role = 'assistant'")
    assert {tuple(row) for row in kept} == {("COMPLETED", "complete"), ("CANCELLED", "cancelled")}
    assert rows.breaches(product) == []


def opened(who: Line) -> str:
    response = who.send()
    assert response.status_code == 202, response.text
    return cast("str", cast("Body", response.json)["data"]["sessionId"])


def test_of_twenty_same_callbacks_at_once_one_is_taken(product: Flask, upstream: Upstream) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    session_id, headers = opened(who), signed(b'{"output": "Ferns"}')
    with ThreadPoolExecutor(10) as pool:
        told = Counter(pool.map(lambda _: who.callback(session_id, headers=headers).status_code, range(20)))
    assert told == {200: 1, 409: 19}
    assert [(one["role"], one["content"]) for one in who.messages()][1:] == [("assistant", "Ferns")]


def test_a_callback_is_good_for_sessions_of_its_persona_and_for_minutes(product: Flask, upstream: Upstream) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    other = line(product, upstream.url, answers="callback", secret=SECRET[::-1])
    plain = line(product, upstream.url)  # answers at once, so nobody may call back
    body = b'{"output": "Ferns"}'
    mine, others = opened(who), opened(other)
    plain.who.session()
    refused = [
        who.callback(others, headers=signed(body)),
        who.callback(mine, headers=signed(body, time.time() - 301)),
        who.callback(mine, headers=signed(body, time.time() + 301)),
        who.callback(mine, headers=signed(body + b" ")),
        who.callback(mine, headers=signed(body, secret="")),
        who.callback(mine, headers={}),
        who.callback(mine, headers=signed(body) | {"X-Chatsvc-Signature": "v1=" + "\xe9" * 64}),
        who.callback(mine, headers={"X-Chatsvc-Timestamp": "1"}),
    ]
    upstream.script = FINE
    assert plain.send().status_code == 201
    refused.append(who.callback(plain.newest()["sessionId"], headers=signed(body)))
    assert {(response.status_code, response.data.replace(b" ", b"")) for response in refused} == {(401, refused[0].data.replace(b" ", b""))}
    assert {who.session(mine)["status"], other.session(others)["status"]} == {"ACTIVE"}
    who.change(answers="direct")
    assert who.callback(mine).status_code == 401
    who.change(answers="callback")
    assert who.callback(mine).status_code == 200


def test_a_callback_to_a_plain_session_does_not_answer_its_next_question(product: Flask, upstream: Upstream) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    session = who.who.session()["id"]
    told: list[Any] = []

    def ask(message: str) -> threading.Thread:
        asked = len(upstream.requests)
        sender = threading.Thread(
            target=lambda: told.append(who.who.post("/api/v1/chat", {"message": message, "session_id": session, "persona_id": who.persona_id}))
        )
        sender.start()
        eventually(lambda: len(upstream.requests) > asked)
        return sender

    first, headers = ask("One?"), signed(b'{"output": "First"}')
    assert who.callback(session, "First", headers=headers).status_code == 200
    first.join(10)
    second = ask("Two?")
    assert who.callback(session, "First", headers=headers).status_code == 409
    assert who.callback(session, "Second").status_code == 200
    second.join(10)
    assert [response.json["assistant_message"]["content"] for response in told] == ["First", "Second"]


def test_a_wish_to_stop_is_obeyed_even_when_nobody_writes_the_reply_any_more(product: Flask, upstream: Upstream) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    deleted = opened(who)
    assert who.who.delete(f"/api/v1/chat/sessions/{deleted}").status_code == 204
    with product.app_context():
        assert replies.sweep() == 1
        assert replies.sweep() == 0
    assert rows.of_session(product, deleted).status == "CANCELLED"
    # The wish came while the flow was being asked, and the flow then said that it will answer later.
    with product.app_context():
        product.extensions["chatsvc.runtime"].start()
        worker = product.extensions["chatsvc.runtime"].worker_id
        for expected in ("CANCELLED", "TIMEOUT"):
            begun = exchanges.begin("owner", who.conversation_id, worker_id=worker, message="?", session_meta={})
            if expected == "CANCELLED":
                replies.ask_to_stop("owner", begun.reply.id)
            else:
                who.admin.post("/api/chat-sessions/cleanup", {"maxAgeHours": 0.0000001})
            replies.leave_open(begun.session_id, begun.reply.id, None)
            assert rows.of_session(product, begun.session_id).status == expected
            (reply,) = replies.states([begun.reply.id])
            assert reply.status == ("cancelled" if expected == "CANCELLED" else "failed")
    assert rows.breaches(product) == []


def test_cancels_that_meet_a_flow_which_will_answer_later(product: Flask, upstream: Upstream) -> None:
    chance = random.Random(5)

    def script(caller: Caller) -> None:
        caller.wait_for_hang_up(chance.uniform(0, 0.3))
        accepted(caller)

    upstream.script = script
    who = line(product, upstream.url, answers="callback")

    def one(_: int) -> int:
        session_id = who.later()
        time.sleep(chance.uniform(0, 0.3))
        return cancel(who.who, session_id).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(40))) == {200}
    eventually(lambda: not run(product, "SELECT 1 FROM chat_messages WHERE status = 'streaming'"))
    assert {row[0] for row in run(product, "SELECT status FROM chat_messages WHERE role = 'assistant'")} == {"cancelled"}


def test_who_follows_a_reply_that_is_left_open_takes_it_up_again_and_gets_its_end(product: Flask, upstream: Upstream) -> None:
    go_on = threading.Event()

    def script(caller: Caller) -> None:
        go_on.wait(5)
        accepted(caller)

    upstream.script = script
    who = line(product, upstream.url, answers="callback", timeoutMs=8000)
    session_id, told = who.later(), list[str]()
    path = f"/api/v1/chat/stream/{who.messages()[-1]['messageId']}"
    follower = threading.Thread(target=lambda: told.append(who.who.get(path).text))
    follower.start()
    time.sleep(0.3)
    go_on.set()
    follower.join(10)
    assert [text for text in told if "event:" in text] == []  # neither an end nor an error: it goes on
    follower = threading.Thread(target=lambda: told.append(who.who.get(path).text))
    follower.start()
    time.sleep(0.3)
    assert who.callback(session_id).status_code == 200
    follower.join(10)
    assert '"content":"Ferns"' in told[1]
    assert "event: done" in told[1]


@pytest.mark.parametrize("later", [False, True])
def test_a_database_that_is_busy_for_long_leaves_nobody_waiting(impatient: Flask, upstream: Upstream, database_url: str, later: bool) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with Raw(database_url) as other, other.transaction():
            other.run("UPDATE chat_sessions SET title_from = title_from")
            held.set()
            go_on.wait(1.8)  # longer than a writer waits

    def script(caller: Caller) -> None:
        threading.Thread(target=hold).start()
        assert held.wait(30)
        (accepted if later else FINE)(caller)

    who = line(impatient, upstream.url, answers="callback", timeoutMs=8000)
    upstream.script = script
    response = who.send()
    assert (response.status_code, cast("Body", response.json)["data"]["status"]) == ((202, "ACTIVE") if later else (201, "COMPLETED"))
    upstream.script = FINE
    assert who.send().status_code == 201


def test_secrets_that_cannot_be_read_any_more_are_said_to_be_and_sign_nothing(product: Flask, upstream: Upstream, make_app: Callable[..., Flask]) -> None:
    upstream.script = accepted
    who = line(product, upstream.url, answers="callback")
    session_id = opened(who)
    other = another(who, app=make_app(**LOOPBACK, CHAT_ENCRYPTION_KEY="another-key-0123456789-abcdefghijkl"))
    assert other.callback(session_id).status_code == 401
    response = other.send()
    assert (response.status_code, cast("Body", response.json)["message"]) == (502, "The persona cannot be asked: its secrets must be entered anew.")
    assert other.newest()["errorKind"] == "unreachable"
    assert len(upstream.requests) == 1
    assert who.callback(session_id).status_code == 200


def test_two_sends_with_one_key_ask_once(product: Flask, upstream: Upstream) -> None:
    go_on = threading.Event()

    def script(caller: Caller) -> None:
        go_on.wait(10)
        FINE(caller)

    upstream.script = script
    who = line(product, upstream.url, timeoutMs=9000)
    with ThreadPoolExecutor(6) as pool:
        told = [pool.submit(who.send, headers={"Idempotency-Key": "k"}) for _ in range(6)]
        eventually(lambda: sum(one.done() for one in told) == 5)
        go_on.set()
    found = Counter(one.result().status_code for one in told)
    assert found == {201: 1, 409: 5}
    again = who.send(headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == next(one.result().json for one in told if one.result().status_code == 201)
    assert len(upstream.requests) == 1
    assert who.send("Another", headers={"Idempotency-Key": "k"}).status_code == 422


def test_a_persona_that_fails_for_everybody_does_not_flood_the_audit_trail(product: Flask, upstream: Upstream) -> None:
    upstream.script = answers("", 500)
    who = line(product, upstream.url)
    for number in range(60):
        assert (who if number % 2 else another(who, "stranger")).send().status_code in (502, 503)
    kept = Counter(row[0] for row in run(product, "SELECT action FROM audit_events"))
    assert kept == {"persona.created": 1, "webhook.failed": 5, "circuit.opened": 1}
    for _ in range(30):
        assert who.callback(who.newest()["sessionId"], headers={}).status_code == 401
    assert Counter(row[0] for row in run(product, "SELECT action FROM audit_events")) == kept


def test_what_a_client_says_of_itself_is_kept_short_and_harmless(product: Flask, upstream: Upstream) -> None:
    who = line(product, upstream.url)
    for agent, kept in (("Br\xf6wser/1", "Br\xf6wser/1"), ("x" * 100_000, "x" * 1000), ("a\x00b\x07c\x80", "a\ufffdb\ufffdc\ufffd"), ("", "")):
        response = who.send(headers={"User-Agent": agent, "Sec-CH-UA": agent})
        assert response.status_code == 201, response.text
        meta = who.newest()["meta"]
        assert (meta["userAgent"], meta["deviceInfo"]) == (kept, kept)


def test_client_metadata_has_its_own_limit_and_its_names_lose(product: Flask, upstream: Upstream) -> None:
    who = line(product, upstream.url)
    room = 16 * 1024 - len('{"note":""}')
    assert who.send(metadata={"note": "x" * room}).status_code == 201
    meta = who.newest()["meta"]
    assert set(meta) == {"note", "userAgent", "ipAddress", "deviceInfo"}
    before = rows.count(product, "chat_messages")
    assert who.send(metadata={"note": "x" * (room + 1)}).status_code == 400
    assert rows.count(product, "chat_messages") == before
    assert who.send(metadata={"ipAddress": "1.2.3.4", "userAgent": {"a": 1}, "deviceInfo": [1], "b": 2}).status_code == 201
    meta = who.newest()["meta"]
    assert (meta["ipAddress"], meta["deviceInfo"], meta["b"]) == ("127.0.0.1", None, 2)
    assert isinstance(meta["userAgent"], str)


def test_a_real_server_takes_odd_headers_and_broken_callbacks(empty_database: str) -> None:
    port = free_port()
    with served(port, DATABASE_URL=empty_database, WEB_CONCURRENCY="1", LOG_LEVEL="error", CHAT_ECHO_DELAY_MS="0"):

        def ask(path: str, body: bytes, **headers: bytes | str) -> tuple[int, Body]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.putrequest("POST", path, skip_accept_encoding=True)
            given: dict[str, bytes | str] = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Authorization": f"Bearer {mine}", **headers}
            for name, value in given.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            connection.sock.shutdown(socket.SHUT_WR)
            response = connection.getresponse()
            found = response.status, cast("Body", json.loads(response.read()))
            connection.close()
            return found

        mine = token("owner", secret=BENCH_SECRET, role="ADMIN")
        _, persona = ask("/api/personas", b'{"name": "Echo", "kind": "echo"}')
        _, begun = ask("/api/conversations", json.dumps({"personaId": persona["data"]["personaId"]}).encode())
        path = f"/api/conversations/{begun['data']['conversationId']}/messages"
        for agent in (b"\xff\xfe\x80", b"x" * 100_000, b"tab\there"):
            status, sent = ask(path, b'{"message": "Hello"}', **{"User-Agent": agent})
            assert (status, sent["data"]["reply"]["content"]) == (201, "Hello")
        callback = f"{SESSIONS}/{sent['data']['sessionId']}/callback"
        for raw in (b"zz\r\nhello\r\n", b"5\r\nhel", b"ffffffffffffffffff\r\n"):
            status, told = ask(callback, raw, **{"Content-Length": "", "Transfer-Encoding": "chunked"})
            assert status in (400, 401), (raw, status)
            assert told["success"] is False
