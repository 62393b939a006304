"""Statements that are built once. Building one anew for each request costs several times what sending it does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from chatsvc.extensions import db

P = ParamSpec("P")
S = TypeVar("S")


def prepared(build: Callable[P, S]) -> Callable[P, S]:
    """Keeps what `build` makes, for each engine and each set of arguments. These say what a statement looks like, and are few;
    what it is about are its bound parameters, whose values go to `read` or `write` beside it."""
    made: dict[Any, S] = {}

    @functools.wraps(build)
    def statement(*args: P.args, **kwargs: P.kwargs) -> S:
        key = (db.engine.dialect.name, args, *kwargs.items())
        found = made.get(key)
        if found is None:
            found = made[key] = build(*args, **kwargs)
        return found

    return statement
