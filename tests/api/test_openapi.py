"""The document says what the service does, all of it and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from marshmallow import Schema, fields
from openapi_spec_validator import OpenAPIV31SpecValidator

import chatsvc
from chatsvc.api.common.door import Allow, Door, Route, route_of
from chatsvc.api.common.fields import Text
from chatsvc.api.openapi import document as building
from chatsvc.api.openapi.examples import EXAMPLES, STREAM
from chatsvc.api.openapi.notes import NOTES
from chatsvc.api.openapi.parts import FACTS, RULES
from chatsvc.extensions import db
from tests import factories
from tests.factories import Person
from tests.openapi_check import check, checker

SOME_ID = "3f7cd70a-e334-4247-8b3b-0d9faee51e94"

Json = dict[str, Any]
PEOPLE = ("docs", "chat", "web")  # the blueprints of the pages


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service as it comes, on a database that nobody asks."""
    app = chatsvc.create_app(factories.settings(f"sqlite:///{tmp_path_factory.mktemp('plain') / 'chatsvc.db'}"))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def document(plain: Flask) -> Json:
    found: Json = orjson.loads(plain.test_client().get("/openapi.json").data)
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_a_good_one(document: Json) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == chatsvc.__version__
    assert document["servers"] == [{"url": "/"}]


