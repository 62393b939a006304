"""How people reach the service: over TLS and nginx, from addresses of their own, or one machine of it by itself."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jwt

from bench.streams import SECRET
from tests.cluster.hosts import Host
from tests.cluster.network import Net
from tests.cluster.servers import NAME, Nginx
from tests.faults.parts.following import Follower

Connect = Callable[[], http.client.HTTPConnection]
PATIENCE = 30.0
SAVED_WITHIN = 0.5


class OverTls(http.client.HTTPSConnection):
    """To the name of the certificate, wherever nginx is."""

    def __init__(self, nginx: Nginx, net: Net) -> None:
        super().__init__(NAME, timeout=PATIENCE)
        self._place, self._source, self._trusts = (nginx.address, nginx.port), net.source(), trusting(nginx.certificate)

    def connect(self) -> None:
        plain = socket.create_connection(self._place, PATIENCE, (self._source, 0))
        self.sock = self._trusts.wrap_socket(plain, server_hostname=NAME)


@cache
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def through(nginx: Nginx, net: Net) -> Callable[[str], http.client.HTTPConnection]:
    """For the ledger, which names a URL."""
    return lambda _: OverTls(nginx, net)


def straight(host: Host) -> Connect:
    return lambda: http.client.HTTPConnection(host.address, host.port, timeout=PATIENCE)


@cache
def bearer(user: str, role: str = "USER") -> str:
    return jwt.encode({"sub": user, "role": role, "exp": int(time.time()) + 3600}, SECRET, "HS256")


class Person:
    """Somebody with a connection to each of several doors, who says which one they take."""

    def __init__(self, user: str, *doors: Connect, role: str = "USER") -> None:
        self.user, self._role = user, role
        self._doors = [door() for door in doors]

    def ask(self, door: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body; 0 where the connection was lost."""
        connection = self._doors[door % len(self._doors)]
        headers = {"Authorization": f"Bearer {bearer(self.user, self._role)}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()
            return 0, None

    def session(self, door: int, title: str) -> str:
        for _ in range(20):  # as a client does that is told to come back
            status, body = self.ask(door, "POST", "/api/v1/chat-sessions", {"title": title, "agent_type": None})
            if status == 201:
                return str(body["id"])
            if status != 503:
                break
            time.sleep(0.5)
        raise SystemExit(f"a session could not be made: {status} {body}")

    def close(self) -> None:
        for connection in self._doors:
            connection.close()


class Mover(Follower):
    """A follower who is cut off after so many pieces (0: never on purpose), and takes the stream up again at the next door."""

    def __init__(self, doors: list[Connect], user: str, message: str, *, cut_after: int = 0) -> None:
        super().__init__(0, user, message)
        self._doors, self._turn, self._cut_after, self._pieces = doors, 0, cut_after, 0
        self._told: list[tuple[float, int]] = []
        self._saved = 0

    def connected(self) -> http.client.HTTPConnection:
        self._turn += 1
        return self._doors[(self._turn - 1) % len(self._doors)]()

    def came(self, name: str) -> None:
        self._pieces += name == "delta"
        self._told.append((time.monotonic(), len(self.text)))
        if self._cut_after and name == "delta" and self._pieces % self._cut_after == 0:
            raise ConnectionResetError("cut off on purpose")

    def take(self, name: str, told: dict[str, Any]) -> None:
        """Of a reply whose machine was killed, what was told in the last moment may not have been saved."""
        if name == "error":
            saved = told["assistant_message"]
            self.end, self._saved = saved["metadata"].get("error", {}).get("kind", "error"), len(saved["content"])
            if not self.message.startswith(saved["content"]):
                self.wrong.append("what was saved is not what was written")
        else:
            super().take(name, told)

    def lost(self, killed_at: float) -> bool:
        """Whether what had come half a second before that is missing from what was saved."""
        return self.end == "interrupted" and self._saved < max((length for at, length in self._told if at <= killed_at - SAVED_WITHIN), default=0)
