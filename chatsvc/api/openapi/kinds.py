"""The kinds of input and output there are, as JSON Schema 2020-12."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields, missing

from chatsvc.api.common.fields import JsonObject, Number, OneOf, QueryDay, QueryWhole, SomeOf, Text, Truth, Uuid, WholeNumber
from chatsvc.api.openapi.parts import FACTS
from chatsvc.extensions import settings

Json = dict[str, Any]
NOT_BLANK = r"\S"
BOUNDS = "of at most 16 KiB, nested at most 32 levels deep, with whole numbers of at most 64 bits"


def _now(value: Any) -> Any:
    """A bound or a list of choices as the settings have it."""
    return value(settings()) if callable(value) else value


def _text(field: Text) -> Json:
    longest = {"maxLength": _now(field.max)}
    return {"type": "string", **longest} if field.blank else {"type": "string", "minLength": max(1, _now(field.min)), **longest, "pattern": NOT_BLANK}


def _choice(field: OneOf) -> Json:
    return {"type": "string", "enum": list(_now(field.choices))}


def _bounded(field: QueryWhole) -> Json:
    return {"type": "integer", "minimum": _now(field.low), "maximum": _now(field.high)}


KINDS: dict[type[fields.Field[Any]], Callable[[Any], Json]] = {
    Text: _text,
    OneOf: _choice,
    SomeOf: lambda field: {"type": "array", "items": {"type": "string", "enum": list(field.choices)}, "minItems": 1, "uniqueItems": True},
    QueryWhole: _bounded,
    Truth: lambda _: {"type": "boolean"},
    WholeNumber: lambda field: {"type": "integer", "format": "int64", "minimum": field.least, "maximum": field.most},
    Number: lambda field: {"type": "number", "exclusiveMinimum": field.above, "maximum": field.most},
    QueryDay: lambda _: {"type": "string", "format": "date"},
    Uuid: lambda _: {"type": "string", "format": "uuid"},
    JsonObject: lambda _: {"type": "object", "description": f"Any JSON object {BOUNDS}."},
    fields.Integer: lambda _: {"type": "integer", "format": "int64"},
}


class Converter(OpenAPIConverter):
    """apispec's reading of marshmallow, taught our own kinds of fields."""

    def field2property(self, field: fields.Field[Any]) -> Json:
        kind = next((KINDS[one] for one in type(field).__mro__ if one in KINDS), None)
        if kind is None:
            found: Json = super().field2property(field)
        else:
            found = _or_null(kind(field)) if field.allow_none else kind(field)
            default = field.load_default() if callable(field.load_default) else field.load_default
            found |= {**({} if default is missing else {"default": default}), **field.metadata}
        found.pop("optional", None)
        return found

    def schema2jsonschema(self, schema: Any) -> Json:
        found: Json = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        found.pop("additionalProperties", None)
        cls: Any = resolve_schema_cls(schema)
        if is_answer(cls):
            # Clients may rely on what is there; they must not break when there is more one day.
            found["required"] = [field.data_key or name for name, field in cls._declared_fields.items() if not field.metadata.get("optional")]
        else:
            found["additionalProperties"] = False
        for one in reversed(cls.__mro__):
            for name, prop in found["properties"].items():
                prop.update(FACTS.get(f"{name_of(one)}.{name}", {}) if one.__module__.startswith("chatsvc.") else {})
        return found


def _or_null(found: Json) -> Json:
    nullable = {**found, "type": [found["type"], "null"]}
    if "enum" in found:
        nullable["enum"] = [*found["enum"], None]
    return nullable


def in_a_query(found: Json) -> Json:
    """The same in a query string, where there is no null: there a default of None only means "not asked for"."""
    if isinstance(found["type"], list):
        found = {**found, "type": found["type"][0]}
    if "enum" in found:
        found["enum"] = [one for one in found["enum"] if one is not None]
    return {name: value for name, value in found.items() if name != "default" or value is not None}


def is_answer(schema: Any) -> bool:
    """Whether a schema is one of answers, by its name."""
    return str(schema.__name__).endswith("Out")


def name_of(schema: Any) -> str:
    """`V1SessionCreate` of `chatsvc.api.v1.schemas.SessionCreate`; answers without their `Out`."""
    cls: Any = resolve_schema_cls(schema)
    face = cls.__module__.split(".")[2] if cls.__module__.startswith("chatsvc.api.") else "other"
    return face.capitalize() + re.sub("Out$", "", cls.__name__)


class Plugin(MarshmallowPlugin):
    Converter = Converter

    def __init__(self) -> None:
        super().__init__(schema_name_resolver=name_of)


def new_spec(title: str, version: str, **rest: Any) -> tuple[APISpec, Converter]:
    plugin = Plugin()
    spec = APISpec(title, version, "3.1.0", plugins=[plugin], **rest)
    converter = plugin.converter
    assert isinstance(converter, Converter)
    return spec, converter
