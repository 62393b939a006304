"""A database with 10,000 sessions, as many exchanges and 200,000 messages, made in a few statements; one user has half the sessions, one session a tenth of the messages."""

from __future__ import annotations

from tests.migrations.conftest import Database
from tests.migrations.raw import Raw

SESSIONS = 10_000
MESSAGES = 200_000
LONG = 20_000  # messages of the longest session
BUSY = "busy"  # the user who has half of the sessions

RECORDS = (
    ("users", "id, username, username_key, password_hash, created_at", "'account ' || n, 'Name ' || n, 'name ' || n, 'x', {ago}", "n * 60"),
    ("idempotency_keys", "user_id, key, fingerprint, created_at", "'user ' || (n % 499), 'key ' || n, 'f', {ago}", "n * 30"),
    ("revoked_tokens", "token_id, user_id, expires_at", "'token ' || n, 'user ' || (n % 499), {ago}", "(100 - n) * 60"),
    ("login_throttles", "account, address, touched_at", "'name ' || n, '*', {ago}", "n * 2"),
)


def fill(database: Database) -> None:
    """The messages come before the triggers, whose backfill then counts them all at once."""
    database.upgrade("006")
    raw = database.raw
    raw.run(
        _numbered(
            raw,
            SESSIONS,
            "INSERT INTO chat_sessions (user_id, status, created_at, updated_at, ended_at, deleted_at) "
            f"SELECT CASE WHEN n % 2 = 0 THEN '{BUSY}' ELSE 'user ' || (n % 499) END, CASE WHEN n % 50 < 2 THEN 'ACTIVE' ELSE 'COMPLETED' END, "
            f"{_ago(raw, 'n + 90000')}, {_ago(raw, 'n * 7919 % 90000')}, CASE WHEN n % 50 >= 2 THEN {raw.now} END, CASE WHEN n % 25 IN (3, 4) THEN {_ago(raw, 'n')} END",
        )
    )
    # Message by message from session to session, as they come in life.
    raw.run(
        _numbered(
            raw,
            MESSAGES,
            "INSERT INTO chat_messages (session_id, user_id, role, content, created_at, deleted_at) "
            "SELECT s.id, s.user_id, CASE n / 10000 % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'Message ' || n || ' about Äpfel, öl and 100%', "
            f"{_ago(raw, '200000 - n')}, CASE WHEN n % 97 = 0 THEN {_ago(raw, '200000 - n')} END",
            f"JOIN (SELECT id, user_id, row_number() OVER (ORDER BY created_at DESC) AS k FROM chat_sessions) s ON s.k = CASE WHEN n % {MESSAGES // LONG} = 0 THEN 2 ELSE n % {SESSIONS} + 1 END",
        )
    )
    database.upgrade()
    raw.run("UPDATE chat_sessions SET agent_type = 'primary' WHERE status = 'COMPLETED'")
    raw.run("UPDATE chat_sessions SET agent_type = 'research' WHERE status = 'ACTIVE' AND user_id <> 'busy'")
    for table, columns, values, age in RECORDS:
        raw.run(_numbered(raw, 3_000, f"INSERT INTO {table} ({columns}) SELECT {values.format(ago=_ago(raw, age))}"))
    _fill_exchanges(raw)
    # As autovacuum leaves it.
    raw.run("ANALYZE" if raw.on_sqlite else "VACUUM (ANALYZE)")


def _fill_exchanges(raw: Raw) -> None:
    """Ten in each of 1,000 conversations, a quarter of them the busy user's, with one of ten personas."""
    raw.run(_numbered(raw, 10, "INSERT INTO personas (name, kind) SELECT 'Persona ' || n, 'echo'"))
    raw.run(
        _numbered(
            raw,
            1_000,
            f"INSERT INTO conversations (user_id, persona_id) SELECT CASE WHEN n % 4 = 0 THEN '{BUSY}' ELSE 'user ' || (n % 499) END, p.id",
            "JOIN (SELECT id, row_number() OVER (ORDER BY id) AS k FROM personas) p ON p.k = n % 10 + 1",
        )
    )
    status = "CASE WHEN n % 5 = 2 THEN 'ACTIVE' WHEN n % 100 = 8 THEN 'FAILED' ELSE 'COMPLETED' END"
    raw.run(
        _numbered(
            raw,
            SESSIONS,
            "INSERT INTO chat_sessions (user_id, persona_id, conversation_id, status, created_at, updated_at, ended_at, title, title_from) "
            f"SELECT c.user_id, c.persona_id, c.id, {status}, {_ago(raw, 'n + 90000')}, {_ago(raw, 'n * 7907 % 90000')}, CASE WHEN n % 5 <> 2 THEN {raw.now} END, 'Exchange ' || n, 'person'",
            "JOIN (SELECT id, user_id, persona_id, row_number() OVER (ORDER BY id) AS k FROM conversations) c ON c.k = n % 1000 + 1",
        )
    )
    raw.run(
        _numbered(
            raw,
            SESSIONS,
            "INSERT INTO chat_messages (session_id, user_id, conversation_id, role, content) SELECT s.id, s.user_id, s.conversation_id, 'user', 'Question ' || n",
            "JOIN (SELECT id, user_id, conversation_id, row_number() OVER (ORDER BY id) AS k FROM chat_sessions WHERE conversation_id IS NOT NULL) s ON s.k = n",
        )
    )
    raw.run(
        _numbered(
            raw,
            5_000,
            "INSERT INTO audit_events (action, actor_id, subject) SELECT 'action ' || (n % 7), CASE WHEN n % 2 = 0 THEN 'busy' ELSE 'user ' || (n % 499) END, 'thing ' || (n % 99)",
        )
    )


def _numbered(raw: Raw, amount: int, select: str, join: str = "") -> str:
    """The SELECT over the numbers n from 1."""
    if not raw.on_sqlite:
        return f"{select} FROM generate_series(1, {amount}) n {join} ORDER BY n"
    insert, _, rest = select.partition(" SELECT ")
    return (
        f"{insert} WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {amount}) SELECT {rest} FROM numbers {join} ORDER BY n"
    )


def _ago(raw: Raw, seconds: str) -> str:
    if raw.on_sqlite:
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', (-({seconds})) || ' seconds') || '000'"
    return f"now() - ({seconds}) * interval '1 second'"