def test_every_route_is_in_it_and_nothing_else(plain: Flask, document: Json) -> None:
    rules = [rule for rule in plain.url_map.iter_rules() if rule.endpoint.partition(".")[0] not in PEOPLE]
    there = {(method, building.VARIABLE.sub(r"{\1}", rule.rule)) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert there == {(method, path) for method, path, _ in operations(document)}


def test_every_operation_has_a_name_of_its_own_and_a_place(document: Json) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert {name for name in path.split("/") if name.startswith("{")} == {
            f"{{{one['name']}}}" for one in operation["parameters"] if one.get("in") == "path"
        }


def test_signing_in_is_asked_for_exactly_where_it_is_needed(plain: Flask, document: Json) -> None:
    for rule in plain.url_map.iter_rules():
        route = route_of(plain, rule.endpoint)
        if route is None or route.page:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = document["paths"][building.VARIABLE.sub(r"{\1}", rule.rule)][method.lower()]
            wanted: list[Json] = [{"bearer": []}, {"cookie": []} if method == "GET" else {"cookie": [], "csrf": []}]
            wanted += [{"apiKey": [], "onBehalfOf": []}] if route.by_key else []
            wanted += [{"apiKey": []}] if route.allow is Allow.ADMIN else []
            assert operation["security"] == ([] if route.allow is Allow.ANYONE else wanted)
            assert route.allow is not Allow.USER or "401" in operation["responses"]


def test_every_body_and_answer_has_an_example_and_all_are_good(plain: Flask, document: Json) -> None:
    holds = checker(plain)
    for method, path, operation in operations(document):
        answers = [holds.resolved(answer) for answer in operation["responses"].values()]
        for part in [operation.get("requestBody", {}), *answers]:
            for media, content in part.get("content", {}).items():
                if media == "text/event-stream":
                    holds.check_events(content["examples"]["a-whole-stream"]["value"])
                elif media == "application/json" and path != "/openapi.json":
                    assert content.get("examples"), f"{method} {path} shows no example"
                    for example in content["examples"].values():
                        holds.validator(content["schema"]).validate(example["value"])


def test_what_is_written_by_hand_is_about_what_is_there(plain: Flask, document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert NOTES.keys() <= plain.view_functions.keys()
    assert EXAMPLES.keys() <= schemas.keys()
    assert RULES.keys() <= schemas.keys()
    for place in FACTS:
        name, _, field = place.partition(".")
        assert field in schemas[name]["properties"], place


def test_no_part_is_left_over_or_missing(document: Json) -> None:
    text = orjson.dumps(document).decode()
    for kind in ("schemas", "responses", "headers", "parameters"):
        unused = {name for name in document["components"][kind] if f'"#/components/{kind}/{name}"' not in text}
        assert unused <= {"BadGateway", "TooSlow", "EnvelopeBadGateway", "EnvelopeTooSlow"}


def test_flask_openapi_writes_what_is_served(plain: Flask, tmp_path: Path) -> None:
    served = plain.test_client().get("/openapi.json")
    assert served.content_type == "application/json"
    assert plain.test_cli_runner().invoke(args=["openapi"]).stdout_bytes == served.data + b"\n"
    assert plain.test_cli_runner().invoke(args=["openapi", "--output", str(tmp_path / "openapi.json")]).output == ""
    assert (tmp_path / "openapi.json").read_bytes() == served.data + b"\n"


def test_the_document_follows_the_settings(make_app: Callable[..., Flask]) -> None:
    app = make_app(CHAT_AGENT_TYPES="primary,sales", CHAT_TITLE_MAX_LENGTH="40", CHAT_MAX_PAGE_SIZE="30", PUBLIC_URL="https://chat.example.com/")
    document = checker(app).document
    create = document["components"]["schemas"]["V1SessionCreate"]["properties"]
    assert create["agent_type"]["enum"] == ["primary", "sales", None]
    assert create["title"]["maxLength"] == 40
    assert document["servers"] == [{"url": "https://chat.example.com"}]
    assert document["components"]["schemas"]["V1Message"]["properties"]["id"]["type"] == "integer"
    without = checker(make_app(CHAT_ENABLE_MESSAGE_HISTORY="false")).document
    assert without["components"]["schemas"]["V1Message"]["properties"]["id"]["type"] == ["integer", "null"]
    sizes = [one["schema"]["maximum"] for one in document["paths"]["/api/v1/chat-sessions"]["get"]["parameters"] if one.get("name") == "page_size"]
    assert sizes == [30]


# Bodies that the service takes, and bodies that it refuses: the document must say the same of each.
SESSIONS, CHAT = "/api/v1/chat-sessions", "/api/v1/chat"
ONE, MESSAGES, MESSAGE = f"{SESSIONS}/{{session_id}}", f"{SESSIONS}/{{session_id}}/messages", f"{SESSIONS}/{{session_id}}/messages/{{message_id}}"
BODIES: list[tuple[str, str, list[Any]]] = [
    ("POST", SESSIONS, [{}, {"title": None}, {"title": "Trip"}, {"title": "x" * 255}, {"agent_type": None}, {"agent_type": "router"}, {"is_active": False}]),
    (
        "POST",
        SESSIONS,
        [{"metadata": {"a": [1]}}, {"title": ""}, {"title": " \n"}, {"title": "x" * 256}, {"title": 1}, {"agent_type": "nobody"}, {"is_active": "yes"}],
    ),
    ("POST", SESSIONS, [{"is_active": None}, {"metadata": None}, {"metadata": []}, {"unknown": 1}, [], "text", {"title": "x", "id": SOME_ID}]),
    (
        "PUT",
        ONE,
        [
            {},
            {"title": None},
            {"title": "New"},
            {"title": ""},
            {"is_active": True},
            {"is_active": None},
            {"metadata": {}},
            {"metadata": None},
            {"agent_type": "router"},
        ],
    ),
    ("POST", MESSAGES, [{"content": "x", "message_type": "user"}, {"content": "x", "message_type": "system"}, {"content": "x"}, {"message_type": "user"}]),
    (
        "POST",
        MESSAGES,
        [{"content": "x", "message_type": "assistant", "agent_type": "primary"}, {"content": "x", "message_type": "user", "agent_type": "primary"}],
    ),
    ("POST", MESSAGES, [{"content": "x", "message_type": "assistant", "agent_type": None}, {"content": "x" * 10_000, "message_type": "user"}]),
    ("POST", MESSAGES, [{"content": "x" * 10_001, "message_type": "user"}, {"content": " ", "message_type": "user"}, {"content": "x", "message_type": "tool"}]),
    ("PUT", MESSAGE, [{"content": "y"}, {}, {"content": None}, {"content": "y", "message_type": "user"}]),
    (
        "POST",
        CHAT,
        [
            {"message": "x"},
            {"retry": 1},
            {},
            {"message": "x", "retry": 1},
            {"retry": 1.0},
            {"retry": 1.5},
            {"message": ""},
            {"message": None},
            {"retry": 0},
            {"retry": "1"},
            {"retry": True},
        ],
    ),
    (
        "POST",
        CHAT,
        [
            {"message": "x", "session_id": SOME_ID},
            {"message": "x", "session_id": "1"},
            {"message": "x", "persona_id": None},
            {"message": "x", "persona_id": 1},
        ],
    ),
    (
        "POST",
        CHAT,
        [{"message": "x", "agent_type": None}, {"message": "x", "agent_type": "nobody"}, {"message": "x", "metadata": {}}, {"message": "x", "metadata": "{}"}],
    ),
    (
        "POST",
        "/auths/register",
        [{"username": "someone", "password": "correct horse"}, {"username": "other", "password": "short"}, {"username": "x" * 65, "password": "correct horse"}],
    ),
    (
        "POST",
        "/auths/login",
        [{"username": "x", "password": "y"}, {"username": "x"}, {"username": "x", "password": "y", "grant_type": "password"}, {"username": "x", "password": 1}],
    ),
    (
        "POST",
        "/auths/login",
        [{"username": "x", "password": "y", "grant_type": "refresh_token"}, {"username": "x", "password": "y", "scope": ""}, {"username": "x", "otp": "1"}],
    ),
]


ENVELOPE = "/api/chat-sessions"
BODIES += [
    ("POST", ENVELOPE, [{}, {"title": None}, {"title": "Trip", "meta": {"a": [1]}}, {"title": "x" * 200}, {"title": "x" * 201}, {"title": " "}, {"title": 1}]),
    ("POST", ENVELOPE, [{"meta": None}, {"meta": []}, {"meta": "{}"}, {"metadata": {}}, {"agent_type": None}, {"status": "ACTIVE"}, [], "text"]),
    ("PUT", f"{ENVELOPE}/{{session_id}}/title", [{}, {"title": None}, {"title": "New"}, {"title": ""}, {"title": "x" * 201}, {"title": "x", "meta": {}}]),
    ("PUT", f"{ENVELOPE}/{{session_id}}/meta", [{}, {"meta": {}}, {"meta": None}, {"meta": {"a": {}}}, {"meta": [1]}, {"metadata": {}}]),
]


PERSONAS = "/api/personas"
URL = "https://n8n.example.com/webhook"
ADDRESSES = [
    *("http://h", "HTTPS://h.example", f"{URL}?a=b#c", "http://[::1]:8080/x", "http://127.0.0.1:5678/webhook/é", "http://h_1.example/"),
    *("", "h", "ftp://h", "http://", "http:///x", "http://a b/", "http://user@h/", "http://h:x/", "http://h\\x", "http://é.example", "http://[::1"),
]


@pytest.mark.parametrize(
    "body",
    [
        *({"name": "x", "kind": "webhook", "webhookUrl": url} for url in ADDRESSES),
        *({"name": "x", "kind": "openai", "baseUrl": url} for url in ADDRESSES),
        *({"name": "x", "kind": kind} for kind in ("webhook", "openai", "anthropic", "echo", "other")),
        *({"name": "x", "kind": kind, "webhookUrl": None} for kind in ("webhook", "echo")),
        *({"name": "x", "kind": kind, "webhookUrl": URL, "answers": "callback"} for kind in ("webhook", "echo")),
        *({"name": "x", "kind": kind, "webhookUrl": URL, "answers": "callback", "secret": "s"} for kind in ("webhook", "echo")),
        {"name": "x", "kind": "webhook", "webhookUrl": URL, "answers": "callback", "secret": None},
        {"name": "x", "kind": "webhook", "webhookUrl": URL, "answers": "direct", "timeoutMs": 100.0},
        {"name": "x", "kind": "webhook", "webhookUrl": URL, "timeoutMs": 600_001},
    ],
    ids=str,
)
def test_personas_are_refused_by_the_document_as_by_the_service(app: Flask, admin: Person, body: Json) -> None:
    holds = checker(app)
    schema = holds.document["paths"][PERSONAS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    response = admin.post(PERSONAS, body)
    assert holds.validator(schema).is_valid(body) == (response.status_code == 201), response.text


def test_what_is_only_passed_over_is_not_forbidden_by_the_document(app: Flask, owner: Person) -> None:
    parameters = checker(app).document["components"]["parameters"]
    for name, value in (("X-Request-ID", "what is this?"), ("X-Session", "neither"), ("Prefer", "nothing")):
        assert checker(app).validator(parameters[name]["schema"]).is_valid(value)
        assert owner.get("/auths/me", headers={name: value}).status_code == 200
    starts = parameters["Last-Event-ID"]["schema"]
    reply = orjson.loads(owner.post(f"{CHAT}/stream", json={"message": "One"}).text.split("data: ")[1].split("\n")[0])["reply_id"]
    for value in ("0", "9" * 18, "9" * 19, "-1", "1.5", "x"):
        response = owner.get(f"{CHAT}/stream/{reply}", headers={"Last-Event-ID": value})
        assert checker(app).validator(starts).is_valid(value) == (response.status_code == 200), value


@pytest.mark.parametrize(("method", "path", "bodies"), BODIES)
def test_bodies_are_refused_by_the_document_as_by_the_service(app: Flask, owner: Person, method: str, path: str, bodies: list[Any]) -> None:
    holds = checker(app)
    schema = holds.document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    for body in bodies:
        session_id = owner.session()["id"]
        address = path.format(session_id=session_id, message_id=owner.message(session_id)["id"])
        response = owner.call(method, address, json=body)
        assert holds.validator(schema).is_valid(body) == (response.status_code != 400), f"{body}: {response.text}"


def test_a_stream_is_as_the_document_says(app: Flask, owner: Person) -> None:
    holds = checker(app)
    response = owner.post(f"{CHAT}/stream", json={"message": "One two three"})
    holds.check("POST", f"{CHAT}/stream", response.status_code, response.content_type, None)
    holds.check_events(response.text)
    reply_id = orjson.loads(response.text.split("data: ")[1].split("\n")[0])["reply_id"]
    holds.check_events(owner.get(f"{CHAT}/stream/{reply_id}", headers={"Last-Event-ID": "4"}).text)


# The checker itself: it must bite.


@pytest.mark.parametrize(
    ("method", "path", "status", "content_type", "body"),
    [
        ("GET", "/healthz", 200, "application/json", b'{"status":"fine"}'),
        ("GET", "/healthz", 200, "application/json", b'{"status":"ok","more":1}'),
        ("GET", "/healthz", 200, "application/json", b"{}"),
        ("GET", "/healthz", 200, "text/plain", b'{"status":"ok"}'),
        ("GET", "/healthz", 418, "application/json", b'{"detail":"teapot"}'),
        ("GET", f"{SESSIONS}/{SOME_ID}", 404, "application/json", b'{"success":false,"message":"Session not found"}'),
        ("DELETE", f"/api/v1/chat/sessions/{SOME_ID}", 204, "text/html", b"gone"),
        ("POST", f"{CHAT}/stream", 200, "application/json", b"{}"),
    ],
)
def test_an_answer_that_is_not_documented_is_found(plain: Flask, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    with pytest.raises(AssertionError, match=r"document|status|required|Additional"):
        check(plain, method, path, status, content_type, body)


@pytest.mark.parametrize(
    "text",
    [
        STREAM.replace("event: done", "event: end"),
        STREAM.split("event: done", maxsplit=1)[0],
        STREAM.replace("id: 13", "id: 99"),
        STREAM.replace("reply_id", "reply"),
    ],
)
def test_a_stream_that_is_not_documented_is_found(plain: Flask, text: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        checker(plain).check_events(text)


def test_the_words_of_an_answer_are_those_of_the_document(app: Flask, owner: Person) -> None:
    paths = checker(app).document["paths"]
    session_id = owner.session(agent_type=None)["id"]
    for method, path, body in (
        ("POST", ENVELOPE, {}),
        ("GET", ENVELOPE, None),
        ("GET", f"{ENVELOPE}/{{session_id}}", None),
        ("GET", f"{ENVELOPE}/{{session_id}}/messages", None),
        ("PUT", f"{ENVELOPE}/{{session_id}}/title", {"title": "New"}),
        ("PUT", f"{ENVELOPE}/{{session_id}}/meta", {"meta": {}}),
        ("PATCH", f"{ENVELOPE}/{{session_id}}/cancel", None),
        ("DELETE", f"{ENVELOPE}/{{session_id}}", None),
    ):
        response = owner.call(method, path.format(session_id=session_id), json=body)
        content = paths[path][method.lower()]["responses"][str(response.status_code)]["content"]["application/json"]
        words = {example["value"]["message"] for example in content["examples"].values()}
        assert words == {content["schema"]["properties"]["message"]["const"]} == {(response.json or {})["message"]}


def test_the_envelope_face_is_described_in_its_own_shape(make_app: Callable[..., Flask]) -> None:
    class ThingOut(Schema):
        name = fields.String()
        made_by = fields.Integer(data_key="madeBy")
        note = fields.String(allow_none=True, metadata={"optional": True})

    class ThingCreate(Schema):
        name = Text(max=5, required=True)

    app = make_app()
    trial = Door("trial", __name__, url_prefix="/api/things")

    @trial.route_for("POST", "", Route(Allow.ADMIN, "Make a thing", body=ThingCreate, status=201, answer=ThingOut, creates=True, says="Made"))
    def make() -> None:
        raise AssertionError

    app.register_blueprint(trial)
    holds = checker(app)
    OpenAPIV31SpecValidator(holds.document).validate()
    operation = holds.document["paths"]["/api/things"]["post"]
    assert operation["tags"] == ["envelope"]
    assert {"$ref": "#/components/parameters/Idempotency-Key"} in operation["parameters"]
    made = holds.validator(operation["responses"]["201"]["content"]["application/json"]["schema"])
    assert made.is_valid({"success": True, "message": "Made", "data": {"name": "x", "madeBy": 1}})
    assert made.is_valid({"success": True, "message": "Made", "data": {"name": "x", "madeBy": 1, "note": None}})
    assert not made.is_valid({"success": True, "message": "Done", "data": {"name": "x", "madeBy": 1}})
    assert not made.is_valid({"success": True, "message": "Made", "data": {"name": "x", "made_by": 1}})
    assert not made.is_valid({"name": "x", "madeBy": 1})
    refused = holds.validator(holds.resolved(operation["responses"]["403"])["content"]["application/json"]["schema"])
    assert refused.is_valid({"success": False, "message": "Only an admin may do this"})
    assert not refused.is_valid({"detail": "Only an admin may do this"})
