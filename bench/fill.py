"""Fills the databases of the measurements: the peer's by bench/sql/peers.sql, the product's (migrated, empty) with the same rows.

    python -m bench.fill peers postgresql://…/peers [users]
    python -m bench.fill product postgresql://…/peers postgresql://…/product

Users u1 to u10000 with ten sessions each, u1 with 5,000, one session of 20,000 messages; two million messages in all. The product's rows
are copied without the triggers, and what these would keep is set in one statement; `flask verify` then agrees.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from bench.tools import tool

PEERS = Path(__file__).parent / "sql/peers.sql"
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
    environ = {**os.environ, "PGOPTIONS": "-c role=none"}  # only a superuser may pass by triggers
    return subprocess.Popen([tool("psql"), "-X", url, "-q", "-v", "ON_ERROR_STOP=1", *options], stdin=stdin, stdout=stdout, env=environ)


def copy(source: str, target: str, select: str, into: str) -> None:
    giving = psql(source, f"COPY ({select}) TO STDOUT", stdout=subprocess.PIPE)
    taking = psql(target, "SET session_replication_role = replica", f"COPY {into} FROM STDIN", stdin=giving.stdout)
    if taking.wait() or giving.wait():
        raise SystemExit("the rows could not be copied")


def peers(url: str, users: int) -> None:
    subprocess.run([tool("psql"), "-X", url, "-q", "-v", "ON_ERROR_STOP=1", "-v", f"users={users}", "-f", str(PEERS)], check=True)


def product(source: str, target: str) -> None:
    copy(source, target, SESSIONS, "chat_sessions (id, user_id, title, title_from, status, metadata, created_at, updated_at)")
    copy(source, target, MESSAGES, "chat_messages (session_id, user_id, role, content, metadata, status, created_at)")
    tidy = ("VACUUM (FULL, ANALYZE) chat_sessions", "VACUUM (ANALYZE) chat_messages", "CHECKPOINT")
    if psql(target, "SET session_replication_role = replica", KEPT, *tidy).wait():
        raise SystemExit("the counters could not be set")


def main() -> None:
    what, *given = sys.argv[1:]
    if what == "peers":
        peers(given[0], int(given[1]) if given[1:] else 10_000)
    else:
        product(*given)


if __name__ == "__main__":
    main()
