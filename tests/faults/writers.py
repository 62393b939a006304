"""Those who write: an intent on disk, the request, its outcome on disk; never two things at once."""

from __future__ import annotations

import random
import threading
import uuid
from typing import Any

from tests.faults.client import Client, Told
from tests.faults.history import FAIL, OK, UNKNOWN, Entry, History, Journal, digest

MESSAGES_OF_A_SESSION = 250
SESSIONS_AT_ONCE = 2  # few, so that writers meet in them
TOO_LONG = 10_001
LETTERS = "abcdefgh  ijklm nopq\nrst  uvwxyz äß中文🌿e\u0301 \u202e'\"\\%_<&"


class Desk:
    """The sessions of one user that are written to at the moment, and all that there were."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.lock = threading.Lock()
        self.open: dict[str, int] = {}
        self.all: list[str] = []

    def take(self, chance: random.Random) -> str | None:
        """A session to write to; none when a new one is due."""
        with self.lock:
            if len(self.open) < SESSIONS_AT_ONCE:
                return None
            session = chance.choice(list(self.open))
            self.open[session] += 1
            if self.open[session] >= MESSAGES_OF_A_SESSION:
                del self.open[session]
            return session

    def bring(self, session: str) -> None:
        with self.lock:
            self.open[session] = 0
            self.all.append(session)

    def any(self, chance: random.Random) -> str | None:
        """Those of late mostly: what is being written to is what can be seen half done."""
        with self.lock:
            known = list(self.all)
        return chance.choice(known[-4:] if chance.random() < 0.8 else known) if known else None


class Writer(threading.Thread):
    """One of several of the same user."""

    def __init__(self, number: int, service_url: str, desk: Desk, others: list[Desk], history: History, pause: float) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.chance = random.Random(f"{history.seed} writer {number}")
        self.desk, self.others, self.history, self.pause = desk, others, history, pause
        self.client = Client(service_url, desk.user, history)
        self.journal = Journal(history.folder / f"writer-{number}.jsonl")
        self.number, self.count = number, 0
        self.leave = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.leave.is_set():
                entry = self._next()
                told = self.do(entry)
                if entry.outcome == UNKNOWN and (entry.kind == "session" or self.chance.random() < 0.5):
                    self._until_known(entry)  # as a client does that wants to know; the others are asked about at the end
                if told.is_in_doubt or told.status == 409:
                    self.leave.wait(self.chance.uniform(0.02, 0.2))
                if self.pause:
                    self.leave.wait(self.chance.uniform(0, 2 * self.pause))
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self.client.close()

    def _next(self) -> Entry:
        self.count += 1
        tag = f"{self.desk.user} w{self.number} n{self.count}"
        key = None if self.chance.random() < 0.15 else str(uuid.UUID(int=self.chance.getrandbits(128)))
        session = self.desk.take(self.chance)
        if session is None:
            return Entry("session", self.desk.user, tag, tag, "", key or tag.replace(" ", "-"), "v1", True)
        kind, allowed = self.chance.random(), True
        content = f"{tag} " + "".join(self.chance.choices(LETTERS, k=self.chance.choice((0, 5, 40, 120, 120, 600))))
        if kind < 0.01:
            content, allowed = content.ljust(TOO_LONG, "x"), False
        elif kind < 0.03 and (foreign := self.chance.choice(self.others).any(self.chance)):
            session, allowed = foreign, False
        role, face = self.chance.choice(("user", "assistant")), self.chance.choice(("v1", "app"))
        return Entry("message", self.desk.user, session, content, role, key, face, allowed)

    def do(self, entry: Entry) -> Told:
        """Once: the intent, the request, the outcome."""
        again = entry.outcome == UNKNOWN
        if not again:
            entry.began = self.history.now()
            self.history.add(entry)
        line = {"key": entry.key, "session": entry.session, "user": entry.user, "role": entry.role, "face": entry.face, "sha256": digest(entry.content)}
        self.journal.write(at=self.history.now(), does="intent", what=entry.kind, again=again, tag=entry.content[:40], allowed=entry.allowed, **line)
        told = self.client.ask("POST", *_request(entry), key=entry.key)
        entry.ended = self.history.now()
        self._note(entry, told, again)
        self.journal.write(at=entry.ended, does=entry.outcome, status=told.status, id=entry.id, key=entry.key)
        return told

    def _note(self, entry: Entry, told: Told, again: bool) -> None:
        if told.is_good:
            entry.outcome, entry.id = OK, str(told.body.get("_id") or told.body["id"])
            if not entry.allowed:
                self.history.breach(f"LET IN: {entry.user} where they must not be: {entry.content[:40]!r} in {entry.session}")
            if entry.kind == "session":
                entry.session = entry.id
                self.desk.bring(entry.id)
            elif told.body["content"] != entry.content:
                self.history.breach(f"message {entry.id} was acknowledged with another content than was sent")
            self.history.acknowledge(entry)
        elif told.is_in_doubt or told.status == 409:  # 409: the first try with this key is still under way
            entry.outcome = UNKNOWN
        else:
            entry.outcome = FAIL
            if entry.allowed or told.status not in (400, 404):
                self.history.breach(f"{'a retry' if again else 'a message'} of {entry.user} in {entry.session} was answered {told.status} {told.body}")

    def _until_known(self, entry: Entry) -> None:
        while entry.key and entry.outcome == UNKNOWN and not self.leave.wait(self.chance.uniform(0.02, 0.2)):
            self.do(entry)

    def settle(self, entry: Entry) -> None:
        """At the end: with its key, until it is known what became of it."""
        self.leave.clear()
        for _ in range(100):
            if entry.outcome != UNKNOWN:
                return
            self.do(entry)
            self.leave.wait(0.02 if entry.outcome != UNKNOWN else 0.3)
        self.history.breach(f"a retry of {entry.content[:40]!r} is not answered")


def _request(entry: Entry) -> tuple[str, dict[str, Any]]:
    if entry.kind == "session":
        return "/api/v1/chat-sessions", {"agent_type": None, "metadata": {"ledger": entry.content}}
    if entry.face == "app":
        return f"/chat/sessions/{entry.session}/messages", {"content": entry.content, "role": entry.role}
    return f"/api/v1/chat-sessions/{entry.session}/messages", {"content": entry.content, "message_type": entry.role}
