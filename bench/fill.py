"""Fills the database of DATABASE_URL (PostgreSQL, migrated, empty) with the rows of the peers' database, so that all serve the same.

    DATABASE_URL=postgresql://…/product python -m bench.fill postgresql://…/peers

Users u1 to u10000 with ten sessions each, u1 with 5,000, one session of 20,000 messages; two million messages in all. The rows are
copied without the triggers, and what these would keep is set in one statement; `flask verify` then agrees.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

SESSIONS = "SELECT id, user_id, title, 'person', 'ACTIVE', metadata, created_at, updated_at FROM chat_sessions"
MESSAGES = """SELECT m.session_id, s.user_id, m.role, m.content, m.metadata, 'complete', m.created_at
    FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id ORDER BY m.id"""
KEPT = """
UPDATE chat_sessions s SET message_count = k.amount, newest_message_id = k.newest, last_message_id = k.newest, title_message_id = k.first,
    last_message = left(m.content, 100), last_message_at = m.created_at
FROM (SELECT session_id, count(*) AS amount, max(id) AS newest, min(id) FILTER (WHERE role = 'user') AS first FROM chat_messages GROUP BY 1) k
JOIN chat_messages m ON m.id = k.newest WHERE s.id = k.session_id
"""


def psql(url: str, *statements: str, stdin: IO[bytes] | None = None, stdout: int | None = None) -> subprocess.Popen[bytes]:
    options = [part for statement in statements for part in ("-c", statement)]
    return subprocess.Popen(["psql", url, "-q", "-v", "ON_ERROR_STOP=1", *options], stdin=stdin, stdout=stdout)


def copy(source: str, target: str, select: str, into: str) -> None:
    giving = psql(source, f"COPY ({select}) TO STDOUT", stdout=subprocess.PIPE)
    taking = psql(target, "SET session_replication_role = replica", f"COPY {into} FROM STDIN", stdin=giving.stdout)
    if taking.wait() or giving.wait():
        raise SystemExit("the rows could not be copied")


def main() -> None:
    source, target = sys.argv[1], os.environ["DATABASE_URL"]
    copy(source, target, SESSIONS, "chat_sessions (id, user_id, title, title_from, status, metadata, created_at, updated_at)")
    copy(source, target, MESSAGES, "chat_messages (session_id, user_id, role, content, metadata, status, created_at)")
    tidy = ("VACUUM (FULL, ANALYZE) chat_sessions", "VACUUM (ANALYZE) chat_messages", "CHECKPOINT")
    if psql(target, "SET session_replication_role = replica", KEPT, *tidy).wait():
        raise SystemExit("the counters could not be set")


if __name__ == "__main__":
    main()
