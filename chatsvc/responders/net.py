"""The wires: sockets that ask, four times a second, whether the answer is still wanted and whether there is time left.

What a call allows travels with its request, in the place of httpcore2's timeout, and so never stays behind in a pooled connection.
Sockets never block here: they are tried, then polled. That behaves alike under threads, under gevent and under TLS.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpcore2

from chatsvc.responders.addresses import Address, as_address
from chatsvc.responders.base import Kind, ResponderError, Stop

Phase = Literal["connect", "first byte", "body"]
Vet = Callable[[Address], str]
LookUp = Callable[[str, int], Sequence[tuple[Any, ...]]]

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)


class HttpError(ResponderError):
    """A call that failed, with what a responder needs to decide whether to try again. The excerpt is for logs, never for people."""

    def __init__(
        self, kind: Kind, message: str, *, status: int | None = None, retry_after: float | None = None, retryable: bool = False, excerpt: str = ""
    ) -> None:
        super().__init__(kind, message, retry_after=retry_after)
        self.status = status
        self.retryable = retryable  # certain, or as good as, that the other side has not taken it up
        self.excerpt = excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the parts of one call may take, in seconds, and how many bytes its answer may have."""

    total: float
    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    max_bytes: int = 64 * 1024 * 1024


class Call(float):
    """One call: whether it is still wanted, its limits, who is asked and what must not be told. To httpcore2 it is a timeout."""

    def __new__(cls, *_: Any, **__: Any) -> Call:
        return super().__new__(cls, "inf")

    def __init__(self, stop: Stop, limits: Limits, *, name: str = "The server", secrets: Iterable[str] = ()) -> None:
        self.stop = stop
        self.limits = limits
        self.name = name
        self.secrets = set(secrets)
        self.ends_at = time.monotonic() + limits.total
        self.begin("connect")

    def begin(self, phase: Phase) -> None:
        self.phase: Phase = phase
        self.reused = False
        length = {"connect": self.limits.connect, "first byte": self.limits.first_byte, "body": self.limits.idle}[phase]
        self.phase_ends_at = time.monotonic() + length

    def left(self) -> float:
        return self.ends_at - time.monotonic()

    def step(self, until: float | None = None) -> float:
        """How long to wait before asking again; raises when the answer is no longer wanted or its time is up."""
        self.stop.check()
        now = time.monotonic()
        phase_ends_at = self.phase_ends_at if until is None else until
        if now >= self.ends_at:
            raise HttpError("timeout", f"{self.name} did not finish within {self.limits.total:g} s.")
        if now >= phase_ends_at:
            raise HttpError("timeout", self._late())
        return min(self.stop.slice_seconds, phase_ends_at - now, self.ends_at - now)

    def _late(self) -> str:
        if self.phase == "connect":
            return f"{self.name} could not be reached within {self.limits.connect:g} s."
        if self.phase == "first byte":
            return f"{self.name} did not begin to answer within {self.limits.first_byte:g} s."
        return f"{self.name} stopped in the middle of its answer: nothing came for {self.limits.idle:g} s."

    def unreachable(self, why: str, *, retryable: bool = False) -> HttpError:
        return HttpError("unreachable", f"{self.name} could not be reached: {why}.", retryable=retryable)


def call_of(timeout: float | None) -> Call:
    if not isinstance(timeout, Call):
        raise TypeError("these wires are used through chatsvc.responders.http")
    return timeout


def wait_for(sock: socket.socket, seconds: float, *, write: bool = False) -> None:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT if write else select.POLLIN)
    poll.poll(max(1, seconds * 1000))


