"""The collections are those of the service as it is: every route is in them, and what is kept in the repository is what is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.postman.run import judged, requests_of
from tools.postman.__main__ import document as made
from tools.postman.collections import ENVIRONMENT, FOLDER, GOLDEN, SCHEMA, collection, files
from tools.postman.hints import HINTS
from tools.postman.steps import PLACE, VARIABLE, Step, item

Json = dict[str, Any]
COLLECTIONS = sorted(FOLDER.glob("*.postman_collection.json"))
FACES = {"v1": ("v1", "service"), "envelope": ("envelope",), "app": ("app",)}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def document() -> Json:
    return made()


def read(path: Path) -> Json:
    found: Json = json.loads(path.read_text())
    return found


def labels(document: Json, tags: tuple[str, ...]) -> set[str]:
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method, one in methods.items() if set(one["tags"]) & set(tags)}


def asked(items: list[Json]) -> list[str]:
    """The routes that these requests ask, as the document writes them."""
    return [_label(one["request"]) for one in requests_of(items)]


def _label(request: Json) -> str:
    steps = (f"{{{step[1:]}}}" if step.startswith(":") else step for step in request["url"]["path"])
    return f"{request['method']} /{'/'.join(steps)}"


def folder_of(collection: Json, name: str) -> list[Json]:
    return next((one["item"] for one in collection["item"] if one["name"] == name), [])


def routes_of(collection: Json) -> list[str]:
    return asked(folder_of(collection, "Every route") + folder_of(collection, "The service itself"))


def missing(document: Json, collections: dict[str, Json]) -> set[str]:
    return {route for face, tags in FACES.items() for route in labels(document, tags) - set(routes_of(collections[face]))}


def kept() -> dict[str, Json]:
    return {face: read(FOLDER / f"chatsvc-{face}.postman_collection.json") for face in FACES}


def left_out(collection: Json, route: str) -> Json:
    """The same without the requests of this route."""
    folders = [{**one, "item": [request for request in one["item"] if _label(request["request"]) != route]} for one in collection["item"]]
    return {**collection, "item": folders}


def test_the_files_are_what_is_made_of_the_document(document: Json) -> None:
    wanted = files(document)
    assert {path.name for path in FOLDER.iterdir()} == set(wanted), "make postman-files writes them"
    stale = [name for name, text in wanted.items() if (FOLDER / name).read_text() != text]
    assert not stale, f"{stale}: the document has changed since; make postman-files writes them anew"


def test_every_route_is_in_them_once(document: Json) -> None:
    assert not missing(document, kept()), "make postman-files writes them anew"
    routes = [route for one in kept().values() for route in routes_of(one)]
    assert sorted(routes) == sorted(labels(document, tuple(tag for tags in FACES.values() for tag in tags)))
    assert len(routes) == len({*routes}) == sum(len(methods) for methods in document["paths"].values())


@pytest.mark.parametrize("face", FACES)
def test_a_route_that_is_left_out_is_noticed(document: Json, face: str) -> None:
    found = kept()
    for route in labels(document, FACES[face]):
        assert missing(document, {**found, face: left_out(found[face], route)}) == {route}


def test_a_new_route_is_in_them_by_itself(document: Json) -> None:
    changed = deepcopy(document)
    changed["paths"]["/api/v1/chat-sessions/{session_id}/share"] = {"post": deepcopy(document["paths"]["/api/v1/chat-sessions"]["post"])}
    assert set(routes_of(collection(changed, "v1"))) - set(routes_of(collection(document, "v1"))) == {"POST /api/v1/chat-sessions/{session_id}/share"}
    assert missing(changed, kept()) == {"POST /api/v1/chat-sessions/{session_id}/share"}


def test_every_hint_is_about_a_route(document: Json) -> None:
    assert set(HINTS) <= labels(document, tuple(tag["name"] for tag in document["tags"]))


@pytest.mark.parametrize("face", FACES)
def test_the_golden_path_asks_nothing_that_is_not_there(document: Json, face: str) -> None:
    routes = {PLACE.sub("{}", route) for route in labels(document, tuple(tag["name"] for tag in document["tags"]))}
    for step in GOLDEN[face]:
        route = PLACE.sub("{}", step.call.partition("?")[0]).replace("11111111-1111-4111-8111-111111111111", "{}")
        assert route in routes, f"{step.name}: {route}"


@pytest.mark.parametrize("path", COLLECTIONS, ids=lambda path: path.stem)
def test_a_collection_has_the_form_that_is_imported(path: Path) -> None:
    found = read(path)
    assert found["info"]["schema"] == SCHEMA
    assert found["info"]["name"]
    assert set(found) == {"info", "auth", "item", "variable"}
    for one in requests_of(found["item"]):
        request, url = one["request"], one["request"]["url"]
        assert set(one) == {"name", "event", "request"}
        assert request["method"] in METHODS
        assert url["raw"].partition("?")[0] == "/".join([*url["host"], *url["path"]])
        assert [step[1:] for step in url["path"] if step.startswith(":")] == [variable["key"] for variable in url.get("variable", [])]
        assert all({"key", "value"} <= set(entry) for entry in [*url.get("query", []), *request["header"]])
        assert request.get("body", {"mode": "raw"})["mode"] in ("raw", "urlencoded")
        assert all(event["listen"] in ("prerequest", "test") and event["script"]["exec"] for event in one["event"])


@pytest.mark.parametrize("path", COLLECTIONS, ids=lambda path: path.stem)
def test_every_request_asserts_something(path: Path) -> None:
    for one in requests_of(read(path)["item"]):
        assert any("pm.test(" in line for event in one["event"] if event["listen"] == "test" for line in event["script"]["exec"]), one["name"]


@pytest.mark.parametrize("path", COLLECTIONS, ids=lambda path: path.stem)
def test_every_variable_is_given_before_it_is_used(path: Path) -> None:
    known = {value["key"] for value in read(FOLDER / ENVIRONMENT)["values"]}
    assert all(variable["value"] == "" for variable in read(path)["variable"])
    for one in requests_of(read(path)["item"]):
        scripts = {event["listen"]: "\n".join(event["script"]["exec"]) for event in one["event"]}
        known |= given(scripts.get("prerequest", ""))
        used = set(VARIABLE.findall(json.dumps(one["request"]) + json.dumps(scripts)))
        assert used <= known | given(scripts["test"]), f"{one['name']}: {used - known}"
        known |= given(scripts["test"])


def given(script: str) -> set[str]:
    return {line.partition('"')[0] for line in script.split('pm.collectionVariables.set("')[1:]}


def reported(collection: Json, ids: Iterator[int], **changed: Any) -> Json:
    """What newman reports of a run without a fault."""
    executions = [{"item": {"id": next(ids), "name": one["name"]}, "response": {"code": 200}, "assertions": [{}]} for one in requests_of(collection["item"])]
    return {"run": {"executions": executions, "failures": [], "stats": {"assertions": {"total": len(executions)}}, **changed}}


def test_a_run_that_leaves_something_out_is_no_good_run() -> None:
    whole = {"item": [{"name": "all", "item": [item(Step(name, "GET /healthz", 200)) for name in ("one", "two")]}]}
    report = reported(whole, count())
    assert judged(whole, report).faults == []
    unanswered = deepcopy(report)
    del unanswered["run"]["executions"][1]["response"]
    assert judged(whole, unanswered).faults == ["two: 1 of these were not asked, or not answered"]
    silent = deepcopy(report)
    silent["run"]["executions"][0]["assertions"] = []
    assert judged(whole, silent).faults == ["one: asserts nothing"]
    failed = reported(whole, count(), failures=[{"source": {"name": "one"}, "error": {"test": "answers 200", "message": "expected 404"}}])
    assert judged(whole, failed).faults == ["one: answers 200: expected 404"]
