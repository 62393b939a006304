"""`/api/personas`: the configured responders. Admins write; everybody reads what they may know."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.caller import Caller
from chatsvc.api.common.door import Allow, Route
from chatsvc.api.envelope import schemas, shapes, wire
from chatsvc.api.envelope.enabled import only_if_enabled
from chatsvc.core import circuits, personas
from chatsvc.core.paging import Window

door = wire.EnvelopeDoor("envelope_personas", __name__, url_prefix="/api/personas")
door.before_request(only_if_enabled)


@door.route_for(
    "POST",
    "",
    Route(
        Allow.ADMIN,
        "Make a persona",
        body=schemas.PersonaCreate,
        status=201,
        answer=shapes.PersonaOut,
        creates=True,
        says="Persona created successfully",
    ),
)
def create(caller: Caller, **given: Any) -> wire.Body:
    return wire.persona(personas.create(caller.user_id, **given), admin=True)


@door.route_for(
    "GET", "", Route(Allow.USER, "List the personas, by name", query=schemas.PersonaList, answer=shapes.PersonasOut, says="Personas retrieved successfully")
)
def index(caller: Caller, *, page: int | None, limit: int, cursor: str | None, is_active: bool | None) -> wire.Body:
    found = personas.page(Window(limit, ((page or 1) - 1) * limit, cursor), active=is_active)
    states = circuits.states([row.id for row in found.rows]) if caller.admin else {}
    return wire.personas(found, states, admin=caller.admin)


@door.route_for("GET", "/<persona_id>", Route(Allow.USER, "Read a persona", answer=shapes.PersonaOut, says="Persona retrieved successfully"))
def read(caller: Caller, *, persona_id: str) -> wire.Body:
    return _shown(persona_id, admin=caller.admin)


def _shown(persona_id: str, *, admin: bool) -> wire.Body:
    states = circuits.states([persona_id]) if admin else {}
    return wire.persona(personas.get(persona_id), states.get(persona_id), admin=admin)


def _changed(caller: Caller, *, persona_id: str, **given: Any) -> wire.Body:
    personas.change(caller.user_id, persona_id, **given)
    return _shown(persona_id, admin=True)


_change = Route(
    Allow.ADMIN, "Change a persona; what is left out stays", body=schemas.PersonaChange, answer=shapes.PersonaOut, says="Persona updated successfully"
)


@door.route_for("PUT", "/<persona_id>", _change)
def put(caller: Caller, **given: Any) -> wire.Body:
    return _changed(caller, **given)


@door.route_for("PATCH", "/<persona_id>", _change)
def patch(caller: Caller, **given: Any) -> wire.Body:
    return _changed(caller, **given)


@door.route_for(
    "DELETE",
    "/<persona_id>",
    Route(Allow.ADMIN, "Delete a persona that is not in use", answer=shapes.PersonaGoneOut, says="Persona deleted successfully"),
)
def remove(caller: Caller, *, persona_id: str) -> wire.Body:
    personas.remove(caller.user_id, persona_id)
    return {"personaId": persona_id}
