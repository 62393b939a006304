"""One way out for every responder: a POST whose answer is read in pieces, within limits, stopped at once when no longer wanted.

No redirects, no proxies of the environment, no cookies, no decompression: what is not read here cannot go wrong here.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import logging
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpcore2
import httpx2

from chatsvc.responders.base import ResponderError
from chatsvc.responders.net import Call, HttpError, Limits, Wires
from chatsvc.responders.text import excerpt_of

__all__ = ["Call", "Client", "HttpError", "Limits", "Response", "address", "shared"]

log = logging.getLogger(__name__)

# Stands around every question that goes out, until the answer begins; whoever traces puts another one here.
Around = Callable[[httpx2.URL], contextlib.AbstractContextManager[dict[str, str | int]]]
around: Around = lambda _url: contextlib.nullcontext({})  # noqa: E731

USER_AGENT = "chatsvc (+responders)"
HOST = re.compile(rb"[A-Za-z0-9._:-]+")
EXCERPT_BYTES = 4096
JSON_BYTES = 4 * 1024 * 1024
MARKS = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and white space
BUILTIN = {"accept-encoding": "identity", "user-agent": USER_AGENT}

REFUSALS = {
    401: "did not accept the service's credentials",
    403: "did not accept the service's credentials",
    404: "does not exist at the configured address",
    408: "gave up waiting",
    413: "found the conversation too long",
    429: "is busy",
    503: "is not available at the moment",
    529: "is busy",
}


def address(url: str, path: str = "", *, without: str = "") -> httpx2.URL:
    """A configured URL with a path added before its query (in place of an ending); ValueError, without the URL, for what is none."""
    try:
        whole = httpx2.URL(url.strip())
        port = whole.port
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise ValueError("must be an http or https URL") from None
    if whole.scheme not in ("http", "https") or not HOST.fullmatch(whole.raw_host) or not 0 < (1 if port is None else port) < 65536:
        raise ValueError("must be an http or https URL")
    before = whole.raw_path.partition(b"?")[0].decode("ascii").rstrip("/").removesuffix(without)
    return whole.copy_with(path=before + path, fragment=None)


def retry_after(value: str | None) -> float | None:
    """Seconds, of either form of the header."""
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


class Response:
    """An answer whose headers have come. Use it with `with`: what has not been read by then is dropped with its connection."""

    def __init__(self, raw: httpcore2.Response, call: Call) -> None:
        self._raw = raw
        self.call = call
        self.status = raw.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw.headers}
        self._pieces: Iterator[bytes] = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._raw.close()

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def pieces(self) -> Iterator[bytes]:
        """The body, as it comes; a second call goes on where the first stopped."""
        return self._pieces

    def _read(self) -> Iterator[bytes]:
        call, size = self.call, 0
        with told(call, answered=True):
            for piece in self._raw.iter_stream():
                size += len(piece)
                if size > call.limits.max_bytes:
                    raise HttpError("bad_response", f"{call.name} sent more than {call.limits.max_bytes} bytes.")
                if call.phase != "body":
                    call.begin("body")
                yield piece

    def peek(self) -> bytes:
        """The first byte that means something, the body left unread: what a body is, itself tells better than its content type."""
        head = b""
        for piece in self._pieces:
            head += piece
            if head.strip(MARKS) or len(head) > 1024:
                break
        self._pieces = itertools.chain([head], self._pieces)
        return head.lstrip(MARKS)[:1]

    def read(self, limit: int = JSON_BYTES) -> bytes:
        """What is left of the body, in one."""
        parts, size = [], 0
        for piece in self._pieces:
            size += len(piece)
            if size > limit:
                raise HttpError("bad_response", f"{self.call.name} sent more than {limit} bytes.")
            parts.append(piece)
        return b"".join(parts)

    def hurry(self, seconds: float) -> None:
        """The rest may take no longer than this."""
        self.call.ends_at = min(self.call.ends_at, time.monotonic() + seconds)

    def drain(self, seconds: float = 0.1, limit: int = 64 * 1024) -> None:
        """Reads what little may be left, so that the connection can be used again."""
        self.hurry(seconds)
        with contextlib.suppress(ResponderError):
            for piece in self._pieces:
                limit -= len(piece)
                if limit < 0:
                    return

    def beginning(self) -> bytes:
        """The first few bytes of a body that nobody wants, if they come soon."""
        ends_at, parts, size = self.call.ends_at, [], 0
        self.hurry(1.0)
        with contextlib.suppress(ResponderError):
            for piece in self._pieces:
                parts.append(piece)
                size += len(piece)
                if size >= EXCERPT_BYTES:
                    break
        self.call.ends_at = ends_at
        return b"".join(parts)[:EXCERPT_BYTES]


@contextlib.contextmanager
def told(call: Call, *, answered: bool = False) -> Iterator[None]:
    """Puts what httpcore2 raises into people's words."""
    try:
        yield
    except (httpcore2.NetworkError, httpcore2.RemoteProtocolError) as error:
        if answered:
            raise HttpError("bad_response", f"{call.name} broke off in the middle of its answer.") from None
        hung_up = isinstance(error, httpcore2.NetworkError) or "disconnected" in str(error)
        if hung_up:
            raise call.unreachable("it closed the connection without an answer", retryable=call.reused) from None
        raise HttpError("bad_response", f"{call.name} sent something that is not HTTP.") from None
    except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol):
        raise HttpError("bad_response", f"{call.name} cannot be asked in this way.") from None


