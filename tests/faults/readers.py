"""Those who read: by every way that there is, each message with the position at which it stood."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.faults.client import Client
from tests.faults.history import History, Journal, digest
from tests.faults.writers import Desk


class Reader(threading.Thread):
    """One of a user's, who sometimes tries somebody else's."""

    def __init__(self, number: int, service_url: str, desk: Desk, others: list[Desk], history: History, pause: float) -> None:
        super().__init__(name=f"reader-{number}", daemon=True)
        self.chance = random.Random(f"{history.seed} reader {number}")
        self.desk, self.others, self.history, self.pause = desk, others, history, pause
        self.client = Client(service_url, desk.user, history)
        self.journal = Journal(history.folder / f"reader-{number}.jsonl")
        self.leave = threading.Event()
        self.failed: BaseException | None = None
        ways: list[tuple[Callable[[str], None], int]] = [
            *((self.oldest_first, 3), (self.newest_first, 3), (self.thread, 4), (self.on_the_app_face, 2), (self.by_cursor, 1), (self.own_list, 1)),
        ]
        self._ways, self._weights = [way for way, _ in ways], [weight for _, weight in ways]

    def run(self) -> None:
        try:
            while not self.leave.wait(self.chance.uniform(0, 2 * self.pause)):
                session = self.desk.any(self.chance)
                if session is None:
                    time.sleep(0.05)
                elif self.chance.random() < 0.05:
                    self.somebody_elses()
                else:
                    self.chance.choices(self._ways, self._weights)[0](session)
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self.client.close()

    def oldest_first(self, session: str) -> None:
        size, page = self.chance.choice((20, 50, 200)), self.chance.randint(1, 3)
        owed = self.history.acknowledged[session]
        body = self._read(session, f"/api/v1/chat-sessions/{session}/messages?page={page}&page_size={size}")
        if body:
            self._saw(session, size * (page - 1), body["messages"], total=body["total"], owed=owed)

    def newest_first(self, session: str) -> None:
        owed = self.history.acknowledged[session]
        body = self._read(session, f"/api/v1/chat-sessions/{session}/messages?order=desc&page_size={self.chance.choice((10, 200))}")
        if body:
            self._saw(session, body["total"] - len(body["messages"]), body["messages"][::-1], total=body["total"], owed=owed)

    def thread(self, session: str) -> None:
        """The session with its newest messages: its counter and its preview are those of the same moment."""
        owed = self.history.acknowledged[session]
        body = self._read(session, f"/api/v1/chat-sessions/{session}")
        if not body:
            return
        count, messages = body["message_count"], body["messages"]
        self._saw(session, count - len(messages), messages, total=count, owed=owed)
        last = messages[-1]["content"][:100] if messages else None
        if body["last_message"] != last or body["last_message_at"] != (messages[-1]["created_at"] if messages else None):
            self.history.breach(f"the preview of {session} was not that of its newest message, {messages[-1]['id'] if messages else 'none'}")
        if not body["has_more_messages"] and count != len(messages):
            self.history.breach(f"{session} said that it had {count} messages and showed {len(messages)}")

    def on_the_app_face(self, session: str) -> None:
        messages = self._read(session, f"/chat/sessions/{session}/messages?limit=200")
        if messages:
            strangers = {message["user_id"] for message in messages} - {self.desk.user}
            if strangers:
                self.history.breach(f"{self.desk.user} saw messages of {strangers}")
            self._saw(session, 0, messages)

    def by_cursor(self, session: str) -> None:
        """Page after page while others write: none twice, none skipped."""
        path, first = f"/api/v1/chat-sessions/{session}/messages?page_size=40", 0
        after = ""
        while body := self._read(session, path + after):
            self._saw(session, first, body["messages"])
            first += len(body["messages"])
            if not body["next_cursor"]:
                return
            after = f"&cursor={body['next_cursor']}"

    def own_list(self, _: str) -> None:
        body = self._read("", "/api/v1/chat-sessions?page_size=100")
        for one in body["sessions"] if body else []:
            if one["user_id"] != self.desk.user or not str(one["metadata"].get("ledger")).startswith(f"{self.desk.user} "):
                self.history.breach(f"{self.desk.user} saw a session of {one['user_id']}")

    def somebody_elses(self) -> None:
        session = self.chance.choice(self.others).any(self.chance)
        if session:
            for path in (f"/api/v1/chat-sessions/{session}", f"/chat/sessions/{session}/messages"):
                told = self.client.ask("GET", path)
                if not told.is_in_doubt and told.status != 404:
                    self.history.breach(f"LET IN: {self.desk.user} asked for a session of somebody else and was answered {told.status}")

    def _read(self, session: str, path: str) -> Any:
        told = self.client.ask("GET", path)
        if told.is_in_doubt:
            self.leave.wait(0.1)
            return None
        if not told.is_good:
            self.history.breach(f"{self.desk.user} asked for {session or path} and was answered {told.status}")
            return None
        return told.body

    def _saw(self, session: str, first: int, messages: list[dict[str, Any]], *, total: int | None = None, owed: int = 0) -> None:
        if total is not None and total < owed:
            self.history.breach(f"{session} had {total} messages after {owed} had been acknowledged")
        for message in messages:
            if not message["content"].startswith(f"{self.desk.user} "):
                self.history.breach(f"{self.desk.user} saw what somebody else had written: {message['content'][:40]!r}")
        found = [(int(message.get("id") or message["_id"]), digest(message["content"])) for message in messages]
        if new := self.history.observe(session, first, found):
            self.journal.write(at=self.history.now(), session=session, saw=new)
