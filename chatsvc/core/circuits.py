"""Circuits: a persona that has failed five times in a row is left alone for half a minute, then tried with one question.

The count is a row that all processes share, so it is the database that decides who may try.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection as Unit
from sqlalchemy import case, literal, or_, select, update

from chatsvc.core import audit
from chatsvc.core.database import read, unit
from chatsvc.core.models import Circuit
from chatsvc.core.models.types import now, seconds_ago
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.upsert import insert_unless_there

log = logging.getLogger(__name__)

FAILURES = 5
OPEN_SECONDS = 30
# A probe whose process has died must not keep the circuit open for ever.
PROBE_SECONDS = 330
STATE = case((Circuit.opened_at.is_(None), "closed"), (Circuit.opened_at > seconds_ago(literal(OPEN_SECONDS)), "open"), else_="half_open")


def admit(persona_id: str) -> bool | None:
    """Whether it may be asked: None, no; False, yes; True, yes, and as the one probe of an open circuit."""
    found = read(select(Circuit.opened_at).where(Circuit.persona_id == persona_id, Circuit.opened_at.is_not(None)))
    if not found:
        return False
    return True if _take_probe(persona_id) else None


@unit
def _take_probe(tx: Unit, persona_id: str) -> bool:
    due = update(Circuit).where(
        Circuit.persona_id == persona_id,
        Circuit.opened_at <= seconds_ago(literal(OPEN_SECONDS)),
        or_(Circuit.probed_at.is_(None), Circuit.probed_at <= seconds_ago(literal(PROBE_SECONDS))),
    )
    return bool(changed(tx, due.values(probed_at=now())))


def succeeded(persona_id: str, *, probe: bool) -> None:
    """The row is forgotten: nothing is wrong with this persona any more. An answer to an older question does not close an open circuit."""
    if probe or read(select(Circuit.failures).where(Circuit.persona_id == persona_id, Circuit.failures > 0)):
        _close(persona_id, probe=probe)


@unit
def _close(tx: Unit, persona_id: str, *, probe: bool) -> None:
    mine = update(Circuit).where(Circuit.persona_id == persona_id, Circuit.failures > 0)
    mine = mine if probe else mine.where(Circuit.opened_at.is_(None))
    if changed(tx, mine.values(failures=0, opened_at=None, probed_at=None)) and probe:
        audit.note("circuit.closed", actor=None, subject=persona_id)


@unit
def failed(tx: Unit, persona_id: str, *, probe: bool, kind: str) -> None:
    """One more failure in a row; the fifth opens the circuit, and so does that of a probe."""
    insert_unless_there(tx, Circuit, persona_id=persona_id, failures=0)
    before = tx.execute(select(Circuit.opened_at, Circuit.failures).where(Circuit.persona_id == persona_id).with_for_update()).one()
    opens = probe or (before.opened_at is None and before.failures + 1 >= FAILURES)
    values = {"failures": Circuit.failures + 1, **({"opened_at": now(), "probed_at": None} if opens else {})}
    changed(tx, update(Circuit).where(Circuit.persona_id == persona_id).values(**values))
    if opens:
        audit.note("circuit.opened", actor=None, subject=persona_id, failures=before.failures + 1, kind=kind)
        log.warning("persona %s has failed %d times in a row (%s); it is not asked for %d s", persona_id, before.failures + 1, kind, OPEN_SECONDS)


@unit
def give_back(tx: Unit, persona_id: str) -> None:
    """The probe was cut short and says nothing; the next question may be one."""
    changed(tx, update(Circuit).where(Circuit.persona_id == persona_id, Circuit.opened_at.is_not(None)).values(probed_at=None))


def not_closed(most: int) -> Sequence[AnyRow]:
    """The circuits that are open or half open, those opened last first."""
    opened = select(Circuit.persona_id, STATE.label("state")).where(Circuit.opened_at.is_not(None))
    return read(opened.order_by(Circuit.opened_at.desc(), Circuit.persona_id).limit(most))


def states(persona_ids: Sequence[str]) -> dict[str, AnyRow]:
    """Of those personas that have failed lately: closed, open or half_open, failures in a row, and since when it is open."""
    if not persona_ids:
        return {}
    rows = read(select(Circuit.persona_id, STATE.label("state"), Circuit.failures, Circuit.opened_at).where(Circuit.persona_id.in_(persona_ids)))
    return {row.persona_id: row for row in rows}
