"""What the purge erases, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from chatsvc.core import cleanup, erasure, messages, sessions, verify
from chatsvc.core.cleanup import Purged
from tests.migrations.raw import Raw
from tests.migrations.recount import breaches, look

NOTHING = Purged(sessions=0, messages=0, keys=0, sign_in_records=0, audit_events=0)


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def raw(context: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        if not connection.on_sqlite:
            connection.run("SET timezone = 'UTC'")
        yield connection


def test_a_session_is_erased_once_it_has_been_deleted_for_the_days_of_the_setting(raw: Raw) -> None:
    old, new, live = raw.session(deleted_at=ago(days=30, minutes=1)), raw.session(deleted_at=ago(days=29, hours=23)), raw.session(created_at=ago(days=900))
    for session in (old, new, live):
        raw.message(session)
    assert cleanup.purge() == Purged(sessions=1, messages=0, keys=0, sign_in_records=0, audit_events=0)
    assert {row[0] for row in raw.run("SELECT id FROM chat_sessions")} == {new, live}
    assert {row[0] for row in raw.run("SELECT session_id FROM chat_messages")} == {new, live}
    assert cleanup.purge() == NOTHING


def test_a_message_is_erased_once_it_has_been_deleted_for_the_days_of_the_setting(raw: Raw) -> None:
    session = raw.session()
    raw.message(session, "Old", deleted_at=ago(days=30, minutes=1))
    kept = [raw.message(session, "New", deleted_at=ago(days=29, hours=23)), raw.message(session, "Live", created_at=ago(days=900))]
    before = look(raw).sessions
    assert cleanup.purge() == Purged(sessions=0, messages=1, keys=0, sign_in_records=0, audit_events=0)
    assert list(look(raw).messages) == kept
    assert look(raw).sessions == before


def test_the_days_are_a_setting(raw: Raw, make_app: Callable[..., Flask]) -> None:
    raw.session(deleted_at=ago(days=2))
    assert cleanup.purge() == NOTHING
    with make_app(CHAT_SESSION_CLEANUP_DAYS="1").app_context():
        assert cleanup.purge().sessions == 1


def test_records_that_have_run_out_are_erased(raw: Raw) -> None:
    raw.insert("idempotency_keys", user_id="owner", key="yesterday", fingerprint="f", created_at=ago(hours=24, minutes=1))
    raw.insert("idempotency_keys", user_id="owner", key="today", fingerprint="f", created_at=ago(hours=23))
    raw.insert("revoked_tokens", token_id="expired", user_id="owner", expires_at=ago(minutes=1))
    raw.insert("revoked_tokens", token_id="good", user_id="owner", expires_at=ago(minutes=-1))
    raw.insert("login_throttles", account="a", address="forgotten", touched_at=ago(days=2))
    raw.insert("login_throttles", account="a", address="guessing", touched_at=ago(minutes=1))
    raw.insert("login_throttles", account="a", address="known", touched_at=ago(days=2), succeeded_at=ago(days=2))
    assert cleanup.purge() == Purged(sessions=0, messages=0, keys=1, sign_in_records=2, audit_events=0)
    assert raw.run("SELECT key FROM idempotency_keys") == [("today",)]
    assert raw.run("SELECT token_id FROM revoked_tokens") == [("good",)]
    assert {row[0] for row in raw.run("SELECT address FROM login_throttles")} == {"guessing", "known"}


def test_an_erased_session_leaves_no_kept_answer_behind_and_its_key_stays_taken(raw: Raw) -> None:
    session = raw.session(deleted_at=ago(days=31))
    raw.insert("idempotency_keys", user_id="owner", key="k", fingerprint="f", status=201, body='{"title": "Private"}', session_id=session)
    cleanup.purge()
    assert raw.run("SELECT key, body FROM idempotency_keys") == [("k", None)]


def test_a_long_session_goes_in_parts_and_no_other_with_it(raw: Raw) -> None:
    long, live = raw.session(deleted_at=ago(days=31)), raw.session()
    with raw.transaction():
        for session in (long, live):
            for _ in range(2 * erasure.BATCH + 7):
                raw.message(session)
    before = look(raw).sessions[live]
    assert cleanup.purge() == Purged(sessions=1, messages=0, keys=0, sign_in_records=0, audit_events=0)
    assert {row[0] for row in raw.run("SELECT id FROM chat_sessions")} == {live}
    assert raw.one("SELECT count(*) FROM chat_messages") == 2 * erasure.BATCH + 7
    assert look(raw).sessions[live] == before


def test_more_than_a_batch_goes_in_one_pass(raw: Raw) -> None:
    session = raw.session()
    amount = 2 * cleanup.BATCH + 7
    with raw.transaction():
        for number in range(amount):
            raw.message(session, deleted_at=ago(days=40))
            raw.insert("revoked_tokens", token_id=f"t{number}", user_id="owner", expires_at=ago(days=1))
    assert cleanup.purge() == Purged(sessions=0, messages=amount, keys=0, sign_in_records=amount, audit_events=0)
    assert look(raw).messages == {}


def test_two_at_once_erase_everything_once(raw: Raw, context: Flask) -> None:
    kept = raw.session()
    with raw.transaction():
        for _ in range(30):
            raw.message(raw.session(deleted_at=ago(days=31)))
        for _ in range(cleanup.BATCH + 100):
            raw.message(kept, deleted_at=ago(days=31))

    def purge() -> Purged:
        with context.app_context():
            return cleanup.purge()

    with ThreadPoolExecutor(4) as pool:
        done = [running.result() for running in [pool.submit(purge) for _ in range(4)]]
    assert sum(each.sessions for each in done) == 30
    assert sum(each.messages for each in done) == cleanup.BATCH + 100
    assert (list(look(raw).sessions), look(raw).messages) == ([kept], {})


def test_a_message_restored_while_the_purge_runs_stays(raw: Raw, context: Flask) -> None:
    session = raw.session()
    message = raw.message(session, "Wanted after all", deleted_at=ago(days=31))

    def purge() -> Purged:
        with context.app_context():
            return cleanup.purge()

    with ThreadPoolExecutor(1) as pool:
        with raw.transaction():
            raw.run("UPDATE chat_messages SET deleted_at = NULL WHERE id = ?", message)
            running = pool.submit(purge)
            with pytest.raises(TimeoutError):
                running.result(timeout=0.5)  # it waits for us
        assert running.result() == NOTHING
    assert list(look(raw).messages) == [message]
    assert breaches(look(raw)) == []


def test_a_session_restored_while_the_purge_runs_stays(raw: Raw, context: Flask) -> None:
    session = raw.session(deleted_at=ago(days=31))

    def purge() -> Purged:
        with context.app_context():
            return cleanup.purge()

    with ThreadPoolExecutor(1) as pool:
        with raw.transaction():
            raw.run("UPDATE chat_sessions SET deleted_at = NULL WHERE id = ?", session)
            running = pool.submit(purge)
            if raw.on_sqlite:
                with pytest.raises(TimeoutError):
                    running.result(timeout=0.3)
            else:
                assert running.result() == NOTHING  # it leaves alone what somebody else holds
        assert running.result() == NOTHING
    assert list(look(raw).sessions) == [session]


def test_what_was_deleted_through_the_service_is_erased_in_time_and_leaves_everything_clean(raw: Raw) -> None:
    gone, stays = sessions.create("owner"), sessions.create("owner")
    messages.append("owner", gone.id, role="user", content="Hello")
    message = messages.append("owner", stays.id, role="user", content="Hello")
    sessions.remove("owner", gone.id)
    messages.remove("owner", stays.id, message.id)
    assert cleanup.purge() == NOTHING
    raw.run(f"UPDATE chat_sessions SET deleted_at = '{ago(days=31)}' WHERE deleted_at IS NOT NULL")
    raw.run(f"UPDATE chat_messages SET deleted_at = '{ago(days=31)}' WHERE deleted_at IS NOT NULL")
    assert cleanup.purge() == Purged(sessions=1, messages=1, keys=0, sign_in_records=0, audit_events=0)
    assert list(verify.breaches()) == []
