"""Who calls in the measurements: users of the data set, each with a token, a session that is read and one that is appended to."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import jwt

from bench.streams import SECRET

USERS = 10_000
MANY_SESSIONS = "u1"  # has 5,000 sessions; nobody else's figures depend on it
LONG, FIFTY, SHORT, ITS_OWNER = 11, 12, 20, "u2"  # sessions of 20,000, of 50 and of about 20 messages


@dataclass(frozen=True, slots=True)
class Person:
    user: str
    token: str
    reads: str
    appends: str


def session_id(number: int) -> str:
    """The id of this session of the data set."""
    return str(uuid.UUID(hashlib.md5(f"s{number}".encode(), usedforsecurity=False).hexdigest()))


def token(user: str) -> str:
    """As a login would make it: with an id, so that it can be revoked, and has to be asked after."""
    now = int(time.time())
    body = {"sub": user, "iat": now, "nbf": now - 5, "exp": now + 86400, "jti": uuid.uuid4().hex, "type": "access", "fresh": False}
    return jwt.encode(body, SECRET, "HS256")


def people(users: int, amount: int = 5000) -> list[Person]:
    """So many callers, the same in every run. They read the first nine of a user's sessions and append to the tenth, so that a long run
    does not make its reads dearer."""
    draw = random.Random(1)
    found = []
    for _ in range(amount):
        user = draw.randint(3, users)
        first = (user - 1) * 10
        found.append(Person(f"u{user}", token(f"u{user}"), session_id(first + draw.randint(1, 9)), session_id(first + 10)))
    return found


def write(path: Path, callers: list[Person]) -> Path:
    """The file that bench/load.lua reads."""
    path.write_text("".join(f"{one.token} {one.reads} {one.appends}\n" for one in callers))
    return path
