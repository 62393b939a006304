"""How the fault runs speak to the service: as one user, on a connection that is kept, with every answer noted."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any

from bench.streams import token
from tests.faults.history import PATIENCE, Answer, History


@dataclass(slots=True)
class Told:
    """An answer; status 0 is none."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_in_doubt(self) -> bool:
        """Nobody can tell from it whether the thing was done."""
        return self.status == 0 or self.status >= 500

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Client:
    """One user's."""

    def __init__(self, service_url: str, user: str, history: History) -> None:
        self._connection = history.connect(service_url)
        self._token, self._signed_at = "", float("-inf")
        self.user, self._history = user, history

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Told:
        began, at = time.monotonic(), self._history.now()
        told = self._told(method, path, body, key)
        seconds = time.monotonic() - began
        self._history.answered(Answer(at, seconds, told.status, method, body is not None, told.headers.get("retry-after")))
        if seconds >= PATIENCE - 1:
            self._history.breach(f"{method} {path.partition('?')[0]} hung for {seconds:.0f} s")
        elif told.status >= 500 and (told.status != 503 or "retry-after" not in told.headers):
            self._history.breach(f"{method} {path.partition('?')[0]} was answered {told.status} {told.body}")
        return told

    def _told(self, method: str, path: str, body: Any, key: str | None) -> Told:
        headers = {"Authorization": f"Bearer {self._bearer()}", "Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self._connection.getresponse()
            return Told(response.status, json.loads(response.read()), {name.lower(): value for name, value in response.getheaders()})
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()  # the next request opens it anew
            return Told(0)

    def _bearer(self) -> str:
        """Tokens are good for an hour, and a run may be longer."""
        if time.monotonic() - self._signed_at > 600:
            self._token, self._signed_at = token(self.user), time.monotonic()
        return self._token

    def close(self) -> None:
        self._connection.close()
