"""In the place of the network: a resolver that knows what the test says, and a connector that notes every address and opens loopback only."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from chatsvc.responders.net import Call, connect


class Resolver:
    """Names and what they mean, one answer after another, the last one for ever. Addresses mean themselves."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self.names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        return [self._entry(address, port) for address in self._of(host)]

    def _of(self, host: str) -> Sequence[str]:
        if host in self.names:
            answers = self.names[host]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    @staticmethod
    def _entry(address: str, port: int) -> tuple[Any, ...]:
        if ":" in address:
            return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


class Connector:
    """Anything but 127.0.0.1 is noted and refused, so that no test sends anything anywhere."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, int]] = []

    def __call__(self, sock: socket.socket, address: Any, call: Call, until: float | None) -> int:
        self.noted.append(address[:2])
        return connect(sock, address, call, until) if address[0] == "127.0.0.1" else errno.ECONNREFUSED
