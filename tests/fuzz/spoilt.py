"""The requests of a run once more, each spoilt by a few bytes: JSON that breaks off, types that are none, names twice, headers of nonsense.

schemathesis makes requests that are wrong by the document; these are wrong by chance, below it. Whatever they are, the answer must be one
that the document promises for its operation, and none may say that the service is at fault.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.fuzz import people
from tests.openapi_check import Checker

KEPT_HEADERS = ("content-type", "idempotency-key", "last-event-id", "prefer", "x-session", "x-request-id")
SCRAPS = [
    *(b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-1", b"0"),
    *(b"1e999", b"NaN", b"9" * 25, b"[" * 500, b'{"a":' * 200, b"%00", b"%ff", b"&", b"=", b"+", b"\xef\xbb\xbf", b"\r\n", b" ", b"A" * 5000),
]
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "",
    "nonsense",
    "a/b;c=d",
]
HEADERS = ["Idempotency-Key", "Last-Event-ID", "Prefer", "X-Session", "X-Request-ID", "Accept", "Accept-Encoding", "Range", "If-None-Match", "Cookie", "Origin"]
HEADERS += ["X-CSRF-Token", "X-Chatsvc-Timestamp", "X-Chatsvc-Signature", "X-Forwarded-For", "Authorization", "Content-Encoding", "Expect-CT", "User-Agent"]


@dataclass
class Asked:
    """One request as it was sent."""

    label: str
    target: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, line: str) -> Asked:
        found = json.loads(line)
        return cls(found["label"], found["target"], found["headers"], base64.b64decode(found["body"]))


@dataclass
class Told:
    """What came of a run."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    broken: list[dict[str, Any]] = field(default_factory=list)


def run(port: int, folder: Path, amount: int, seed: int, seconds: float, threads: int, excused: Callable[[str, int, bytes], bool]) -> Told:
    """So many requests, or as many as the time allows."""
    asked = [Asked.of(line) for line in (folder / "asked.jsonl").read_text().splitlines()]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/openapi.json")
    told, checker, until = Told(), Checker(connection.getresponse().read()), time.monotonic() + seconds
    connection.close()
    with ThreadPoolExecutor(threads) as pool:
        runs = [
            pool.submit(_some, port, asked, amount // threads, random.Random(f"{seed} {number}"), until, checker, told, excused) for number in range(threads)
        ]
        for one in runs:
            one.result()
    return told


def _some(port: int, asked: list[Asked], amount: int, chance: random.Random, until: float, checker: Checker, told: Told, excused: Any) -> None:
    tokens = {name: people.token(name) for name in (*people.PEERS, "admin")}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(amount):
        if time.monotonic() > until:
            break
        one = chance.choice(asked)
        target, headers, body, same_path = spoilt(one, chance)
        name = chance.choice([*tokens, "nobody"])
        if name != "nobody":
            headers = {"Authorization": f"Bearer {people.token(name) if one.label.endswith('/logout') else tokens[name]}", **headers}
        try:
            connection.request(one.label.split(" ")[0], target, body or None, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            # A server may hang up on what is no HTTP; it must not leave anybody waiting.
            told.failed[f"{one.label}: {error!r}"] += isinstance(error, TimeoutError)
            told.statuses[0] += 1
            connection.close()
            continue
        _judge(one, target, response, data, same_path, checker, told, excused)
    connection.close()


def _judge(one: Asked, target: str, response: http.client.HTTPResponse, data: bytes, same_path: bool, checker: Checker, told: Told, excused: Any) -> None:
    status = response.status
    told.statuses[status] += 1
    if status >= 500 and not excused(one.label, status, data):
        told.broken.append({"operation": one.label, "target": target[:500], "status": status, "body": data[:1000].decode(errors="replace")})
    if not same_path or response.headers.get_content_type() == "text/html":  # gunicorn's own words about what is no HTTP
        return
    method, path = one.label.split(" ")
    try:
        checker.check(method, path, status, response.headers.get("Content-Type"), data if response.headers.get_content_type() != "text/event-stream" else None)
    except (AssertionError, ValueError) as error:
        told.failed[f"{one.label} {status}: {str(error)[:300]}"] += 1


def spoilt(one: Asked, chance: random.Random) -> tuple[str, dict[str, str], bytes, bool]:
    """Target, headers and body, and whether the path is still what it was."""
    target, headers, body, same = one.target, dict(one.headers), one.body, True
    what = chance.random()
    # What a persona's address becomes by chance may be anybody's: those bodies stay as they are.
    if what < 0.5 and body and "/personas" not in one.label:
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            body = _bytes(body, chance)
    elif what < 0.7:
        path, _, query = target.partition("?")
        target = f"{path}?{quote(_bytes(query.encode() or b'a=b', chance), safe='%&=+')}"
    elif what < 0.85:
        headers[chance.choice(HEADERS)] = _bytes(headers.get("content-type", "x").encode(), chance).decode("latin-1").translate({10: None, 13: None, 0: None})
    elif what < 0.93:
        headers["content-type"] = chance.choice(TYPES)
    else:
        path, question, query = target.partition("?")
        target, same = quote(_bytes(path.encode(), chance), safe="/%") + question + query, False
        target = target if target.startswith("/") else f"/{target}"
    return target, headers, body[: 2 * 1024 * 1024], same


def _bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((0, 1, 2, 8, len(data))))
    return chance.choice(
        (
            data[:at] + chance.choice(SCRAPS) + data[at:],
            data[:at] + chance.choice(SCRAPS) + data[end:],
            data[:at] + data[end:],
            data[:at] + data[at:end] * 2 + data[end:],
            data[:at] + bytes(byte ^ 1 << chance.randrange(8) for byte in data[at:end]) + data[end:],
            data[:at],
        )
    )
