"""How an engine goes about the statements that core really sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chatsvc.core.prepared import Prepared
from chatsvc.extensions import db
from tests.watching import statements_to

SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan")


@dataclass(frozen=True)
class Statement:
    """One statement with its values, as the driver got it."""

    sql: str
    values: Any
    prepared: Prepared | None = None


@contextmanager
def sent() -> Iterator[list[Statement]]:
    """What is sent to the database meanwhile."""
    statements: list[Statement] = []

    def note(sql: str, values: Any, prepared: Prepared | None) -> None:
        statements.append(Statement(sql, values, prepared))

    with statements_to(db.engine, note):
        yield statements


def sent_by(verb: Callable[[], object]) -> list[Statement]:
    """The statements of a verb; BEGIN and the cap's lock read no table and are left out."""
    with sent() as statements:
        verb()
    return [statement for statement in statements if re.match(r"(?i)(SELECT|INSERT|UPDATE|DELETE|WITH)\b(?! pg_advisory)", statement.sql)]


def explained(statement: Statement, *, run: bool = False) -> list[dict[str, Any]]:
    """The steps of the engine's plan. PostgreSQL can carry it out, too, and then says how many rows it met."""
    with db.engine.connect() as connection:
        values = tuple(statement.values) if statement.prepared else statement.values
        if db.engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.sql}", values).all()
            return [{"detail": row[3]} for row in rows]
        sql = statement.sql
        if statement.prepared:  # the plan for any value, as the service has it carried out
            connection.exec_driver_sql(f"PREPARE explained AS {sql}".replace("%", "%%"))
            sql = statement.prepared.call.replace(statement.prepared.name, "explained")
        found = connection.exec_driver_sql(f"EXPLAIN ({'ANALYZE, BUFFERS, ' if run else ''}FORMAT JSON) {sql}", values).scalar_one()
        connection.rollback()
        if statement.prepared:
            connection.exec_driver_sql("DEALLOCATE explained")
        return list(_steps(found[0]["Plan"]))


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", ()):
        yield from _steps(inner)


def whole_tables(steps: list[dict[str, Any]]) -> list[str]:
    """The steps that read a table, or an index, from one end to the other."""
    if db.engine.dialect.name == "sqlite":
        return [step["detail"] for step in steps if re.match(r"SCAN (chat_|users|idempotency|revoked|login|conversations|audit_events)", step["detail"])]
    return [
        f"{step['Node Type']} of {step.get('Relation Name', step.get('Index Name'))}"
        for step in steps
        if step["Node Type"] in SCANS
        and step["Node Type"] != "Bitmap Heap Scan"
        and "Index Cond" not in step
        # These hold the replies that are being written at the moment and nothing else: a handful, most often none.
        and "running" not in step.get("Index Name", "")
        # And these the exchanges that wait for their answers.
        and step.get("Index Name") not in ("idx_chat_sessions_updated_at", "idx_chat_sessions_activity")
    ]


def conditions(steps: list[dict[str, Any]]) -> str:
    """Which indexes are gone into, and where."""
    return "\n".join(step.get("detail") or f"{step.get('Index Name')} ({step.get('Index Cond')})" for step in steps)


def sorts(steps: list[dict[str, Any]]) -> list[str]:
    if db.engine.dialect.name == "sqlite":
        return [step["detail"] for step in steps if "TEMP B-TREE FOR ORDER BY" in step["detail"]]
    return [step["Node Type"] for step in steps if "Sort" in step["Node Type"]]


def rows_met(steps: list[dict[str, Any]], table: str) -> int:
    """How many rows of a table were looked at (PostgreSQL, when the plan was carried out)."""
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        (step["Actual Rows"] + sum(step.get(name, 0) for name in removed)) * step["Actual Loops"]
        for step in steps
        if step.get("Relation Name") == table and step["Node Type"] in SCANS
    )
