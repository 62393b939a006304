"""Rows of every kind that a revision can hold, written as somebody with psql would."""

from __future__ import annotations

from tests.migrations.raw import Raw

NEWEST = 15
SOON = "2030-01-01 00:00:00.000000"
SOME_TIME_AGO = "2024-05-06 07:08:09.101112"


def fill(raw: Raw, revision: int = NEWEST) -> None:
    """One or more of everything that there is at this revision."""
    if revision >= 1:
        raw.insert("users", id="u1", username="Alice", username_key="alice", password_hash="x", role="ADMIN")
    if revision >= 2:
        raw.insert("revoked_tokens", token_id="t1", user_id="owner", expires_at=SOON)
        raw.insert("login_throttles", account="alice", address="127.0.0.1", failures=3)
    if revision >= 3:
        persona = raw.insert("personas", name="Guide", kind="echo")
        conversation = raw.insert("conversations", user_id="owner", persona_id=persona, title="Trip")
    if revision >= 4:
        exchange = raw.session(
            persona_id=persona, conversation_id=conversation, status="FAILED", error_message="no", error_kind="timeout", ended_at=SOME_TIME_AGO
        )
        raw.session(deleted_at=SOME_TIME_AGO, metadata='{"a": 1}', **_old())
        sessions = [raw.session(user_id, **_old()) for user_id in ("owner", "owner", "stranger")]
    if revision >= 5:
        _talk(raw, *sessions)
        raw.message(exchange, "To the guide", **({"conversation_id": conversation} if revision >= 10 else {}), **_made())
    if revision >= 6:
        raw.insert("idempotency_keys", user_id="owner", key="k1", fingerprint="f", status=201, body="{}", session_id=sessions[0])
        raw.insert("idempotency_keys", user_id="owner", key="k2", fingerprint="f")
    _fill_later(raw, revision)


def _fill_later(raw: Raw, revision: int) -> None:
    if revision >= 9:
        raw.insert("workers", id="w1")
        raw.run("INSERT INTO reply_chunks (message_id, at, user_id, text) SELECT id, 0, user_id, 'so far' FROM chat_messages WHERE status = 'streaming'")
    if revision >= 10:
        hook = raw.insert("personas", name="Flow", kind="webhook", webhook_url="https://flows.example.com/hook", secret_sealed="x", timeout_ms=5000)
        raw.insert("circuits", persona_id=hook, failures=5, opened_at=SOME_TIME_AGO)
        raw.insert("audit_events", action="persona.created", actor_id="owner", subject=hook)
    if revision >= 12:
        raw.insert("api_keys", name="Shop", digest="f" * 64, last_four="Ab12", scopes="read write")
    if revision >= 13:
        raw.insert("erasures", user_digest="d", asked_by="self", counts='{"messages": 3}', finished_at=SOME_TIME_AGO)
        raw.insert("erasures", user_id="owner", account="alice", user_digest="d", asked_by="admin")
    if revision >= 15:
        raw.run("UPDATE personas SET previous_secret_sealed = 'y', previous_secret_until = ? WHERE kind = 'webhook'", SOON)


def _talk(raw: Raw, first: str, second: str, third: str) -> None:
    """A conversation with all that can happen to a message; one that has only lost messages; a short one."""
    raw.message(first, "Taken back", deleted_at=SOME_TIME_AGO, **_made())
    raw.message(first, "Before all questions", "system", **_made())
    raw.message(first, "A question 🙂" * 20, **_made())
    raw.message(first, "An answer 𝄞" * 20, "assistant", **_made())
    raw.message(first, "", "assistant", status="failed", **_made())
    raw.message(first, "so far", "assistant", status="streaming", **_made())
    raw.message(first, "Taken back too", "assistant", deleted_at=SOME_TIME_AGO, metadata='{"b": [2]}', **_made())
    raw.message(second, "Gone", deleted_at=SOME_TIME_AGO, edited_at=SOME_TIME_AGO, **_made())
    raw.message(third, "Only", user_id="stranger", **_made())


def _old() -> dict[str, str]:
    return {"created_at": SOME_TIME_AGO, "updated_at": SOME_TIME_AGO}


def _made() -> dict[str, str]:
    return {"created_at": SOME_TIME_AGO}


# What people made at these revisions, and how it goes away: afterwards the step down loses nothing.
MADE_BY_PEOPLE: dict[int, tuple[str, ...]] = {
    7: ("UPDATE chat_sessions SET title = 'Mine', title_from = 'person'",),
    8: (
        "UPDATE chat_sessions SET agent_type = 'research' WHERE conversation_id IS NULL",
        "UPDATE chat_messages SET agent_type = 'research' WHERE role = 'assistant'",
    ),
}
TAKEN_BACK: dict[int, tuple[str, ...]] = {
    7: ("UPDATE chat_sessions SET title = NULL, title_from = 'message'",),
    8: ("UPDATE chat_sessions SET agent_type = NULL", "UPDATE chat_messages SET agent_type = NULL"),
    9: ("UPDATE chat_messages SET status = 'failed' WHERE status = 'streaming'",),
    10: ("DELETE FROM personas WHERE kind <> 'echo'", "DELETE FROM audit_events"),
    15: ("UPDATE personas SET previous_secret_sealed = NULL, previous_secret_until = NULL",),
}
