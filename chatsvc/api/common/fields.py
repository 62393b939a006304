"""The kinds of input there are: each checks form, and says in words what it wants."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import orjson
from marshmallow import ValidationError, fields

from chatsvc.api.common.ids import UUID
from chatsvc.extensions import settings
from config import Settings

MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 32
LONG_FLOAT = 1e16  # from here on a float is spelt with an exponent, and has no fraction
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# What blank texts lack: neither Python's white space nor U+FEFF, which is white space to the pattern in the document.
VISIBLE = re.compile(r"[^\s\ufeff]")
WHOLE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

Bound = int | Callable[[Settings], int]
REQUIRED: dict[str, Any] = {"required": "is required", "null": "must not be null"}


class Text(fields.Field[str]):
    """A string, counted in code points; never a NUL, which PostgreSQL cannot keep."""

    default_error_messages = REQUIRED

    def __init__(self, *, max: Bound, min: int = 1, blank: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.max, self.min, self.blank = max, min, blank

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be a string")
        longest = self.max(settings()) if callable(self.max) else self.max
        if len(value) > longest:
            raise ValidationError(f"must be at most {longest} characters long")
        if not self.blank and not VISIBLE.search(value):
            raise ValidationError("must not be blank")
        if len(value) < self.min and not (self.blank and not value):
            raise ValidationError(f"must be at least {self.min} characters long")
        if "\0" in value:
            raise ValidationError("must not contain the character U+0000")
        return value


class OneOf(fields.Field[str]):
    """One of a few words."""

    default_error_messages = REQUIRED

    def __init__(self, choices: tuple[str, ...] | Callable[[Settings], tuple[str, ...]], **rest: Any) -> None:
        super().__init__(**rest)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> str:
        choices = self.choices(settings()) if callable(self.choices) else self.choices
        if not isinstance(value, str) or value not in choices:
            raise ValidationError(f"must be one of {', '.join(choices)}")
        return value


class SomeOf(fields.Field[list[str]]):
    """Some of a few words, each at most once."""

    default_error_messages = REQUIRED

    def __init__(self, choices: tuple[str, ...], **rest: Any) -> None:
        super().__init__(**rest)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> list[str]:
        if not isinstance(value, list) or not value or any(not isinstance(one, str) or one not in self.choices for one in value):
            raise ValidationError(f"must be a list of at least one of {', '.join(self.choices)}")
        if len(set(value)) < len(value):
            raise ValidationError("must not name one twice")
        return value


class Truth(fields.Field[bool]):
    """A JSON true or false; nothing that merely looks like one."""

    default_error_messages = REQUIRED

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class QueryTruth(Truth):
    """true or false in a query string, in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> bool:
        if str(value).lower() not in ("true", "false"):
            raise ValidationError("must be true or false")
        return str(value).lower() == "true"


class QueryWhole(fields.Field[int]):
    """A whole number in a query string: ASCII digits, within bounds, refused beyond them and never clamped."""

    def __init__(self, *, low: int, high: Bound, **rest: Any) -> None:
        super().__init__(**rest)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> int:
        high = self.high(settings()) if callable(self.high) else self.high
        if not WHOLE.fullmatch(value) or not self.low <= int(value) <= high:
            raise ValidationError(f"must be a whole number from {self.low} to {high}")
        return int(value)


class WholeNumber(fields.Field[int]):
    """A whole number in JSON, positive unless it is said otherwise, such as the id of a message."""

    default_error_messages = REQUIRED

    def __init__(self, *, least: int = 1, most: int = 2**63 - 1, **rest: Any) -> None:
        super().__init__(**rest)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # 1.0 is the same number as 1, and some languages know no other
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValidationError("must be a positive whole number" if self.most == 2**63 - 1 else f"must be a whole number from {self.least} to {self.most}")
        return value


class Number(fields.Field[float]):
    """A number in JSON, above one bound and up to another."""

    default_error_messages = REQUIRED

    def __init__(self, *, above: float, most: float, **rest: Any) -> None:
        super().__init__(**rest)
        self.above, self.most = above, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.above < value <= self.most:
            raise ValidationError(f"must be a number over {self.above:g} and at most {self.most:g}")
        return float(value)


class QueryDay(fields.Field[date]):
    """A day in a query string, as 2026-01-31."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> date:
        if not DAY.fullmatch(value):
            raise ValidationError("must be a day such as 2026-01-31")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValidationError("must be a day such as 2026-01-31") from None


class Uuid(fields.Field[str]):
    """A UUID in its usual spelling."""

    default_error_messages = REQUIRED

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> str:
        if not isinstance(value, str) or not UUID.fullmatch(value):
            raise ValidationError("must be a UUID")
        return value.lower()


class JsonObject(fields.Field[dict[str, Any]]):
    """A JSON object of bounded size and depth."""

    default_error_messages = REQUIRED

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("must be a JSON object")
        if value:
            _check_depth(value)
            text = orjson.dumps(value)
            if len(text) > MAX_METADATA_BYTES:
                raise ValidationError("must be at most 16 KiB of JSON")
            if b"\\u0000" in text and _holds_nul(value):
                raise ValidationError("must not contain the character U+0000")
            if b"e+1" in text:
                return {key: _spelt_out(inner) for key, inner in value.items()}
        return value


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_METADATA_DEPTH):
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer) if isinstance(inner, dict | list)]
        if not level:
            return
    raise ValidationError(f"must be nested at most {MAX_METADATA_DEPTH} levels deep")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _spelt_out(value: Any) -> Any:
    """The same with large whole numbers spelt without an exponent, as PostgreSQL would: a client gets the same number from both engines."""
    if isinstance(value, dict):
        return {key: _spelt_out(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_spelt_out(inner) for inner in value]
    return int(value) if isinstance(value, float) and abs(value) >= LONG_FLOAT and -(2**63) <= value < 2**64 else value


def cursor() -> Text:
    return Text(max=500, load_default=None, metadata={"pattern": "^[A-Za-z0-9_-]+$"})
