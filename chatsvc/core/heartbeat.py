"""What a process that writes replies tells the database, and asks it, a few times a second: one statement each, for all its replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection as Unit
from sqlalchemy import TextClause, text

from chatsvc.core.database import read, unit
from chatsvc.core.rows import AnyRow
from chatsvc.extensions import db

# Values travel as one JSON document, since a list of a thousand has no other form that both engines read.
ALIVE = {
    "postgresql": "INSERT INTO workers (id) VALUES (:id) ON CONFLICT (id) DO UPDATE SET seen_at = now()",
    "sqlite": "INSERT INTO workers (id) VALUES (:id) ON CONFLICT (id) DO UPDATE SET seen_at = strftime('%Y-%m-%d %H:%M:%f','now') || '000'",
}
# A piece that is there already is one whose commit was not heard of; this one begins where it does and is at least as long. The key is
# called by its name, since where messages are in partitions it names their owner too (docs/scaling.md).
PIECES = {
    "postgresql": """INSERT INTO reply_chunks (message_id, at, user_id, text)
        SELECT m.id, v.at, m.user_id, v.text FROM json_to_recordset(CAST(:rows AS json)) AS v(id bigint, at int, text text)
        JOIN chat_messages m ON m.id = v.id AND m.status = 'streaming' AND m.worker_id = :worker
        ON CONFLICT ON CONSTRAINT pk_reply_chunks DO UPDATE SET text = excluded.text""",
    "sqlite": """INSERT INTO reply_chunks (message_id, at, user_id, text)
        SELECT m.id, v.value ->> 'at', m.user_id, v.value ->> 'text' FROM json_each(:rows) AS v
        JOIN chat_messages m ON m.id = (v.value ->> 'id') AND m.status = 'streaming' AND m.worker_id = :worker WHERE true
        ON CONFLICT (message_id, at) DO UPDATE SET text = excluded.text""",
}
# Only those that need anything done come back; of a thousand that is usually none.
STOPS = {
    "postgresql": """SELECT v.id, m.cancel_requested_at IS NOT NULL AS cancel FROM json_to_recordset(CAST(:rows AS json)) AS v(id bigint)
        LEFT JOIN chat_messages m ON m.id = v.id AND m.status = 'streaming' AND m.worker_id = :worker
        WHERE m.id IS NULL OR m.cancel_requested_at IS NOT NULL""",
    "sqlite": """SELECT v.value ->> 'id' AS id, m.cancel_requested_at IS NOT NULL AS cancel FROM json_each(:rows) AS v
        LEFT JOIN chat_messages m ON m.id = (v.value ->> 'id') AND m.status = 'streaming' AND m.worker_id = :worker
        WHERE m.id IS NULL OR m.cancel_requested_at IS NOT NULL""",
}
NEWS = {
    "postgresql": """SELECT c.message_id, c.at, c.text FROM json_to_recordset(CAST(:rows AS json)) AS v(id bigint, at int)
        JOIN reply_chunks c ON c.message_id = v.id AND c.at >= v.at ORDER BY c.message_id, c.at""",
    "sqlite": """SELECT c.message_id, c.at, c.text FROM json_each(:rows) AS v
        JOIN reply_chunks c ON c.message_id = (v.value ->> 'id') AND c.at >= (v.value ->> 'at') ORDER BY c.message_id, c.at""",
}


@unit
def tick(tx: Unit, worker_id: str, pieces: Sequence[Mapping[str, Any]], reply_ids: Sequence[int]) -> dict[int, bool]:
    """I am alive, this is new; which of mine am I to stop (True), and which are no longer mine (False)?"""
    tx.execute(_for_engine(ALIVE), {"id": worker_id})
    if pieces:
        tx.execute(_for_engine(PIECES), {"rows": _document(pieces), "worker": worker_id})
    if not reply_ids:
        return {}
    rows = _document([{"id": reply_id} for reply_id in reply_ids])
    return {row.id: bool(row.cancel) for row in tx.execute(_for_engine(STOPS), {"rows": rows, "worker": worker_id})}


def news(known: Mapping[int, int]) -> Sequence[AnyRow]:
    """The saved pieces of these replies beyond what is known of each."""
    return read(_for_engine(NEWS), {"rows": _document([{"id": reply_id, "at": at} for reply_id, at in known.items()])})


def _for_engine(statements: Mapping[str, str]) -> TextClause:
    return text(statements[db.engine.dialect.name])


def _document(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
