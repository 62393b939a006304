"""One request of a collection: what is sent, and what must come back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
PLACE = re.compile(r"{(\w+)(?:=(\w+))?}")
VARIABLE = re.compile(r"{{(\w+)}}")


@dataclass(frozen=True)
class Step:
    """In `call`, `{session_id}` is filled with the variable sessionId, `{session_id=otherId}` with otherId; `values` may name variables as `{{run}}`."""

    name: str
    call: str
    status: int | tuple[int, ...]
    body: Json | str | None = None
    form: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    who: str = "token"  # the variable that holds the caller's token; "" for nobody
    shape: str = ""  # the names of the answer, all of them; "data: …" for those of a part
    values: dict[str, Any] = field(default_factory=dict)
    also: dict[str, str] = field(default_factory=dict)  # a sentence, and the line that holds it
    keep: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    is_json: bool = True
    about: str = ""


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def url(call: str, optional: list[Json]) -> Json:
    """A path's ids are path variables that carry the collection's; parameters that may be left out are there, switched off."""
    path, _, query = call.partition(" ")[2].partition("?")
    places = {name: other or camel(name) for name, other in PLACE.findall(path)}
    shown = PLACE.sub(r":\1", path)
    sent = [dict(zip(("key", "value"), pair.split("=", 1), strict=True)) for pair in query.split("&") if pair]
    return {
        "raw": f"{{{{baseUrl}}}}{shown}{'?' if query else ''}{query}",
        "host": ["{{baseUrl}}"],
        "path": shown.strip("/").split("/"),
        **({"query": sent + optional} if sent or optional else {}),
        **({"variable": [{"key": name, "value": f"{{{{{other}}}}}"} for name, other in places.items()]} if places else {}),
    }


def request(step: Step, optional: list[Json], headers: list[Json]) -> Json:
    sent = [{"key": name, "value": value} for name, value in step.headers.items()]
    found: Json = {"method": step.call.partition(" ")[0], "url": url(step.call, optional)}
    if step.who != "token":
        found["auth"] = bearer(step.who) if step.who else {"type": "noauth"}
    if step.form is not None:
        found["body"] = {"mode": "urlencoded", "urlencoded": [{"key": name, "value": value} for name, value in step.form.items()]}
    elif step.body is not None:
        sent.insert(0, {"key": "Content-Type", "value": "application/json"})
        raw = step.body if isinstance(step.body, str) else json.dumps(step.body, indent=2, ensure_ascii=False)
        found["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return {**found, "header": sent + headers, **({"description": step.about} if step.about else {})}


def bearer(variable: str) -> Json:
    return {"type": "bearer", "bearer": [{"key": "token", "value": f"{{{{{variable}}}}}", "type": "string"}]}


def literal(value: Any) -> str:
    """The value as the sandbox's language writes it, with variables filled in."""
    text = json.dumps(value, ensure_ascii=False)
    return f"JSON.parse(pm.variables.replaceIn({json.dumps(text, ensure_ascii=False)}))" if VARIABLE.search(text) else text


def _at(path: str) -> str:
    return "body" + (path if path.startswith("[") else f".{path}")


def _test(sentence: str, lines: list[str]) -> list[str]:
    return [f"pm.test({json.dumps(sentence, ensure_ascii=False)}, () => {{", *(f"  {line}" for line in lines), "});"]


def _equal(path: str, value: Any) -> str:
    if isinstance(value, str) and VARIABLE.fullmatch(value):  # an id, which may be a number
        return f'pm.expect(String({_at(path)}), "{path}").to.eql(String(pm.variables.get("{value[2:-2]}")));'
    return f'pm.expect({_at(path)}, "{path}").to.eql({literal(value)});'


def tests(step: Step) -> list[str]:
    """The lines that run when the answer is there."""
    statuses = step.status if isinstance(step.status, tuple) else (step.status,)
    lines = _test(f"answers {' or '.join(map(str, statuses))}", [f"pm.expect(pm.response.code).to.be.oneOf({list(statuses)});"])
    if step.is_json:
        lines.append("const body = pm.response.json();")
    if step.shape:
        part, colon, names = step.shape.rpartition(":")
        where = _at(part.strip()) if colon else "body"
        lines += _test("has the fields that are promised, and no others", [f"pm.expect({where}).to.have.all.keys({json.dumps(names.split())});"])
    if step.values:
        lines += _test("says what it should", [_equal(path, value) for path, value in step.values.items()])
    for sentence, line in step.also.items():
        lines += _test(sentence, [line])
    return lines + [f'pm.collectionVariables.set("{name}", {value});' for name, value in step.keep.items()]


def event(listen: str, lines: list[str]) -> Json:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": lines}}


def item(step: Step, optional: list[Json] | None = None, headers: list[Json] | None = None) -> Json:
    before = [event("prerequest", list(step.before))] if step.before else []
    return {"name": step.name, "event": [*before, event("test", tests(step))], "request": request(step, optional or [], headers or [])}


def folder(name: str, about: str, items: list[Json]) -> Json:
    return {"name": name, "description": about, "item": items}
