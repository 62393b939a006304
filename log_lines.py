"""How a line of the log is written: one line per message, and without what is nobody's to read later.

Whoever logs leaves secrets and people's words out by themselves; this is the second wall, for what other packages say and for what an
exception brings along that nobody thought of.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

OURS = ("chatsvc", "config", "config_secrets", "config_values")
SHORTEST = 6  # shorter ones are found in every other word
HIDDEN = "***"
DEEPEST = 10
# Line ends and whatever else would let a text from outside look like a line of ours, or steer a terminal.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NAMES = r"(?:password|passwd|secret|token|api[_-]?key|authorization|cookie|signature)"
# What gives itself away by its form: tokens, credentials in an address, values of fields that are named after what they hold.
FORMS = (
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\bcsk_[0-9A-Za-z]+"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)(://)[^/\s@'\"]+@"), rf"\1{HIDDEN}@"),
    (re.compile(rf"(?i)({NAMES}['\"]?\s*[=:]\s*['\"]?)(?!bearer|basic)[^\s'\",;&]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\?[\w%.~-]{1,64}=[^\s'\"]*"), "?…"),
)


Fields = Callable[[], Mapping[str, str]]


class Lines(logging.Formatter):
    """Formats a record as one clean line, and a failure as where it was and of which kind; what exceptions say is only shown when `telling`.
    `fields` gives the ids of what the thread works on."""

    def __init__(self, form: str, dates: str | None = None, *, hidden: Iterable[str] = (), telling: bool = False, fields: Fields = dict) -> None:
        super().__init__(form, dates)
        self._fields = fields
        self._hidden = sorted((one for one in set(hidden) if len(one) >= SHORTEST), key=len, reverse=True)
        self._telling = telling

    def format(self, record: logging.LogRecord) -> str:
        failure = self._failure(record)
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
        more = {**({"ms": facts["ms"]} if (facts := getattr(record, "facts", None)) else {}), **self._fields()}
        line = self.clean(" ".join([super().format(plain), *(f"{name}={value}" for name, value in more.items())]))
        return f"{line}\n{failure}" if failure else line

    def _failure(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[1] else ""

    def formatException(self, exc_info: Any) -> str:
        return "".join(self._told(exc_info[1])).rstrip("\n")

    def clean(self, text: str) -> str:
        """The text on one line, with every known secret and all that looks like one left out."""
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        for form, instead in FORMS:
            text = form.sub(instead, text)
        return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

    def _told(self, error: BaseException, after: tuple[BaseException, ...] = ()) -> Iterator[str]:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        # One may be given as the cause of itself, when it is raised again `from` what it is.
        if before is not None and before is not error and before not in after and len(after) < DEEPEST:
            yield from self._told(before, (*after, error))
            yield "which led to:\n"
        yield from traceback.format_tb(error.__traceback__)
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        said = self.clean(str(error) if self._telling else told_without_words(error))
        yield f"{kind}: {said}\n" if said else f"{kind}\n"


class JsonLines(Lines):
    """The same as one JSON object a line: time, level, logger, message, the ids, what else is known, and a failure."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._clean_again = lru_cache(maxsize=1024)(self.clean)  # routes, methods and users come again and again

    def format(self, record: logging.LogRecord) -> str:
        failure = self._failure(record)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean_again(record.getMessage()),
            **{name: self._clean_again(value) for name, value in self._fields().items()},
            **{name: self._clean_again(value) if isinstance(value, str) else value for name, value in getattr(record, "facts", {}).items()},
            **({"failure": failure} if failure else {}),
        }
        return orjson.dumps(line).decode()


def lines_for(settings: Any, form: str, dates: str | None = None, *, fields: Fields = dict) -> Lines:
    """As these settings want them."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    return (Lines if console else JsonLines)(form, dates, hidden=secrets_of(settings), telling=settings.log_level == "debug", fields=fields)


def told_without_words(error: BaseException) -> str:
    """What is known of an exception but for its words, in which a driver or a library may quote what people wrote. Ours quote nothing."""
    if type(error).__module__.partition(".")[0] in OURS:
        return str(error)
    cause = getattr(error, "orig", None) or error  # the toolkit's errors hold the driver's
    code = getattr(cause, "pgcode", None) or getattr(cause, "sqlite_errorname", None)
    if code or cause is not error:
        return f"{type(cause).__name__} {code}" if code else type(cause).__name__
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""


def secrets_of(settings: Any) -> list[str]:
    """What is secret in the settings themselves; passwords in addresses as they are spelt there and as they are meant."""
    passwords = [urlsplit(url).password or "" for url in (settings.database_url, settings.redis_url)]
    keys = [settings.jwt_secret_key, settings.encryption_key, settings.openai_api_key, settings.anthropic_api_key, settings.metrics_token]
    keys += [other.secret for other in settings.jwt_other_secret_keys]
    return [*keys, *passwords, *map(unquote, passwords)]
