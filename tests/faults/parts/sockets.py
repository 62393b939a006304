"""Clients with small buffers, and what the system says of a service's connections (Linux)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

SEGMENT = 536  # the least that anybody must take; with large ones the system itself would hold megabytes for each client


def small(port: int) -> socket.socket:
    """A connection that takes a few kilobytes and no more until somebody reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    client.connect(("127.0.0.1", port))
    return client


def reset(client: socket.socket) -> None:
    """Gone at once, without a word of parting."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@dataclass(frozen=True, slots=True)
class Held:
    """The connections at a port that its service has not closed, and those of them in which something waits to be taken."""

    connections: int
    stuck: int


def held(port: int) -> Held:
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        # Neither the listening socket nor what nobody holds any more.
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] != "0A" and fields[9] != "0":
            found.append(int(fields[4].partition(":")[0], 16))
    return Held(len(found), sum(waiting > 0 for waiting in found))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
