"""What tests do to the database besides asking the service: look at everybody's rows, and empty it between two of them."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import event, text

from chatsvc.extensions import db

TABLES = (
    *("chat_sessions", "conversations", "personas", "idempotency_keys", "users", "revoked_tokens", "login_throttles", "workers", "audit_events"),
    *("api_keys", "erasures"),
)
# Most tests touch two or three: asking which takes less than emptying all.
FILLED = text(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in TABLES))


def open_to_tests(app: Flask) -> Flask:
    """What a test asks of the engine itself, or of core, acts for everybody; what a request or the service asks says for whom, as always."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _acting_for_everybody)
    return app


def _acting_for_everybody(connection: Any, record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET chatsvc.acts_for = '*'")
    connection.commit()


def empty(app: Flask) -> None:
    """Takes every row out, and with them what the application remembers of tokens."""
    with app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # that limit is for requests; one test leaves 20,000 messages
        for (table,) in connection.execute(FILLED).all():
            connection.execute(text(f"DELETE FROM {table}"))
    app.extensions["chatsvc.tokens"].clear()
    app.extensions["chatsvc.refused"].clear()
    app.extensions["chatsvc.api_keys"].clear()
