"""Spans: what was done for a request and how long each part took, for whoever traces it through several services.

Nothing of what people wrote is in them, nor a statement with its values: kinds, names of tables, ids of ours, times. While nobody traces,
all of this is one look at a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

INTERNAL, SERVER, CLIENT = range(3)  # as the library numbers them
# What begins a span, once somebody traces: chatsvc/tracing.py puts it here.
tracer: Any = None
context_now: Any = None


def current() -> Any:
    """What a thread that goes on with this hands to `span` as its parent; None while nobody traces."""
    return None if tracer is None else context_now()


@contextmanager
def span(name: str, kind: int = INTERNAL, *, parent: Any = None, **attributes: str | int) -> Iterator[dict[str, str | int]]:
    """Around a piece of work; what is put into the dictionary becomes attributes. Of a failure only its kind is told."""
    found: dict[str, str | int] = {}
    if tracer is None:
        yield found
        return
    with tracer(name, kind, parent, {spelt(key): value for key, value in attributes.items()}) as told:
        try:
            yield found
        except BaseException as error:
            found["error_type"] = type(error).__qualname__
            raise
        finally:
            tell(told, found)


def tell(told: Any, facts: Mapping[str, str | int]) -> None:
    for key, value in facts.items():
        told.set_attribute(spelt(key), value)


def spelt(key: str) -> str:
    return key.replace("_", ".") if not key.startswith("http_response") else "http.response.status_code"
