"""Watches the whole suite: no answer, no event of a stream and no log line may hold a secret, or what somebody else wrote.

Nothing has to be marked by hand. Whatever comes in as a password, a token, a key or a persona's secret is a secret from then on, whatever a
user writes is theirs, and everything that goes out is searched for both; `tests/conftest.py::nothing_leaks` fails the test that it
happened in. `tests/test_secrecy.py` proves that the watch sees.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import orjson
from flask import Flask, Response, request

from chatsvc.api.common.caller import ACCESS_COOKIE, REFRESH_COOKIE
from chatsvc.api.common.ids import UUID
from chatsvc.core import about
from config import Settings
from log_lines import JsonLines, Lines
from tests import factories

# Shorter ones are found by chance.
SHORTEST_SECRET, SHORTEST_TEXT = 10, 12
NEEDLE = 40  # of a long text only the beginning is shown in titles and previews
KEPT = 500  # of one kind, the newest
SECRET_FIELDS = {"password", "secret", "apiKey", "refresh_token", "client_secret"}
# What is said there is for all users, or belongs to no user.
NOBODYS = ("/api/personas", "/api/api-keys", "/auths", "/callback")
HANDS_OUT = (("POST", "/auths/login"), ("POST", "/auths/refresh"), ("POST", "/api/api-keys"), ("GET", "/openapi.json"))  # the last has examples of all
# What no answer and no log line holds, whoever asks: tokens, API keys, hashes of passwords.
NEVER = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.|csk_[0-9A-Za-z]{20}|\$argon2id\$")
# What may stand in a log, but in no answer: the inside of the service.
INSIDE = re.compile(rb'Traceback \(most recent|File "/|psycopg2|sqlalchemy\.(?:exc|engine)|sqlite3\.\w+Error|INSERT INTO \w+ \(|SELECT \w+\.\w+')


Known = tuple[list[bytes], dict[str, list[bytes]]]


class Watch(logging.Handler):
    """What is known to be secret, whose the texts are, and what was found where it should not be."""

    def __init__(self) -> None:
        super().__init__()
        # As the service writes them, in both ways, but that it knows no secret yet.
        self.setFormatter(Lines("%(levelname)s %(name)s: %(message)s", fields=about.fields))
        self.json = JsonLines("%(message)s", fields=about.fields)
        self.forget()

    def forget(self) -> None:
        """Begins anew, as each test does."""
        self.secrets: deque[bytes] = deque(maxlen=KEPT)
        self.texts: dict[str, deque[bytes]] = {}
        self.lines: list[str] = []
        self.found: list[str] = []
        for secret in (factories.SECRET, factories.ENCRYPTION_KEY):
            self.hide(secret)

    def known(self) -> Known:
        """What a test that has furnished something for others hands on to them."""
        return list(self.secrets), {user_id: list(texts) for user_id, texts in self.texts.items()}

    def remember(self, known: Known) -> None:
        secrets, texts = known
        self.secrets.extend(needle for needle in secrets if needle not in self.secrets)
        self.texts.update({user_id: deque(found, maxlen=KEPT) for user_id, found in texts.items()})

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [self.format(record), self.json.format(record)]

    def hide(self, secret: object) -> None:
        if isinstance(secret, str) and len(secret) >= SHORTEST_SECRET and (needle := spelt(secret)) not in self.secrets:
            self.secrets.append(needle)

    def wrote(self, user_id: str, text: str) -> None:
        if len(text.strip()) >= SHORTEST_TEXT and not UUID.fullmatch(text):  # an id is told by whoever has it
            self.texts.setdefault(user_id, deque(maxlen=KEPT)).append(spelt(text[:NEEDLE]))

    # What comes in

    def learn_settings(self, settings: Settings) -> None:
        places = [urlsplit(url).password for url in (settings.database_url, settings.database_replica_url, settings.redis_url)]
        for secret in (settings.jwt_secret_key, settings.encryption_key, settings.openai_api_key, settings.anthropic_api_key, settings.metrics_token, *places):
            self.hide(secret)
        for other in settings.jwt_other_secret_keys:
            self.hide(other.secret)

    def learn_request(self, user_id: str | None) -> None:
        self.hide(request.headers.get("Authorization", "").rpartition(" ")[2])
        self.hide(request.headers.get("X-API-Key"))
        for name in (ACCESS_COOKIE, REFRESH_COOKIE):
            self.hide(request.cookies.get(name))
        sent = getattr(request, "_cached_data", None)  # what the service has read; what it has not is none of ours either
        if not isinstance(sent, bytes):
            return
        with suppress(ValueError, RecursionError):
            found: Any = dict(parse_qsl(sent.decode())) if "form-urlencoded" in request.mimetype else orjson.loads(sent)
            self._learn(found, None if any(path in request.path for path in NOBODYS) else user_id)

    def _learn(self, found: Any, user_id: str | None) -> None:
        for name, value in found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ():
            if name in SECRET_FIELDS:
                self.hide(value)
            elif isinstance(value, str):
                if user_id is not None:
                    self.wrote(user_id, value)
            else:
                self._learn(value, user_id)

    # What goes out

    def look(self, body: bytes, place: str, user_id: str | None, *, hands_out: bool, all_users: bool) -> None:
        """Looks for what should not be in an answer to this user."""
        if not hands_out:
            self._search(body, place, [*self.secrets], "a secret")
            self._search(body, place, NEVER.findall(body), "a token or a hash")
        self._search(body, place, INSIDE.findall(body), "the inside of the service")
        own = set(self.texts.get(user_id or "", ()))
        for other, texts in self.texts.items():
            if other != user_id and not all_users:
                self._search(body, place, [text for text in texts if text not in own], f"what {other} wrote, told to {user_id}")

    def look_at_lines(self) -> None:
        """Looks through what was logged, for anybody's text too."""
        for line in self.lines:
            raw = line.encode("utf-8", "replace")
            self._search(raw, line, [*self.secrets, *NEVER.findall(raw)], "a secret in a log line")
            for user_id, texts in self.texts.items():
                self._search(raw, line, texts, f"what {user_id} wrote in a log line")

    def _search(self, body: bytes, place: str, needles: Iterable[bytes], what: str) -> None:
        for needle in needles:
            if needle in body:
                self.found.append(f"{place[:300]}: {what}: {needle!r}")


