"""The service with one defect in it, named by LEDGER_DEFECT: for gunicorn, in place of `wsgi`. The ledger must find each of them.

The defects are put into the running modules from outside; the product has no switch for them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.compiler import compiles

from chatsvc.core import acting, database, messages, read_models, sessions
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.models.types import now
from chatsvc.extensions import db
from wsgi import app

SECONDS_LATE = 0.05


def reply_before_commit() -> None:
    """A request that writes is answered, and committed a moment later."""

    def run_whole(work: Callable[[Connection], Any]) -> Any:
        connection = db.engine.connect()
        transaction = connection.begin()
        mark = database._unit.set(connection)
        try:
            found = work(connection)
        except BaseException:
            transaction.rollback()
            connection.close()
            raise
        finally:
            database._unit.reset(mark)

        def commit() -> None:
            transaction.commit()
            connection.close()

        threading.Timer(SECONDS_LATE, commit).start()
        return found

    database._run_whole = run_whole


def count_outside_the_transaction() -> None:
    """The counter of a session is raised after its message has been committed."""
    due: ContextVar[list[str] | None] = ContextVar("due", default=None)
    append, run_whole = messages.append, database._run_whole
    by = "UPDATE chat_sessions SET message_count = message_count + :by WHERE id = :id"

    @database.unit
    def append_uncounted(tx: Connection, user_id: str, session_id: str, /, **given: Any) -> Any:
        message = append(user_id, session_id, **given)
        tx.execute(text(by), {"by": -1, "id": session_id})
        counted = due.get()
        assert counted is not None
        counted.append(session_id)
        return message

    def run_and_count(work: Callable[[Connection], Any]) -> Any:
        counted: list[str] = []
        mark = due.set(counted)
        try:
            found = run_whole(work)
        finally:
            due.reset(mark)
        for session_id in counted:
            with db.engine.begin() as tx:
                tx.execute(text(by), {"by": 1, "id": session_id})
        return found

    messages.append = append_uncounted  # type: ignore[assignment]
    database._run_whole = run_and_count


def order_by_time() -> None:
    """Messages are listed by the time at which they were written, which is that of the worker's clock; and clocks differ."""
    by_id = read_models.in_session

    def by_time(session_id: Any, *, newest_first: bool, after: Any = None) -> Any:
        found = by_id(session_id, newest_first=newest_first, after=after).order_by(None)
        return found.order_by(ChatMessage.created_at.desc() if newest_first else ChatMessage.created_at)

    def behind() -> timedelta:
        return timedelta(milliseconds=400 * (os.getpid() % 7))

    def skewed(connection: Any, record: object) -> None:
        connection.create_function("chat_now", 0, lambda: (datetime.now(UTC) - behind()).strftime("%Y-%m-%d %H:%M:%S.%f"))

    _everywhere("in_session", by_id, by_time)
    compiles(now, "postgresql")(lambda *_, **__: f"(clock_timestamp() - interval '{behind().total_seconds()} seconds')")
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", skewed)


def no_owner_check() -> None:
    """Whoever knows a session's id is let in: neither the statements ask whose it is, nor the database."""
    only_the_wall()
    acting.current = lambda: acting.EVERYBODY


def only_the_wall() -> None:
    """No statement asks whose a session is; on PostgreSQL row-level security does, and nobody is let in."""
    _everywhere("owned", sessions.owned, lambda _, session_id: (ChatSession.id == session_id, ChatSession.deleted_at.is_(None)))


def _everywhere(name: str, function: Any, other: Any) -> None:
    """In its own module and wherever it was taken from there."""
    for at, module in list(sys.modules.items()):
        if at.startswith("chatsvc.core") and getattr(module, name, None) is function:
            setattr(module, name, other)


DEFECTS: dict[str, Callable[[], None]] = {
    defect.__name__: defect for defect in (reply_before_commit, count_outside_the_transaction, order_by_time, no_owner_check, only_the_wall)
}
DEFECTS[os.environ["LEDGER_DEFECT"]]()
