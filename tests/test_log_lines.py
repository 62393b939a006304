"""A line of the log: one line whatever the message says, and nothing in it that is nobody's to read later."""

from __future__ import annotations

import errno
import logging
import sqlite3
import sys
from dataclasses import replace
from typing import Any

import orjson
import pytest

from chatsvc.core.errors import Unavailable
from log_lines import HIDDEN, JsonLines, Lines, lines_for, secrets_of
from tests import factories

KEY = "Zk3vQ8sWn1xR7tBy"
FORM = "%(levelname)s %(message)s"
TOKEN = factories.token()


def written(message: str, *args: Any, failure: BaseException | None = None, **rest: Any) -> str:
    record = logging.LogRecord("chatsvc", logging.WARNING, __file__, 1, message, args, None)
    if failure is not None:
        try:
            raise failure
        except BaseException:
            record.exc_info = sys.exc_info()
    return Lines(FORM, hidden=[KEY], **rest).format(record)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1b[2K\r", "\x08", "\0", "\u202e"])
def test_no_text_looks_like_another_line(end: str) -> None:
    line = written("agent %s", f"Mozilla{end}ERROR everything is lost")
    assert line.splitlines() == [line]
    assert line.isprintable()
    assert line.startswith("WARNING agent Mozilla")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {HIDDEN}"),
        (f"got {TOKEN}, hm", f"got {HIDDEN}, hm"),
        ("basic dXNlcjpwYXNz", f"basic {HIDDEN}"),
        ("at postgresql://chatsvc:s3cret@db/x", f"at postgresql://{HIDDEN}@db/x"),
        ("GET /chat/sessions?search=my+illness&limit=5 failed", "GET /chat/sessions?… failed"),
        ("{'password': 'abc', 'a': 1}", f"{{'password': '{HIDDEN}', 'a': 1}}"),
        ("api_key=abc&x=1 X-Api-Key: abc", f"api_key={HIDDEN}&x=1 X-Api-Key: {HIDDEN}"),
        ("looked at csk_0123456789abcdefABCDEF, hm", f"looked at {HIDDEN}, hm"),
        ("Cookie: chatsvc_access=abc", f"Cookie: {HIDDEN}"),
        (f"wrong key {KEY}.", f"wrong key {HIDDEN}."),
    ],
)
def test_what_looks_like_a_secret_is_left_out(said: str, kept: str) -> None:
    assert written("%s", said) == f"WARNING {kept}"


@pytest.mark.parametrize(
    "said", ["the token has expired", "a password of 8 characters?", "100 % of it", "reply 5 was ended: so it is", "größer als 1 MiB", "why? because"]
)
def test_what_does_not_is_kept(said: str) -> None:
    assert written("%s", said) == f"WARNING {said}"


def test_a_failure_says_where_and_of_which_kind_and_not_what_was_in_it() -> None:
    text = written("broken", failure=KeyError("what a person wrote"))
    assert text.startswith("WARNING broken\n")
    assert "test_log_lines.py" in text
    assert text.splitlines()[-1] == "KeyError"
    assert "what a person wrote" not in text


def test_nor_what_was_in_those_before_it() -> None:
    first = ValueError("what a person wrote")
    second = RuntimeError("what a person wrote")
    second.__cause__ = first
    text = written("broken", failure=second)
    assert "what a person wrote" not in text
    assert "ValueError\nwhich led to:\n" in text


def test_what_ours_say_is_told_and_what_a_number_stands_for() -> None:
    assert written("broken", failure=Unavailable("The database is busy")).splitlines()[-1] == "chatsvc.core.errors.Unavailable: The database is busy"
    full = OSError(errno.ENOSPC, "what a person wrote", "/their/file")
    assert written("broken", failure=full).splitlines()[-1] == "OSError: No space left on device"
    taken = sqlite3.IntegrityError("what a person wrote")
    taken.sqlite_errorname = "SQLITE_CONSTRAINT_UNIQUE"
    assert written("broken", failure=taken).splitlines()[-1] == "sqlite3.IntegrityError: IntegrityError SQLITE_CONSTRAINT_UNIQUE"


