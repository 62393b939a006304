"""Whether the servers give the same answers: what is compared for speed must be the same work."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime
from typing import Any

from bench.people import Person
from bench.servers import Server

SESSION = ("id", "title", "last_message", "message_count", "is_active", "metadata", "created_at", "updated_at", "last_message_at")
LIST = ("total", "page", "page_size", "total_pages")
MESSAGE = ("session_id", "content", "metadata", "created_at")
CONTENT = "Is this said to both? äöü 你好 🌱"

Answer = dict[str, Any]


def answers(server: Server, callers: list[Person]) -> list[Answer]:
    """What this server says to each of them, in all three kinds; names that differ made the same."""
    return [part for person in callers for part in _answers(server, person)]


def compare(one: list[Answer], other: list[Answer]) -> None:
    """Exits at the first difference."""
    for mine, theirs in zip(one, other, strict=True):
        found = _difference(mine, theirs)
        if found:
            raise SystemExit(f"the servers' answers differ: {found}")


def _answers(server: Server, person: Person) -> list[Answer]:
    def ask(path: str, session: str = "", body: Answer | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path.replace('{id}', session)}", sent, headers)
        with urllib.request.urlopen(asked, timeout=10) as response:
            found: Answer = json.load(response)
        return found

    face = server.face
    listed, read = ask(face.list), ask(face.read, person.reads)
    appended = ask(face.append, person.appends, face.body(CONTENT))
    after = ask(face.read, person.appends)
    assert "agent_type" in read, "each session names its agent"  # whose default is each server's own
    written = {"content": appended["content"], "role": appended[face.role], "session_id": appended["session_id"], "metadata": appended["metadata"]}
    counted = {name: after[name] for name in ("title", "message_count", "last_message")}
    return [
        {**_only(listed, LIST), "sessions": [_only(row, SESSION) for row in listed["sessions"]]},
        {**_only(read, SESSION), "messages": [_message(row, face.role) for row in read["messages"]]},
        {**written, **counted, "newest": after["messages"][-1]["content"], "in_order": _ascending(after["messages"])},
    ]


def _message(row: Answer, role: str) -> Answer:
    return {**_only(row, MESSAGE), "role": row[role]}


def _only(row: Answer, names: tuple[str, ...]) -> Answer:
    """These fields; times as moments, since +00:00 and Z mean the same."""
    return {name: datetime.fromisoformat(row[name]) if name.endswith("_at") and row[name] else row[name] for name in names}


def _ascending(rows: list[Answer]) -> bool:
    numbers = [row["id"] for row in rows]
    return numbers == sorted(numbers)


def _difference(mine: Any, theirs: Any, where: str = "") -> str:
    """The first field in which they differ, and how."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        return next((found for name in mine if (found := _difference(mine[name], theirs[name], f"{where}.{name}"))), "")
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        return next((found for number, pair in pairs if (found := _difference(*pair, f"{where}[{number}]"))), "")
    return "" if mine == theirs else f"{where.lstrip('.')} is {mine!r} and {theirs!r}"
