"""`/api/users/{id}/data` and `/api/erasures/{id}`: after it, nothing in the whole database holds anything of the user's."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import acting, cleanup, erasure, exchanges, forgetting, guard, sessions, users
from chatsvc.core import runtime as running
from chatsvc.core.errors import Conflict, Unavailable
from chatsvc.core.paging import Window
from chatsvc.responders.base import Question, ResponderError
from tests.api.app.accounts import PASSWORD
from tests.api.app.accounts import sign_in as signed_in
from tests.api.envelope.calls import answered, create, refused
from tests.api.envelope.flows import SECRET, conversation, flow, send, taken
from tests.api.envelope.marked import MARK, NAME, account, fill
from tests.api.v1 import rows
from tests.api.v1.streams import HandedOut, follow
from tests.api.v1.test_chat_stream import saved_text, until
from tests.factories import Person, person, unknown_id
from tests.migrations.raw import Raw
from tests.responders.upstream import Upstream
from tests.whole import dumped, holding

ERASED = "Data erased successfully"
BEGUN = "Erasure begun; its receipt says when it is finished"
COUNTED = ["sessions", "messages", "conversations", "idempotencyKeys", "revokedTokens", "signInRecords", "auditEvents", "apiKeys", "accounts"]


def data_of(user_id: str) -> str:
    return f"/api/users/{user_id}/data"


def erased(who: Person, user_id: str, query: str = "") -> Any:
    return answered(who.delete(f"{data_of(user_id)}{query}"), 200, ERASED)


def receipt(app: Flask, receipt_id: str) -> Any:
    return answered(app.test_client(use_cookies=False).get(f"/api/erasures/{receipt_id}"), 200, "Receipt retrieved successfully")


@pytest.fixture
def alice(app: Flask, admin: Person, n8n: Upstream) -> Person:
    """An account with a bit of everything."""
    found = account(app)
    fill(app, found, admin, n8n)
    return found


def test_after_it_the_whole_database_holds_nothing_of_the_users(app: Flask, database_url: str, owner: Person, alice: Person) -> None:
    kept = owner.session(title="The owner's")["id"]
    owner.message(kept, "What the owner wrote")
    before = dumped(database_url)
    assert before.count(MARK.encode()) > 40
    assert alice.user_id.encode() in before
    assert {*holding(database_url, MARK)} >= {"users", "chat_sessions", "chat_messages", "conversations", "idempotency_keys", "audit_events", "login_throttles"}
    done = erased(alice, alice.user_id)
    assert MARK.encode() not in dumped(database_url).lower()
    # Of the id only what keeps its tokens from being good, until they have run out.
    assert holding(database_url, alice.user_id) == {"users": 1}
    assert (done["status"], done["askedBy"], done["fileRewritten"]) == ("FINISHED", "self", True if database_url.startswith("sqlite") else None)
    assert owner.get(f"/api/v1/chat-sessions/{kept}").json["message_count"] == 1  # type: ignore[index]
    assert not rows.breaches(app)


def test_the_receipt_counts_and_names_nobody(app: Flask, database_url: str, alice: Person) -> None:
    with app.app_context(), acting.acting_for(acting.EVERYBODY):
        digest = forgetting.digest(alice.user_id)
    there = {name: rows.count(app, name) for name in ("chat_sessions", "chat_messages", "conversations", "idempotency_keys", "login_throttles")}
    done = erased(alice, alice.user_id)
    assert list(done["counts"]) == COUNTED
    assert [done["counts"][name] for name in ("sessions", "messages", "conversations", "idempotencyKeys", "signInRecords", "accounts")] == [*there.values(), 1]
    assert done["counts"]["auditEvents"] > 3
    assert receipt(app, done["receiptId"]) == done
    assert done["userDigest"] == digest
    assert alice.user_id not in repr(rows.run(app, "SELECT * FROM erasures"))
    assert rows.run(app, "SELECT actor_id, subject FROM audit_events WHERE action = 'user.erased'") == [(None, done["receiptId"])]


def test_the_events_stay_and_no_longer_say_who_it_was(app: Flask, alice: Person) -> None:
    assert rows.run(app, "SELECT 1 FROM audit_events WHERE action = 'login.failed'")
    erased(alice, alice.user_id)
    left = {row.action: row for row in rows.run(app, "SELECT * FROM audit_events")}
    assert not {"login.failed", "login.succeeded"} & set(left)
    assert (left["session.cancelled"].actor_id, left["session.cancelled"].subject) == ("", "")
    assert left["webhook.failed"].actor_id == ""
    assert "session_id" not in left["webhook.failed"].details
    assert left["persona.created"].actor_id == "admin", "who made what is there yet stays known"


def test_the_account_is_closed_at_once_and_its_name_is_free(app: Flask, admin: Person, alice: Person) -> None:
    other = signed_in(app, NAME)
    erased(alice, alice.user_id)
    for call in (alice.get("/auths/me"), alice.delete(data_of(alice.user_id)), other.person.get("/api/chat-sessions"), other.renew()):
        assert call.status_code == 401
    assert app.test_client().post("/auths/login", json={"username": NAME, "password": PASSWORD}).status_code == 401
    assert [one["username"] for one in admin.get("/auths/users").json] == []  # type: ignore[union-attr]
    with app.app_context():
        assert users.create(NAME, PASSWORD).id != alice.user_id


def test_an_account_can_be_kept_and_then_has_nothing(app: Flask, database_url: str, alice: Person) -> None:
    done = erased(alice, alice.user_id, "?keepAccount=true")
    assert (done["keepsAccount"], done["counts"]["accounts"]) == (True, 0)
    assert holding(database_url, MARK) == {"users": 1}
    assert alice.get("/auths/me").json["username"] == NAME  # type: ignore[index]
    assert [rows.count(app, table) for table in ("chat_sessions", "chat_messages", "conversations")] == [0, 0, 0]


def test_what_was_revoked_stays_revoked(app: Flask, alice: Person) -> None:
    other = signed_in(app, NAME)
    assert other.person.post("/auths/logout").status_code == 204
    erased(alice, alice.user_id, "?keepAccount=true")
    assert other.person.get("/auths/me").status_code == 401
    assert {row.user_id for row in rows.run(app, "SELECT user_id FROM revoked_tokens")} == {""}


def test_somebody_of_an_outside_issuer_is_erased_and_may_begin_anew(app: Flask, owner: Person) -> None:
    create(owner, title="Before")
    assert erased(owner, "owner")["counts"]["sessions"] == 1
    create(owner, title="After")
    assert erased(owner, "owner")["counts"]["sessions"] == 1
    assert erased(owner, "owner")["counts"]["sessions"] == 0


def test_an_admin_erases_anybody_and_is_named_for_it(app: Flask, database_url: str, admin: Person, alice: Person) -> None:
    done = erased(admin, alice.user_id)
    assert (done["askedBy"], done["counts"]["accounts"]) == ("admin", 1)
    assert holding(database_url, MARK) == {}
    assert rows.run(app, "SELECT actor_id FROM audit_events WHERE action = 'user.erased'") == [("admin",)]
    assert sum(erased(admin, unknown_id())["counts"].values()) == 0, "ids of an outside issuer cannot be known here"


def test_for_everybody_else_any_other_id_is_one_that_is_not_there(app: Flask, owner: Person, stranger: Person, alice: Person) -> None:
    create(owner)
    before = rows.dump(app)
    for method, place in (("DELETE", data_of), ("GET", lambda user_id: f"/api/users/{user_id}/export")):
        told = {stranger.call(method, place(user_id)).data for user_id in ("owner", alice.user_id, unknown_id(), "x" * 256, "%00", "admin", "a/b", "*")}
        assert told == {b'{"success":false,"message":"User not found"}'}
    assert rows.dump(app) == before
    assert rows.count(app, "erasures") == 0


@pytest.mark.parametrize("user_id", ["auth0|5f7c", "https://issuer.example/u/1", "a b", "*", "ü", "x" * 255, "u%"])
def test_an_id_may_be_whatever_an_issuer_says(app: Flask, owner: Person, user_id: str) -> None:
    who = person(app, user_id)
    create(who)
    create(owner)
    path = user_id.replace("%", "%25")
    assert erased(who, path)["counts"]["sessions"] == 1
    assert who.get(f"/api/users/{path}/export").status_code == 200
    assert rows.run(app, "SELECT user_id FROM chat_sessions") == [("owner",)]


def test_somebody_whose_id_is_the_name_of_an_account_leaves_its_sign_ins_alone(app: Flask, admin: Person) -> None:
    found = account(app)
    before = rows.run(app, "SELECT actor_id, subject FROM audit_events WHERE action = 'login.succeeded'")
    erased(person(app, NAME), NAME)
    assert rows.run(app, "SELECT actor_id, subject FROM audit_events WHERE action = 'login.succeeded'") == before
    assert rows.count(app, "login_throttles") == 2
    assert found.get("/auths/me").status_code == 200


def test_a_receipt_that_is_not_there_is_not_found(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    assert refused(client.get(f"/api/erasures/{unknown_id()}"), 404) == refused(client.get("/api/erasures/1"), 404)


# While others are at it


def test_a_running_reply_is_stopped_and_brings_nothing_back(app: Flask, database_url: str, owner: Person, handed: HandedOut) -> None:
    stream = follow(owner, json={"message": f"{MARK} question"}, headers={"Idempotency-Key": "k"})
    reply_id = next(stream).data["reply_id"]
    handed.say(f"{MARK} so far")
    until(lambda: saved_text(app, reply_id) == f"{MARK} so far")
    erased(owner, "owner")
    handed.say(f"{MARK} and more", None)
    list(stream)
    until(lambda: not app.extensions["chatsvc.runtime"]._runs)
    assert holding(database_url, MARK) == {}
    assert [rows.count(app, table) for table in ("chat_messages", "reply_chunks", "idempotency_keys", "chat_sessions")] == [0, 0, 0, 0]


def test_an_answer_that_comes_by_callback_afterwards_leaves_nothing(app: Flask, owner: Person, admin: Person, n8n: Upstream) -> None:
    n8n.script = lambda caller: caller.answer(b"", status=202)
    waits = taken(send(owner, conversation(owner, flow(admin, n8n, secret=SECRET, answers="callback"))))["sessionId"]
    erased(owner, "owner")
    with app.app_context(), acting.acting_for(acting.user("owner")):
        with pytest.raises(Conflict):
            exchanges.answer(waits, f"{MARK} late", signature="v1=x")
        # As one that has looked the session up just before.
        assert exchanges._answered("owner", waits, f"{MARK} late", "v1=x") is False
    assert rows.count(app, "idempotency_keys") == 0


def test_a_failure_that_is_noted_afterwards_names_nobody(app: Flask, owner: Person, admin: Person) -> None:
    session_id = create(owner)["sessionId"]
    failure, question = ResponderError("bad_status", "The webhook has a fault"), Question([], user_id="owner", session_id=session_id)

    def noted() -> int:
        with app.app_context(), acting.acting_for(acting.user("owner")):
            guard._note(failure, question, unknown_id())
        return len(rows.run(app, "SELECT 1 FROM audit_events WHERE actor_id = 'owner'"))

    assert noted() == 1
    erased(owner, "owner")
    assert noted() == 0


def test_no_copy_of_a_row_is_left_between_those_of_others(app: Flask, database_url: str, owner: Person) -> None:
    """Of rows of all lengths, written and rewritten in turn with others', SQLite leaves copies where a page was split."""
    chance = random.Random(2)
    with Raw(database_url) as raw, raw.transaction():
        mine: list[tuple[str, str]] = []
        for number in range(3000):
            if number % 10 == 0:
                who = chance.choice(["owner", "stranger"])
                mine.append((raw.session(who, title=MARK if who == "owner" else "other", title_from="person"), who))
            session_id, who = chance.choice(mine[-30:])
            words = MARK if who == "owner" else "otherword"
            raw.message(session_id, words * chance.choice([1, 5, 20, 100, 1000]), user_id=who)
            raw.insert("idempotency_keys", user_id=who, key=str(number), fingerprint="f", body=words * chance.randint(1, 200))
            if number % 7 == 0:
                raw.run("UPDATE chat_sessions SET title = ? WHERE id = ?", words * chance.randint(1, 60), session_id)
    with app.app_context(), acting.acting_for(acting.user("owner")):
        assert forgetting.go_on(forgetting.ask("owner", by="self")).finished_at
    assert MARK.encode() not in dumped(database_url)
    assert rows.run(app, "SELECT count(*) FROM chat_messages")[0][0] > 1000


