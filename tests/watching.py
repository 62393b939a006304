"""What is sent to the database: by the toolkit, and by prepared statements, which go past it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event

from chatsvc.core import acting, quick
from chatsvc.core.prepared import Prepared

Note = Callable[[str, Any, Prepared | None], None]


@contextmanager
def statements_to(engine: Engine, note: Note) -> Iterator[None]:
    """Tells of each statement of this thread its text, its values as the driver gets them, and whether it was a prepared one."""
    fetched, here = quick._fetched, threading.get_ident()  # the services of other tests have heartbeats

    def by_the_toolkit(connection: object, cursor: object, sql: str, values: Any, context: object, many: bool) -> None:
        if threading.get_ident() != here:
            return
        for_whom = sql.startswith(acting.SAID.partition("%")[0])
        note(sql.partition("'; ")[2] if for_whom else sql, values, None)

    def prepared(its_engine: Engine, driver: Any, remembered: Any, sent: Sequence[quick.Sent]) -> Any:
        for statement, values in sent if its_engine is engine and threading.get_ident() == here else ():
            note(statement.sql, statement.values(values), statement)
        return fetched(its_engine, driver, remembered, sent)

    event.listen(engine, "before_cursor_execute", by_the_toolkit)
    try:
        with patch.object(quick, "_fetched", prepared):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", by_the_toolkit)
