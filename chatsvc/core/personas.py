"""Personas: configured responders. Admins make and change them; everybody sees which there are."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from sqlalchemy import Connection as Unit
from sqlalchemy import delete, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from chatsvc.core import audit, idempotency
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, Invalid, NotFound, Problem
from chatsvc.core.guard import Guarded
from chatsvc.core.models import Persona
from chatsvc.core.models.types import Uuid, later, now, one_moment
from chatsvc.core.paging import Page, Window, cut, unseal
from chatsvc.core.rows import AnyRow, changed
from chatsvc.core.sealing import Unreadable
from chatsvc.core.sealing import seal as encrypted
from chatsvc.core.sealing import unseal as decrypted
from chatsvc.extensions import responder_for, settings
from chatsvc.responders.addresses import check_url
from chatsvc.responders.base import Responder, ResponderError

log = logging.getLogger(__name__)

WEBHOOK_MS = 10_000
SECRETS = ("secret", "api_key")
SHOWN = tuple(column for column in Persona.__table__.c if column.name not in ("secret_sealed", "api_key_sealed"))
COLUMNS = (*SHOWN, Persona.secret_sealed.is_not(None).label("has_secret"), Persona.api_key_sealed.is_not(None).label("has_api_key"))


@unit
def create(tx: Unit, actor: str, /, **given: Any) -> AnyRow:
    """A new persona; Invalid when what its kind needs is missing."""
    persona_id = str(uuid.uuid4())
    given = {"timeout_ms": WEBHOOK_MS if given["kind"] == "webhook" else settings().reply_timeout * 1000, "answers": "direct", **given}
    _check(given, has_secret=bool(given.get("secret")))
    at = one_moment()
    tx.execute(insert(Persona).values(id=persona_id, created_at=at, updated_at=at, **_sealed(persona_id, given)))
    audit.note("persona.created", actor=actor, subject=persona_id, name=given["name"], kind=given["kind"])
    idempotency.concerns(persona_id)
    return get(persona_id)


def get(persona_id: str) -> AnyRow:
    found = read(select(*COLUMNS).where(Persona.id == persona_id))
    if not found:
        raise NotFound("Persona")
    return found[0]


def check_active(persona_id: str) -> None:
    """NotFound when there is no such persona, Conflict when it is switched off."""
    found = read(select(Persona.is_active).where(Persona.id == persona_id))
    if not found:
        raise NotFound("Persona")
    if not found[0].is_active:
        raise Conflict("This persona is not active")


def page(window: Window, *, active: bool | None) -> Page:
    """A page of personas by name."""
    shown = [] if active is None else [Persona.is_active.is_(active)]
    scope = f"personas:{active}"
    place = unseal(scope, window.cursor) if window.cursor else None
    total = select(func.count()).select_from(Persona).where(*shown)
    listed = select(*COLUMNS, total.scalar_subquery().label("total")).where(*shown).order_by(Persona.name, Persona.id).limit(window.size + 1)
    if place:
        rows = read(listed.where(tuple_(Persona.name, Persona.id) > tuple_(literal(place.after[0]), literal(place.after[1], Uuid))))
    else:
        rows = read(listed.offset(window.offset))
    amount = rows[0].total if rows else read(total)[0][0]
    return cut(rows, window, place, scope=scope, total=amount, after=lambda row: (row.name, row.id))


@unit
def change(tx: Unit, actor: str, persona_id: str, /, **given: Any) -> AnyRow:
    """Changes what is given; a secret that is not given stays, null takes it away."""
    before = tx.execute(select(Persona.__table__).where(Persona.id == persona_id).with_for_update()).one_or_none()
    if before is None:
        raise NotFound("Persona")
    has_secret = bool(given["secret"]) if "secret" in given else before.secret_sealed is not None
    _check({**before._mapping, **given}, has_secret=has_secret)
    changed(tx, update(Persona).where(Persona.id == persona_id).values(**_sealed(persona_id, given), updated_at=later(Persona.updated_at, now())))
    audit.note("persona.updated", actor=actor, subject=persona_id, changed=sorted(given))
    return get(persona_id)


@unit
def remove(tx: Unit, actor: str, persona_id: str) -> None:
    """Erases a persona that nothing refers to; Conflict while it is in use."""
    try:
        with tx.begin_nested():
            gone = changed(tx, delete(Persona).where(Persona.id == persona_id))
    except IntegrityError:
        raise Conflict("This persona is in use; deactivate it instead (isActive: false)") from None
    if not gone:
        raise NotFound("Persona")
    audit.note("persona.deleted", actor=actor, subject=persona_id)


def responder_of(persona_id: str) -> Responder:
    """Who answers for this persona, behind its circuit."""
    found = read(select(Persona.__table__).where(Persona.id == persona_id))
    if not found:
        raise NotFound("Persona")
    try:
        return Guarded(responder_for(**_configured(found[0])), persona_id)
    except Unreadable as why:
        log.error("persona %s cannot be asked: %s", persona_id, why)
        raise ResponderError("unreachable", "The persona cannot be asked: its secrets must be entered anew.") from None


def secret_of(persona_id: str) -> str | None:
    """What its callbacks are signed with; None when there is nothing, or nothing that can be read."""
    found = read(select(Persona.secret_sealed).where(Persona.id == persona_id))
    try:
        return decrypted(found[0].secret_sealed, f"{persona_id}:secret") if found and found[0].secret_sealed else None
    except Unreadable as why:
        log.error("callbacks of persona %s cannot be checked: %s", persona_id, why)
        return None


def _configured(row: AnyRow) -> dict[str, Any]:
    secrets = {name: decrypted(sealed, f"{row.id}:{name}") if (sealed := getattr(row, f"{name}_sealed")) else "" for name in SECRETS}
    return dict(
        persona_id=row.id,
        kind=row.kind,
        url=row.webhook_url or "",
        base_url=row.base_url or "",
        model=row.model or "",
        system_prompt=row.system_prompt or "",
        timeout_ms=row.timeout_ms,
        answers=row.answers,
        **secrets,
    )


def _sealed(persona_id: str, given: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in given.items() if name not in SECRETS}
    return values | {f"{name}_sealed": encrypted(given[name], f"{persona_id}:{name}") if given[name] else None for name in SECRETS if name in given}


def _check(persona: dict[str, Any], *, has_secret: bool) -> None:
    """What belongs together."""
    if persona["kind"] == "webhook" and not persona.get("webhook_url"):
        raise Invalid(Problem("webhookUrl", "is required for a persona of kind webhook"))
    for name, field in (("webhook_url", "webhookUrl"), ("base_url", "baseUrl")):
        fault = check_url(persona[name]) if persona.get(name) else None
        if fault:
            raise Invalid(Problem(field, fault))
    if persona["answers"] == "callback" and persona["kind"] != "webhook":
        raise Invalid(Problem("answers", "can be callback only for a persona of kind webhook"))
    if persona["answers"] == "callback" and not has_secret:
        raise Invalid(Problem("secret", "is required where answers is callback, since the callback is signed with it"))
