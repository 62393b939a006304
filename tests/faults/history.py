"""The ledger itself: what was about to be asked, and what came of it, on disk before anything else happens."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# What is known of an intent: it is under way, was acknowledged, was refused, or nobody knows whether it was done.
OPEN, OK, FAIL, UNKNOWN = "open", "ok", "fail", "unknown"


Connect = Callable[[str], http.client.HTTPConnection]  # a connection to the service of this URL

PATIENCE = 30.0  # seconds; an answer that takes longer is none


def plain(service_url: str) -> http.client.HTTPConnection:
    parts = urlsplit(service_url)
    return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=PATIENCE)


def digest(content: str) -> str:
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()


@dataclass(slots=True)
class Entry:
    """One thing that a writer meant to do."""

    kind: str  # "session" or "message"
    user: str
    session: str  # the session's id; of a session, its tag, until its id is known
    content: str  # of a session: its tag
    role: str
    key: str | None
    face: str
    allowed: bool  # false: it must be refused (somebody else's session, too long)
    began: float = 0.0
    ended: float = float("inf")
    outcome: str = OPEN
    id: str = ""


@dataclass(slots=True)
class Answer:
    """One answer that anybody had."""

    at: float
    seconds: float
    status: int  # 0: none
    method: str
    writes: bool
    retry_after: str | None


class Journal:
    """Lines of JSON that are on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii")

    def write(self, **line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


@dataclass
class Seen:
    """What all readers have seen of one session: for each position the message that stood there first."""

    at: dict[int, tuple[int, str]] = field(default_factory=dict)


class History:
    """All intents, answers and observations of a run; shared by its threads."""

    def __init__(self, folder: Path, seed: int, connect: Connect = plain) -> None:
        self.folder, self.seed, self.connect = folder, seed, connect
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.entries: list[Entry] = []
        self.answers: list[Answer] = []
        self.seen: dict[str, Seen] = {}
        self.breaches: list[str] = []
        self.acknowledged = Counter[str]()  # messages, by session
        self.reads = 0

    def now(self) -> float:
        return time.monotonic() - self.began

    def breach(self, what: str) -> None:
        with self.lock:
            self.breaches.append(what)

    def add(self, entry: Entry) -> None:
        with self.lock:
            self.entries.append(entry)

    def answered(self, answer: Answer) -> None:
        with self.lock:
            self.answers.append(answer)

    def acknowledge(self, entry: Entry) -> None:
        if entry.kind == "message" and entry.allowed:
            with self.lock:
                self.acknowledged[entry.session] += 1

    def observe(self, session: str, first: int, messages: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
        """Holds what was read against what anybody read before; what had not been seen before comes back."""
        new = []
        with self.lock:
            self.reads += 1
            seen = self.seen.setdefault(session, Seen()).at
            for position, message in enumerate(messages, first):
                known = seen.setdefault(position, message)
                if known is message:
                    new.append((position, *message))
                elif known != message:
                    self.breaches.append(f"at position {position} of {session} a reader saw message {message[0]}, and another time message {known[0]}")
        return new