def spelt(text: str) -> bytes:
    """As it stands inside a JSON string."""
    with suppress(TypeError):
        return orjson.dumps(text)[1:-1]
    return text.encode("utf-8", "replace")


WATCH = Watch()


def caller_of(settings: Settings) -> tuple[str | None, str]:
    """Who sent this request, and as what; the service has judged the token or the key already."""
    if "X-API-Key" in request.headers:
        whom = request.headers.get("X-On-Behalf-Of")
        return None if whom is None else whom.encode("latin-1").decode("utf-8", "replace"), ""
    return _said_in(request.headers.get("Authorization", "").rpartition(" ")[2] or request.cookies.get(ACCESS_COOKIE, ""))


@lru_cache(maxsize=256)
def _said_in(token: str) -> tuple[str | None, str]:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, UnicodeError, RecursionError):
        return None, ""
    return str(claims.get("sub")), str(claims.get("role"))


def watch(app: Flask) -> Flask:
    """Looks at every answer of this application from now on."""
    settings: Settings = app.extensions["chatsvc.settings"]

    @app.after_request
    def look(response: Response) -> Response:
        user_id, role = caller_of(settings)
        WATCH.learn_settings(settings)
        WATCH.learn_request(user_id)
        place = f"{request.method} {request.path} {response.status_code}"
        rules = {
            "hands_out": (request.method, request.path) in HANDS_OUT,
            "all_users": role == "ADMIN" and ("user_id" in request.args or request.path.endswith("/export")),
        }
        if rules["hands_out"] and response.is_json:
            told = response.json or {}
            for secret in (told.get("access_token"), told.get("refresh_token"), (told.get("data") or {}).get("key")):
                WATCH.hide(secret)
        if response.is_streamed:
            response.response = overheard(response.response, place, user_id, **rules)
        elif not request.path.startswith("/static/"):
            WATCH.look(response.get_data(), place, user_id, **rules)
        return response

    return app


def overheard(events: Any, place: str, user_id: str | None, **rules: bool) -> Iterator[bytes]:
    """The same events, looked at when they have ended or nobody listens any more."""
    heard = []
    try:
        for piece in events:
            heard.append(piece)
            yield piece
    finally:
        if hasattr(events, "close"):
            events.close()
        WATCH.look(b"".join(heard), place, user_id, **rules)
