"""What a route may answer: its own success, and every refusal that its declaration makes possible."""

from __future__ import annotations

from typing import Any

from chatsvc.api.common.door import Allow, Route
from chatsvc.api.openapi import examples, prose
from chatsvc.api.openapi.notes import Note
from chatsvc.api.openapi.parts import COUNTED, PARAMETERS, ref

Json = dict[str, Any]

SUCCESS = {200: "Done.", 201: "Made.", 202: "Taken on; the answer comes later.", 204: "Done; there is nothing more to say."}
# Status, name of the shared answer, what it means, and an example of its words.
REFUSALS: dict[int, tuple[str, str, str]] = {
    400: ("BadRequest", "The input is not what this route takes; each field at fault is named.", "title must not be blank"),
    401: ("NotSignedIn", "No token, or one that is no longer good.", "Not signed in, or the sign-in is no longer good"),
    403: ("Forbidden", "You are known, and may not do this.", "Only an admin may do this"),
    404: ("NotFound", "Not there, or not yours.", "Session not found"),
    409: ("Conflict", "Its state does not allow this, or the first request with this key is still under way.", "This reply has ended already"),
    413: ("TooLarge", "The body is larger than 1 MiB.", "The body is larger than 1 MiB"),
    415: ("WrongType", "The body is not of a type that this route takes.", "Send the body as application/json"),
    422: ("KeyReused", "The `Idempotency-Key` stands for another request.", "This Idempotency-Key stands for another request already; take a new one"),
    429: ("TooMany", "Too often; wait as long as `Retry-After` says.", "Too many requests. Wait, then try again"),
    502: ("BadGateway", "The responder failed.", "The responder answered with status 500"),
    503: ("Unavailable", "Something the service depends on is away; wait as long as `Retry-After` says.", "The database is busy"),
    504: ("TooSlow", "The responder took too long.", "The responder took too long"),
}
FIELDS = {400: "title", 413: "body", 415: "body"}


def refused(route: Route, note: Note, path: str, *, writes: bool) -> list[int]:
    """The statuses of the refusals that this route can come to."""
    open_to_all = route.allow is Allow.ANYONE
    found = {400, *note.refuses}
    if not open_to_all:
        found |= {401, 503} | ({403} if writes or route.allow is Allow.ADMIN else set())
    if "{" in path:
        found.add(404)
    if route.body or note.body:
        found |= {413, 503}
    if route.body:
        found.add(415)
    if route.creates and not open_to_all:
        found |= {404, 409, 422}
    if route.sends:
        found |= {404, 409, 422}
    if route.limited or not open_to_all:
        found.add(429)
    return sorted(found)


def shared(envelope: bool) -> dict[str, Json]:
    """The refusals of one kind of face, as components."""
    found = {}
    for status, (name, meaning, words) in REFUSALS.items():
        problems = [{"field": FIELDS[status], "message": words.removeprefix(f"{FIELDS[status]} ")}] if status in FIELDS else []
        body = {"success": False, "message": words} if envelope else {"detail": words}
        content = _json(ref("schemas", "EnvelopeError" if envelope else "Error"), {name: {**body, **({"errors": problems} if problems else {})}})
        found[name_of(status, envelope=envelope)] = {"description": meaning, "headers": _refusal_headers(status), "content": content}
    return found


def name_of(status: int, *, envelope: bool) -> str:
    return ("Envelope" if envelope else "") + REFUSALS[status][0]


def _refusal_headers(status: int) -> Json:
    further = {401: ("WWW-Authenticate",), 409: ("Retry-After",), 429: ("Retry-After",), 503: ("Retry-After",)}
    return _headers(*COUNTED, *further.get(status, ()))


def refusals(route: Route, note: Note, path: str, *, envelope: bool, writes: bool) -> Json:
    usual = refused(route, note, path, writes=writes)
    found = {str(status): ref("responses", name_of(status, envelope=envelope)) for status in usual}
    for status, schema in note.also.items():
        common = ref("schemas", "EnvelopeError" if envelope else "Error")
        body = {"anyOf": [ref("schemas", schema), common]} if status in usual else ref("schemas", schema)
        replayed = ("Idempotent-Replayed",) if route.sends else ()
        headers = {**_refusal_headers(status), **_headers(*replayed)}
        meaning = SUCCESS[status] if status in SUCCESS else REFUSALS[status][1]
        found[str(status)] = {"description": meaning, "headers": headers, "content": _json(body, examples.EXAMPLES.get(schema, {}))}
    return found


def success(route: Route, note: Note, schemas: list[str], *, envelope: bool) -> Json:
    """The answer when all goes well; `schemas` are the names of what it may hold."""
    counted = COUNTED if route.limited or route.allow is not Allow.ANYONE else ()
    replayed = ("Idempotent-Replayed",) if route.sends or (route.creates and route.allow is not Allow.ANYONE) else ()
    found: Json = {"description": SUCCESS.get(route.status, "Done."), "headers": _headers(*counted, *replayed, *note.given)}
    if route.stream:
        found["description"] = "The reply as it is written."
        schema = {"type": "string", "description": prose.STREAM, "x-events": {name: ref("schemas", one) for name, one in prose.EVENTS.items()}}
        found["content"] = {"text/event-stream": {"schema": schema, "examples": _named({"A whole stream": examples.STREAM})}}
    elif route.lines:
        found["description"] = "All of it, line by line."
        schema = {"type": "string", "description": prose.EXPORT}
        found["content"] = {"application/x-ndjson": {"schema": schema, "examples": _named({"A whole export": examples.EXPORT})}}
    elif route.status != 204 and not schemas:
        found["content"] = _json({"type": "object"}, {})
    elif schemas:
        found["content"] = _json(_shape(schemas, note, route, envelope=envelope), _examples(schemas, note, route, envelope=envelope))
    return found


def _shape(schemas: list[str], note: Note, route: Route, *, envelope: bool) -> Json:
    found = ref("schemas", schemas[0]) if len(schemas) == 1 else {"anyOf": [ref("schemas", name) for name in schemas]}
    if note.many:
        found = {"type": "array", "items": found}
    if not envelope:
        return found
    properties = {"success": {"const": True}, "message": {"const": route.says}, "data": found}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _examples(schemas: list[str], note: Note, route: Route, *, envelope: bool) -> Json:
    found = {title: value for name in schemas for title, value in examples.EXAMPLES.get(name, {}).items()}
    if note.many:
        found = {title: [value] for title, value in found.items()}
    return {title: {"success": True, "message": route.says, "data": value} for title, value in found.items()} if envelope else found


def _json(schema: Json, values: Json) -> Json:
    return {"application/json": {"schema": schema, **({"examples": _named(values)} if values else {})}}


def _named(values: Json) -> Json:
    return {title.lower().replace(" ", "-"): {"summary": title, "value": value} for title, value in values.items()}


def _headers(*names: str) -> Json:
    return {name: ref("headers", name) for name in ("X-Request-ID", *names)}


def body(schema: Json, name: str, *, form: bool, required: bool) -> Json:
    """What is sent."""
    content = _json(schema, examples.EXAMPLES.get(name, {}))
    if form:
        content["application/x-www-form-urlencoded"] = {"schema": schema}
    return {"required": required, "content": content}


def sent_headers(route: Route, note: Note) -> list[Json]:
    keyed = route.sends or (route.creates and route.allow is not Allow.ANYONE)
    names = [*(["Idempotency-Key"] if keyed else []), *note.sent, "X-Request-ID"]
    return [ref("parameters", name) for name in names if name in PARAMETERS]
