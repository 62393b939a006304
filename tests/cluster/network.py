"""Several machines on this one: network namespaces on a bridge of their own; where those are not to be had, addresses of loopback."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count

CLIENT = "client"
CLIENTS = 120  # addresses that are asked from: nginx lets each of them ask fifty times a second
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
FOLDER = "/run/netns"


class Net:
    """Machines by name. This process itself stands at the one that is called `client`."""

    def __init__(self, names: list[str], *, apart: bool) -> None:
        self.apart = apart
        self.base = "10.77" if apart else "127.77"
        self._names = [CLIENT, *names]
        self._turn = count()
        self._mark = f"chatsvc-{os.getpid()}"

    @property
    def network(self) -> str:
        return f"{self.base}.0.0/16"

    def address(self, name: str) -> str:
        return f"{self.base}.0.{10 + self._names.index(name)}"

    def source(self) -> str:
        """The next of the addresses that are asked from, in turn."""
        return f"{self.base}.1.{1 + next(self._turn) % CLIENTS}"

    def inside(self, name: str) -> list[str]:
        """What goes before a command that is to run on this machine."""
        return ["ip", "netns", "exec", f"{self._mark}-{name}"] if self.apart else []

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """There, and gone afterwards."""
        if not self.apart:
            yield
            return
        made: list[str] = []
        try:
            self._make("wire", made)
            _ip("-n", f"{self._mark}-wire", "link", "add", "bridge", "type", "bridge")
            _ip("-n", f"{self._mark}-wire", "link", "set", "bridge", "up")
            for name in self._names:
                self._make(name, made)
                self._plug_in(name)
            self._enter(CLIENT)
            yield
        finally:
            for name in reversed(made):
                subprocess.run(["ip", "netns", "del", name], check=False)

    def _make(self, name: str, made: list[str]) -> None:
        space = f"{self._mark}-{name}"
        _ip("netns", "add", space)
        made.append(space)
        _ip("-n", space, "link", "set", "lo", "up")

    def _plug_in(self, name: str) -> None:
        wire, space = f"{self._mark}-wire", f"{self._mark}-{name}"
        _ip("-n", wire, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", wire, "link", "set", name, "master", "bridge", "up")
        own = [f"{self.base}.1.{number}" for number in range(1, CLIENTS + 1)] if name == CLIENT else []
        for address in (self.address(name), *own):
            _ip("-n", space, "addr", "add", f"{address}/16", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")

    def _enter(self, name: str) -> None:
        """This thread, and those that it starts from here on."""
        library = ctypes.CDLL(None, use_errno=True)
        place = os.open(f"{FOLDER}/{self._mark}-{name}", os.O_RDONLY)
        try:
            if library.setns(place, NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(place)


def may_be_apart() -> bool:
    """Whether namespaces can be made here: as root, with iproute2, where the system lets."""
    if os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"chatsvc-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return False
    subprocess.run(["ip", "netns", "del", name], check=True)
    return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