class Client:
    """A pool of connections. One of a process serves its own models; one whose wires are particular serves addresses that personas name."""

    def __init__(self, *, wires: Wires | None = None, ssl_context: ssl.SSLContext | None = None, keepalive: float = 15.0) -> None:
        self._wires = wires or Wires()
        self._ssl_context = ssl_context
        self._keepalive = keepalive
        self._pool: httpcore2.ConnectionPool | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def _connections(self) -> httpcore2.ConnectionPool:
        """Made on first use and once per process: connections do not survive a fork."""
        with self._lock:
            if self._pool is None or self._owner != os.getpid():
                self._pool = httpcore2.ConnectionPool(
                    ssl_context=self._ssl_context or httpx2.create_ssl_context(trust_env=False),
                    max_connections=None,  # bounded by those who ask; waiting for a place could not be stopped
                    max_keepalive_connections=20 if self._keepalive else 0,
                    keepalive_expiry=self._keepalive,
                    network_backend=self._wires,
                )
                self._owner = os.getpid()
            return self._pool

    def post(self, url: httpx2.URL, body: bytes, headers: Mapping[str, str], call: Call) -> Response:
        """The 2xx answer to a POST, its body still to be read; HttpError for any other. The headers given win over our own."""
        wanted = {**BUILTIN, **{name.lower(): value for name, value in headers.items()}}
        if url.userinfo and "authorization" not in wanted:
            wanted["authorization"] = "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        wanted |= {"host": url.netloc.decode("ascii"), "content-length": str(len(body))}
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        timeouts = {"connect": call, "read": call, "write": call}
        request = httpcore2.Request("POST", target, headers=list(wanted.items()), content=body, extensions={"timeout": timeouts})
        call.secrets |= {url.password, *url.params.values()}
        call.begin("connect")
        with around(url) as known, told(call):
            response = Response(self._connections().handle_request(request), call)
            known["http_response"] = response.status
        try:
            self._check(response)
        except BaseException:
            response.close()
            raise
        return response

    def _check(self, response: Response) -> None:
        name, status = response.call.name, response.status
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        plain = encoding in ("", "identity")
        if not 200 <= status < 300:
            excerpt = excerpt_of(response.beginning(), response.call.secrets) if plain else ""
            log.warning("%s answered %d: %s", name, status, excerpt or "(no words)")
            words = "answered with a redirect, which is not followed" if status < 400 else REFUSALS.get(status)
            words = words or ("has a fault" if status >= 500 else "refused the request")
            wait = retry_after(response.headers.get("retry-after"))
            raise HttpError("bad_status", f"{name} {words} ({status}).", status=status, retry_after=wait, excerpt=excerpt)
        if not plain:
            raise HttpError("bad_response", f"{name} sent a compressed answer, which was not asked for.")

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._owner == os.getpid():
            pool.close()


_shared = Client()


def shared() -> Client:
    """The client of this process."""
    return _shared


def credential(value: str, what: str) -> str:
    """A key as a header takes it; ValueError, without the key, for what no header takes."""
    key = value.strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise ValueError(f"{what} must be visible ASCII characters")
    return key
