"""The ledger held against what is there: the rows, the answers, and what readers saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.faults.client import Client
from tests.faults.history import FAIL, OK, OPEN, UNKNOWN, Entry, History, digest
from tests.faults.rows import Message, Rows, Session


def against_rows(history: History, rows: Rows, *, settled: bool) -> Iterator[str]:
    """Acknowledged: one equal row. Refused: none. Unknown: none or one, and one once it has been `settled` by a retry. Nothing else."""
    yield from _of_sessions(history, rows, settled=settled)
    found = [message for of_one in rows.messages.values() for message in of_one]
    rows_of = _grouped(found)
    wanted = Counter[tuple[str, str]]()
    for entry in history.entries:
        if entry.kind != "message":
            continue
        there = rows_of.get((entry.session, digest(entry.content)), [])
        wanted[entry.session, digest(entry.content)] += 1
        yield from _of_message(entry, there, settled=settled)
    for place, there in rows_of.items():
        if place not in wanted:
            yield f"message {there[0].id} of {there[0].session} is in no ledger: {there[0].content[:40]!r}"


def _grouped(messages: list[Message]) -> dict[tuple[str, str], list[Message]]:
    grouped: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        grouped.setdefault((message.session, message.sha256), []).append(message)
    return grouped


def _of_message(entry: Entry, there: list[Message], *, settled: bool) -> Iterator[str]:
    name = f"{entry.outcome} {entry.content[:40]!r} of {entry.session}"
    if entry.outcome == OPEN:
        yield f"{name} was never brought to an end"
    elif entry.outcome == OK and [str(row.id) for row in there] != [entry.id]:
        yield f"LOST OR DOUBLED: {name}, acknowledged as {entry.id}, is there as {[row.id for row in there]}"
    elif entry.outcome == FAIL and there:
        yield f"{name} was refused and is there as {[row.id for row in there]}"
    elif entry.outcome == UNKNOWN and (len(there) > 1 or (settled and entry.key)):
        yield f"{name} is there {len(there)} times" + (" and was not settled" if settled else "")
    for row in there:
        if (row.user, row.role, row.whole) != (entry.user, entry.role, True):
            yield f"{name} is not as it was written: {row.user} {row.role} {'whole' if row.whole else 'removed or unfinished'}"


def _of_sessions(history: History, rows: Rows, *, settled: bool) -> Iterator[str]:
    by_tag: dict[str | None, list[Session]] = {}
    for session in rows.sessions.values():
        by_tag.setdefault(session.tag, []).append(session)
    for entry in history.entries:
        if entry.kind == "session":
            there = by_tag.pop(entry.content, [])
            if entry.outcome == OK and [(one.id, one.user) for one in there] != [(entry.id, entry.user)]:
                yield f"LOST OR DOUBLED: session {entry.content!r}, acknowledged as {entry.id}, is there as {[one.id for one in there]}"
            elif len(there) > 1 or (settled and entry.outcome == UNKNOWN):
                yield f"session {entry.content!r} is there {len(there)} times, {entry.outcome}"
    for tag, there in by_tag.items():
        yield f"session {there[0].id} ({tag}) is in no ledger"
    for id_ in set(rows.messages) - set(rows.sessions):
        yield f"there are messages of session {id_}, which is not there"


def counters(rows: Rows) -> Iterator[str]:
    """What a session keeps about its messages."""
    for session in rows.sessions.values():
        messages = rows.messages[session.id]
        last = messages[-1] if messages else None
        title = next((message.content[:50] for message in messages if message.role == "user"), None)
        wanted = (len(messages), last and last.content[:100], last and last.created_at, title)
        kept = (session.message_count, session.last_message, session.last_message_at, session.title)
        if kept != wanted:
            yield f"COUNTERS: session {session.id} keeps {kept}, its rows say {wanted}"


def order(history: History, rows: Rows) -> Iterator[str]:
    """What was acknowledged before another was begun stands before it."""
    entries = {entry.id: entry for entry in history.entries if entry.kind == "message" and entry.outcome == OK}
    for session, messages in rows.messages.items():
        latest = float("-inf")
        for message in messages:
            entry = entries.get(str(message.id))
            if entry is None:
                continue
            if entry.ended < latest:
                yield f"OUT OF ORDER: message {message.id} of {session} was acknowledged before one that stands above it had been begun"
            latest = max(latest, entry.began)


def seen(history: History, rows: Rows) -> Iterator[str]:
    """Every reader saw, at each position, the message that stands there to this day."""
    for session, saw in history.seen.items():
        there = rows.messages.get(session, [])
        for position, (id_, sha256) in saw.at.items():
            stands = there[position] if position < len(there) else None
            if stands is None or (stands.id, stands.sha256) != (id_, sha256):
                yield f"SEEN: at position {position} of {session} a reader saw message {id_}; {stands.id if stands else 'nothing'} is there"


def over_http(service_url: str, history: History, rows: Rows) -> Iterator[str]:
    """Every session, read by its owner from its first message to its last, is what the rows say."""
    clients = {user: Client(service_url, user, history) for user in {session.user for session in rows.sessions.values()}}
    for session in rows.sessions.values():
        client, found, after = clients[session.user], list[tuple[int, str]](), ""
        while True:
            told = client.ask("GET", f"/api/v1/chat-sessions/{session.id}/messages?page_size=200{after}")
            if not told.is_good:
                yield f"session {session.id} cannot be read: {told.status}"
                break
            found += [(message["id"], digest(message["content"])) for message in told.body["messages"]]
            if not told.body["next_cursor"]:
                break
            after = f"&cursor={told.body['next_cursor']}"
        if found != [(row.id, row.sha256) for row in rows.messages[session.id]]:
            yield f"session {session.id} reads otherwise over HTTP ({len(found)} messages) than its rows ({len(rows.messages[session.id])})"
        kept = client.ask("GET", f"/api/v1/chat-sessions/{session.id}?include_messages=false").body
        if (kept["message_count"], kept["last_message"]) != (session.message_count, session.last_message):
            yield f"session {session.id} says {kept['message_count']} messages over HTTP, {session.message_count} in its row"
    for client in clients.values():
        client.close()