def test_who_debugs_is_told_more_but_no_secret() -> None:
    assert written("broken", failure=KeyError(f"a thing and {KEY}"), telling=True).splitlines()[-1] == f"KeyError: 'a thing and {HIDDEN}'"


def test_a_chain_without_an_end_has_one() -> None:
    error: BaseException = ValueError()
    for _ in range(50):
        after = ValueError()
        after.__cause__ = error
        error = after
    assert written("broken", failure=error).count("which led to:") == 10


def test_what_is_its_own_cause_is_told_once() -> None:
    error = ValueError()
    error.__cause__ = error
    assert "which led to:" not in written("broken", failure=error)


OLD = {"JWT_OTHER_SECRET_KEYS": "the-key-of-before@2026-01-01T00:00:00Z"}  # past its date, it may yet be used elsewhere


def test_the_secrets_of_the_settings_are_known() -> None:
    settings = replace(
        factories.settings("postgresql://chatsvc:p%40ssword@db/x", OPENAI_API_KEY="key-of-openai", ANTHROPIC_API_KEY="key-of-anthropic", **OLD),
        redis_url="redis://:of-redis@cache:6379/0",
    )
    wanted = {
        factories.SECRET,
        factories.ENCRYPTION_KEY,
        factories.METRICS_TOKEN,
        "key-of-openai",
        "key-of-anthropic",
        "p%40ssword",
        "p@ssword",
        "of-redis",
    } | {"the-key-of-before"}
    assert wanted <= set(secrets_of(settings))


def as_json(message: str, *args: Any, failure: BaseException | None = None, facts: dict[str, Any] | None = None, **fields: str) -> dict[str, Any]:
    record = logging.LogRecord("chatsvc.core.users", logging.WARNING, __file__, 1, message, args, None)
    if facts is not None:
        record.facts = facts
    if failure is not None:
        try:
            raise failure
        except BaseException:
            record.exc_info = sys.exc_info()
    line = JsonLines(FORM, hidden=[KEY], fields=lambda: fields).format(record)
    assert "\n" not in line
    found: dict[str, Any] = orjson.loads(line)
    return found


def test_as_json_a_line_is_one_object() -> None:
    line = as_json("user %s did", 5, request="r-1", user="owner", facts={"status": 200, "ms": 1.5})
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "logger": "chatsvc.core.users", "message": "user 5 did", "request": "r-1", "user": "owner", "status": 200, "ms": 1.5}


@pytest.mark.parametrize("place", ["message", "user", "route"])
def test_as_json_nothing_is_told_that_a_line_would_leave_out(place: str) -> None:
    said = f"Bearer {TOKEN} and {KEY}\x1b"
    line = as_json(said if place == "message" else "", user=said if place == "user" else "", facts={"route": said if place == "route" else ""})
    assert line[place] == f"Bearer {HIDDEN} and {HIDDEN}\\x1b"


def test_as_json_a_failure_says_where_and_of_which_kind() -> None:
    line = as_json("broken", failure=KeyError("what a person wrote"))
    assert "test_log_lines.py" in line["failure"]
    assert line["failure"].splitlines()[-1] == "KeyError"
    assert "what a person wrote" not in str(line)


def test_ids_stand_at_the_end_of_a_line() -> None:
    record = logging.LogRecord("chatsvc", logging.WARNING, __file__, 1, "done", (), None)
    assert Lines(FORM, fields=lambda: {"request": "r-1", "user": "a\nb"}).format(record) == "WARNING done request=r-1 user=a\\nb"


def test_lines_are_written_as_the_settings_want(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(form: str, *, terminal: bool = False) -> type[Lines]:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        return type(lines_for(factories.settings("sqlite:///x.db", LOG_FORMAT=form), FORM))

    assert (made("json", terminal=True), made("console")) == (JsonLines, Lines)
    assert (made("auto", terminal=True), made("auto")) == (Lines, JsonLines)
