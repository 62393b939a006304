"""Personas: configured responders. Admins make and change them; everybody sees which there are."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, literal, select, tuple_, update
from sqlalchemy import Connection as Unit
from sqlalchemy.exc import IntegrityError

from chatsvc.core import audit, idempotency
from chatsvc.core.database import read, unit
from chatsvc.core.errors import Conflict, Invalid, NotFound, Problem
from chatsvc.core.guard import Guarded
from chatsvc.core.models import Persona
from chatsvc.core.models.types import Uuid, ahead, later, now, one_moment
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
MAX_OVERLAP_HOURS = 7 * 24  # as long may the secret before be good beside a new one
OVERLAPS = Persona.previous_secret_until > now()
PREVIOUS = case((OVERLAPS, Persona.previous_secret_sealed)).label("previous_sealed")
NO_PREVIOUS: dict[str, Any] = {"previous_secret_sealed": None, "previous_secret_until": None}

HIDDEN = ("secret_sealed", "api_key_sealed", *NO_PREVIOUS)
COLUMNS = (
    *(column for column in Persona.__table__.c if column.name not in HIDDEN),
    Persona.secret_sealed.is_not(None).label("has_secret"),
    Persona.api_key_sealed.is_not(None).label("has_api_key"),
    case((OVERLAPS, Persona.previous_secret_until)).label("previous_secret_until"),
)


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
    """Changes what is given; a secret that is not given stays, null takes it away. `previous_secret_hours`: how long the one before a new
    signing secret stays good beside it; without them it ends at once, and 0 ends one that was replaced before too."""
    before = tx.execute(select(Persona.__table__).where(Persona.id == persona_id).with_for_update()).one_or_none()
    if before is None:
        raise NotFound("Persona")
    told, hours = sorted(given), given.pop("previous_secret_hours", None)
    if hours and not given.get("secret"):
        raise Invalid(Problem("previousSecretHours", "can be more than 0 only together with a new secret"))
    has_secret = bool(given["secret"]) if "secret" in given else before.secret_sealed is not None
    _check({**before._mapping, **given}, has_secret=has_secret)
    values = _sealed(persona_id, given) | _replaced(before, given, hours)
    changed(tx, update(Persona).where(Persona.id == persona_id).values(**values, updated_at=later(Persona.updated_at, now())))
    audit.note("persona.updated", actor=actor, subject=persona_id, changed=told)
    return get(persona_id)


def _replaced(before: AnyRow, given: dict[str, Any], hours: int | None) -> dict[str, Any]:
    """What becomes of the signing secret that there was, and of the one before that: at most one of them stays good."""
    if hours == 0:
        return NO_PREVIOUS
    if "secret" not in given:
        return {}
    present = _readable(before.id, "secret", before.secret_sealed)
    if not given["secret"] or not present:
        return NO_PREVIOUS
    if given["secret"] == present:
        return {}  # a request that was sent again replaces nothing
    if hours is None:
        return NO_PREVIOUS
    return {"previous_secret_sealed": encrypted(present, f"{before.id}:previous_secret"), "previous_secret_until": ahead(timedelta(hours=hours))}


@unit
def forget_previous(tx: Unit) -> int:
    """Erases the secrets that were replaced and are good no longer; says how many."""
    return changed(tx, update(Persona).where(outlived()).values(NO_PREVIOUS))


def outlived() -> ColumnElement[bool]:
    return Persona.previous_secret_until <= now()


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
    found = read(select(Persona.__table__, PREVIOUS).where(Persona.id == persona_id))
    if not found:
        raise NotFound("Persona")
    try:
        return Guarded(responder_for(**_configured(found[0])), persona_id)
    except Unreadable as why:
        log.error("persona %s cannot be asked: %s", persona_id, why)
        raise ResponderError("unreachable", "The persona cannot be asked: its secrets must be entered anew.") from None


def secrets_of(persona_id: str) -> Sequence[str]:
    """What its callbacks may be signed with, the present one first; nothing when there is nothing, or nothing that can be read."""
    found = read(select(Persona.secret_sealed, PREVIOUS).where(Persona.id == persona_id))
    if not found:
        return ()
    kept = {"secret": found[0].secret_sealed, "previous_secret": found[0].previous_sealed}
    secrets = [secret for name, sealed in kept.items() if (secret := _readable(persona_id, name, sealed))]
    if found[0].secret_sealed and not secrets:
        log.error("callbacks of persona %s cannot be checked", persona_id)
    return secrets


def _readable(persona_id: str, name: str, sealed: str | None) -> str:
    """This secret of the persona; empty when there is none, or none that can be read."""
    try:
        return decrypted(sealed, f"{persona_id}:{name}") if sealed else ""
    except Unreadable as why:
        log.error("a secret of persona %s is passed over: %s", persona_id, why)
        return ""


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
        previous_secret=_readable(row.id, "previous_secret", row.previous_sealed),
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
