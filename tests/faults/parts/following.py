"""Clients that follow a reply to its end whatever happens: taken up again by Last-Event-ID where the connection was lost."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from bench.streams import token

PATIENCE = 90.0


@dataclass
class Follower:
    """One client with one reply; a thread."""

    port: int
    user: str
    message: str
    text: str = ""
    reply_id: int = 0
    last_event: str = "0"
    end: str = ""  # "done", "interrupted", …: the terminal event
    resumed: int = 0
    wrong: list[str] = field(default_factory=list)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._until_the_end, daemon=True)
        self.thread.start()

    def _until_the_end(self) -> None:
        ends_at = time.monotonic() + PATIENCE
        while not self.end and time.monotonic() < ends_at:
            try:
                self._once()
            except (OSError, http.client.HTTPException) as error:
                self.wrong += [f"before the reply was known: {error!r}"] if not self.reply_id else []
            if not self.end:
                self.resumed += bool(self.reply_id)
                time.sleep(0.2)

    def _once(self) -> None:
        connection = self.connected()
        headers = {"Authorization": f"Bearer {token(self.user)}", "Content-Type": "application/json", "Idempotency-Key": f"{self.user}-1"}
        try:
            if self.reply_id:
                connection.request("GET", f"/api/v1/chat/stream/{self.reply_id}", headers={**headers, "Last-Event-ID": self.last_event})
            else:
                connection.request("POST", "/api/v1/chat/stream", json.dumps({"message": self.message}), headers)
            response = connection.getresponse()
            if response.status != 200:
                if response.status != 503 or not response.getheader("Retry-After"):
                    self.wrong.append(f"{response.status} {response.read()[:200]!r}")
                return
            self._read(response)
        finally:
            connection.close()

    def connected(self) -> http.client.HTTPConnection:
        """A connection of its own for each try."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def came(self, name: str) -> None:
        """An event of this name has come."""

    def _read(self, response: http.client.HTTPResponse) -> None:
        name = number = ""
        for line in response:
            field_name, _, value = line.decode().rstrip("\n").partition(": ")
            if field_name == "event":
                name = value
            elif field_name == "id":
                number = value
            elif field_name == "data":
                self.take(name, json.loads(value))
                self.last_event = number
                self.came(name)
            if self.end:
                return

    def take(self, name: str, told: dict[str, Any]) -> None:
        if name == "session":
            self.reply_id = told["reply_id"]
        elif name == "delta":
            self.text += told["content"]
        elif name in ("done", "error"):
            saved = told["assistant_message"]
            kind = "done" if name == "done" else saved["metadata"].get("error", {}).get("kind", "error")
            if saved["content"] != self.text or not self.message.startswith(self.text) or (kind == "done" and self.text != self.message):
                self.wrong.append(f"{kind}: {len(self.text)} characters came, {len(saved['content'])} were saved, of {len(self.message)}")
            self.end = kind


def begun(port: int, users: list[str], words: int) -> list[Follower]:
    """One for each user, each with a message of so many words."""
    found = [Follower(port, user, " ".join(f"w{number}" for number in range(words))) for user in users]
    for one in found:
        one.start()
    return found


def ended(followers: list[Follower]) -> list[str]:
    """Waits for all; what went wrong with any."""
    for one in followers:
        assert one.thread is not None
        one.thread.join(PATIENCE + 30)
    wrong = [f"{one.user}: {what}" for one in followers for what in one.wrong]
    return wrong + [f"{one.user}: reply {one.reply_id} never came to an end" for one in followers if not one.end]