def test_two_at_once_are_one_erasure(app: Flask, owner: Person) -> None:
    fill_plainly(app, 30)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: person(app, "owner").delete(data_of("owner")), range(4)))
    assert {response.status_code for response in answers} <= {200, 202}
    done = [receipt(app, response.json["data"]["receiptId"]) for response in answers]  # type: ignore[index]
    assert sum(one["counts"]["messages"] for one in {one["receiptId"]: one for one in done}.values()) == 60
    assert rows.count(app, "chat_messages") == 0


def fill_plainly(app: Flask, amount: int, *, messages: int = 2) -> None:
    with app.app_context(), acting.acting_for(acting.user("owner")):
        for _ in range(amount):
            session_id = sessions.create("owner").id
            for _ in range(messages):
                rows.run(app, "INSERT INTO chat_messages (session_id, user_id, role, content) VALUES (:id, 'owner', 'user', 'Hello')", id=session_id)


def test_what_takes_long_is_answered_at_once_and_goes_on(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_plainly(app, 3)
    go = threading.Event()
    step = forgetting._step
    monkeypatch.setattr(forgetting, "_step", lambda receipt_id: go.wait(10) and step(receipt_id))
    monkeypatch.setattr(forgetting.in_background, "__kwdefaults__", {"wait": 0.1})
    begun = answered(owner.delete(data_of("owner")), 202, BEGUN)
    assert (begun["status"], begun["finishedAt"], begun["counts"]["sessions"]) == ("RUNNING", None, 0)
    assert answered(owner.delete(data_of("owner")), 202, BEGUN)["receiptId"] == begun["receiptId"], "asked again, it is the same"
    go.set()
    until(lambda: receipt(app, begun["receiptId"])["status"] == "FINISHED")
    assert receipt(app, begun["receiptId"])["counts"]["messages"] == 6


def test_one_whose_process_died_is_taken_up_by_another(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SWEEP_SECONDS", 0.05)
    fill_plainly(app, 3)
    with app.app_context(), acting.acting_for(acting.user("owner")):
        receipt_id = forgetting.ask("owner", by="self")
        assert forgetting._step(receipt_id)
        assert forgetting.take_up() == 0, "somebody may be at it yet"
    rows.run(app, "UPDATE erasures SET seen_at = '2026-01-01 00:00:00.000000'")
    app.extensions["chatsvc.runtime"].start()
    until(lambda: receipt(app, receipt_id)["status"] == "FINISHED")
    assert rows.count(app, "chat_sessions") == 0


def test_it_insists_while_the_database_is_busy(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_plainly(app, 1)
    step, failures = forgetting._step, [Unavailable("The database is busy")] * 2
    monkeypatch.setattr(forgetting, "AWAY_SECONDS", 0.01)

    def at_last(receipt_id: str) -> bool:
        if failures:
            raise failures.pop()
        return step(receipt_id)

    monkeypatch.setattr(forgetting, "_step", at_last)
    assert erased(owner, "owner")["counts"]["sessions"] == 1


def test_a_long_session_goes_in_parts_and_is_hidden_at_once(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH", 4)
    fill_plainly(app, 1, messages=10)
    with app.app_context(), acting.acting_for(acting.user("owner")):
        receipt_id = forgetting.ask("owner", by="self")
        assert forgetting._step(receipt_id)
        assert rows.count(app, "chat_messages") == 6
        assert sessions.page("owner", sessions.Filters(), Window(10)).rows == []
        assert not rows.breaches(app), "in the middle, too, everything agrees"
        assert forgetting.go_on(receipt_id).counts == {"sessions": 1, "messages": 10}


def test_what_a_request_wrote_that_was_let_in_just_before_goes_with_the_next_cleanup(app: Flask, alice: Person) -> None:
    erased(alice, alice.user_id)
    with app.app_context(), acting.acting_for(acting.user(alice.user_id)):
        sessions.create(alice.user_id, title=f"{MARK} late")
    with app.app_context():
        cleanup.purge()
    assert rows.count(app, "chat_sessions") == 0
    assert rows.count(app, "users") == 1


def test_what_is_left_of_an_account_goes_once_no_token_can_be_good(app: Flask, alice: Person, make_app: Callable[..., Flask]) -> None:
    erased(alice, alice.user_id)
    rows.run(app, "UPDATE users SET disabled_at = :at", at=days_ago(32))
    with app.app_context():
        assert cleanup.count_purge().sign_in_records == cleanup.purge().sign_in_records == 1
    assert rows.count(app, "users") == 0


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")


def test_receipts_go_with_the_events_of_their_time(app: Flask, owner: Person) -> None:
    erased(owner, "owner")
    rows.run(app, "UPDATE erasures SET finished_at = :at", at=days_ago(366))
    with app.app_context():
        assert cleanup.count_purge().receipts == cleanup.purge().receipts == 1
    assert rows.count(app, "erasures") == 0


def test_asking_too_often_is_refused(make_app: Callable[..., Flask]) -> None:
    who = person(make_app(RATELIMIT_ENABLED="true", RATELIMIT_PRIVACY="2/minute"), "owner")
    assert [who.delete(data_of("owner")).status_code, who.get("/api/users/owner/export").status_code, who.delete(data_of("owner")).status_code] == [
        200,
        200,
        429,
    ]
