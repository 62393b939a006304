"""What a statement is called where it is told of: what it does and to which table. Nothing else of it is told."""

from __future__ import annotations

import re
from functools import lru_cache

from chatsvc.core.spans import CLIENT
from chatsvc.extensions import Base

VERBS = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|BEGIN|SAVEPOINT|PRAGMA)\b")
OTHER = "statement"


@lru_cache(maxsize=512)
def of_statement(sql: str) -> tuple[str, int]:
    """Such as `INSERT chat_messages`. Out of a few known words, whatever stands in the text."""
    body = sql.partition("; ")[2] if sql.startswith("SET LOCAL ") else sql
    verb = VERBS.search(body)
    table = _tables().search(body)
    return " ".join([verb[0] if verb else OTHER, *([table[0]] if table else [])]), CLIENT


@lru_cache(maxsize=1)
def _tables() -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(sorted(Base.metadata.tables, key=len, reverse=True))})\b")