class Wire(httpcore2.NetworkStream):
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._answered = False  # this connection has carried an answer before

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call = call_of(timeout)
        idle_until = time.monotonic() + call.limits.idle if call.phase == "body" else None
        while True:
            seconds = call.step(idle_until)
            try:
                data = self._sock.recv(max_bytes)
            except WOULD_BLOCK as wants:
                wait_for(self._sock, seconds, write=isinstance(wants, ssl.SSLWantWriteError))
            except OSError as error:
                raise httpcore2.ReadError(type(error).__name__) from None
            else:
                self._answered = self._answered or bool(data)
                time.sleep(0)  # under gevent a flood would hold up every other greenlet
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        call = call_of(timeout)
        if call.phase == "connect":
            call.begin("first byte")
            call.reused = self._answered
        view = memoryview(buffer)
        while view:
            seconds = call.step()
            try:
                view = view[self._sock.send(view) :]
            except WOULD_BLOCK as wants:
                wait_for(self._sock, seconds, write=not isinstance(wants, ssl.SSLWantReadError))
            except OSError as error:
                raise httpcore2.WriteError(type(error).__name__) from None

    def close(self) -> None:
        self._sock.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> Wire:
        call = call_of(timeout)
        try:
            secure = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname, do_handshake_on_connect=False)
            self._sock = secure
            while True:
                seconds = call.step()
                try:
                    secure.do_handshake()
                except WOULD_BLOCK as wants:
                    wait_for(secure, seconds, write=isinstance(wants, ssl.SSLWantWriteError))
                else:
                    return self
        except ssl.SSLCertVerificationError:
            self.close()
            raise call.unreachable("its certificate is not trusted") from None
        except (OSError, ValueError):
            self.close()
            raise call.unreachable("no secure connection could be made") from None
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if info == "is_readable":  # asked of idle connections: readable means that the other side has hung up
            if self._sock.fileno() < 0:
                return True
            poll = select.poll()
            poll.register(self._sock.fileno(), select.POLLIN)
            return bool(poll.poll(0))
        return None


def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """What the system knows of a name."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def resolve(host: str, port: int, call: Call, ask: LookUp = look_up) -> list[tuple[Any, ...]]:
    """The addresses of a host. The system's resolver cannot be stopped, so a thread waits for it and we watch the thread."""
    found: list[tuple[Any, ...]] = []
    done = threading.Event()

    def find() -> None:
        try:
            found.extend(ask(host, port))
        except (OSError, UnicodeError):
            pass  # nothing found is answer enough
        finally:
            done.set()

    try:
        ipaddress.ip_address(host)
    except ValueError:
        threading.Thread(target=find, name="resolve", daemon=True).start()
        while not done.wait(call.step()):
            pass
    else:
        find()
    if not found:
        raise call.unreachable("its name is not known")
    return found


def connect(sock: socket.socket, address: Any, call: Call, until: float | None) -> int:
    """Connects within the call's limits; `until` bounds one address of several. 0, or the system's error number."""
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code not in IN_PROGRESS:
        return code
    while True:
        seconds = call.step()
        if until is not None:
            if time.monotonic() >= until:
                return errno.ETIMEDOUT
            seconds = min(seconds, until - time.monotonic())
        wait_for(sock, seconds, write=True)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return code
        try:
            sock.getpeername()
        except OSError:
            continue
        return 0


Connect = Callable[[socket.socket, Any, Call, float | None], int]


class Wires(httpcore2.NetworkBackend):
    """Makes connections, to those addresses only that `vet` has nothing against: to the very ones that it saw, not to the name again."""

    def __init__(self, vet: Vet | None = None, look_up: LookUp = look_up, connect: Connect = connect) -> None:
        self._vet = vet
        self._look_up = look_up
        self._connect = connect

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Iterable[Any] | None = None
    ) -> Wire:
        call = call_of(timeout)
        addresses = resolve(host, port, call, self._look_up)
        for why in (self._vet(as_address(address[0])) for *_, address in addresses if self._vet):
            if why:  # one such among several is enough: it would be the one connected to some day
                raise call.unreachable(f"its address is {why}, which is not allowed")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            share = max(0.0, call.phase_ends_at - time.monotonic()) / (len(addresses) - number)
            last = number == len(addresses) - 1
            sock = socket.socket(family, kind, protocol)
            try:
                code = self._connect(sock, address, call, None if last else time.monotonic() + share)
            except BaseException:
                sock.close()
                raise
            if code == 0:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return Wire(sock)
            sock.close()
        refused = code == errno.ECONNREFUSED
        raise call.unreachable("connection refused" if refused else os.strerror(code).lower(), retryable=refused)
