"""What is sent to the database: by the toolkit, and by prepared statements, which go past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event

from chatsvc.core import quick
from chatsvc.core.prepared import Prepared

Note = Callable[[str, Any, Prepared | None], None]


@contextmanager
def statements_to(engine: Engine, note: Note) -> Iterator[None]:
    """Tells of each statement its text, its values as the driver gets them, and whether it was a prepared one."""
    fetched = quick._fetched

    def by_the_toolkit(connection: object, cursor: object, sql: str, values: Any, context: object, many: bool) -> None:
        note(sql, values, None)

    def prepared(its_engine: Engine, driver: Any, remembered: Any, sent: Sequence[quick.Sent]) -> Any:
        for statement, values in sent if its_engine is engine else ():
            note(statement.sql, statement.values(values), statement)
        return fetched(its_engine, driver, remembered, sent)

    event.listen(engine, "before_cursor_execute", by_the_toolkit)
    try:
        with patch.object(quick, "_fetched", prepared):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", by_the_toolkit)
