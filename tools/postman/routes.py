"""A request for every operation of a face, in an order in which what one needs is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools.postman.hints import HINTS, Hint
from tools.postman.steps import PLACE, Json, Step, camel, item

# What makes something, then what is put into it, then reads, changes and deletions.
CREATE, PUT_IN, READ, CHANGE, ACT, DELETE = range(6)
ADMINS = "Admins only."
ALWAYS = "X-Request-ID"


def every_route(document: Json, tag: str) -> list[Json]:
    """The requests of all operations with this tag."""
    found = sorted(_operations(document, tag), key=lambda one: _turn(*one))  # those of one turn stay in the document's order
    return [_item(document, label, operation) for label, operation in found]


def _operations(document: Json, tag: str) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield f"{method.upper()} {path}", operation


def _turn(label: str, operation: Json) -> int:
    method, _, path = label.partition(" ")
    turn = HINTS.get(label, Hint()).turn
    if turn is not None:
        return turn
    if method == "POST":
        return CREATE if "{" not in path else PUT_IN if "201" in operation["responses"] else ACT
    return {"GET": READ, "DELETE": DELETE}.get(method, CHANGE)


def _item(document: Json, label: str, operation: Json) -> Json:
    hint = HINTS.get(label, Hint())
    good = min(status for status in operation["responses"] if status.startswith("2"))
    status = str(hint.status or good)
    assert status in operation["responses"], f"{label}: the document does not promise {status}"
    schema, media = _answer(document, operation["responses"][status])
    step = Step(
        name=operation["summary"],
        call=PLACE.sub(lambda found: f"{{{found[1]}={hint.places.get(found[1], camel(found[1]))}}}", label),
        status=int(status),
        body=hint.body or _example(operation),
        who=_caller(operation) if hint.who is None else hint.who,
        also=_also(document, schema, media),
        keep=hint.keep,
        is_json=media == "application/json",
        about="\n\n".join(filter(None, (operation.get("description"), hint.why))),
    )
    return item(step, *_parameters(document, operation))


def _caller(operation: Json) -> str:
    if not operation["security"]:
        return ""
    return "adminToken" if ADMINS in operation.get("description", "") else "token"


def _example(operation: Json) -> Any:
    """The first example of the document."""
    examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
    return next((one["value"] for one in examples.values()), None)


def _parameters(document: Json, operation: Json) -> tuple[list[Json], list[Json]]:
    """Those of the address and those of the head, all switched off."""
    queries, headers = [], []
    for found in (_resolved(document, one) for one in operation.get("parameters", [])):
        value = found["schema"].get("default", "")
        shown = {"key": found["name"], "value": value if isinstance(value, str) else json.dumps(value), "disabled": True}
        if "description" in found:
            shown["description"] = found["description"]
        if found["in"] == "query":
            queries.append(shown)
        elif found["in"] == "header" and found["name"] != ALWAYS:
            headers.append({**shown, "value": "{{$guid}}"} if found["name"] == "Idempotency-Key" else shown)
    return queries, headers


def _resolved(document: Json, found: Json) -> Json:
    while "$ref" in found:
        place: Any = document
        for step in found["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        found = place
    return found


def _answer(document: Json, response: Json) -> tuple[Json, str]:
    """The schema of an answer, and its type; nothing of one without a body."""
    content = _resolved(document, response).get("content", {})
    media = next(iter(content), "")
    return content.get(media, {}).get("schema", {}), media


def _also(document: Json, schema: Json, media: str) -> dict[str, str]:
    """What the document promises of an answer, as lines of the sandbox."""
    if not media:
        return {"has no body": 'pm.expect(pm.response.text()).to.eql("");'}
    found = {f"is {media}": f'pm.expect(pm.response.headers.get("Content-Type")).to.include("{media}");'}
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        names = _promised(document, schema["items"])
        return {**found, "each has the fields that are promised": f"body.forEach((one) => pm.expect(one).to.include.all.keys({json.dumps(names)}));"}
    for where, part in (("body", schema), ("body.data", schema.get("properties", {}).get("data"))):
        if part is not None and (names := _promised(document, part)):
            found[f"{where} has the fields that are promised"] = f"pm.expect({where}).to.include.all.keys({json.dumps(names)});"
    return found


def _promised(document: Json, schema: Json) -> list[str]:
    """The fields that are always there, whichever of its forms the answer has."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        every = [_promised(document, one) for one in schema["anyOf"]]
        return [name for name in every[0] if all(name in one for one in every)]
    return list(schema.get("required", []))
