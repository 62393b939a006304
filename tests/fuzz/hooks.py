"""What schemathesis is told about this service that no document can say, and the count of all that was asked."""

from __future__ import annotations

import atexit
import base64
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import jwt
import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure

from bench.streams import SECRET
from chatsvc.responders.addresses import check_url
from chatsvc.responders.signing import sign
from tests.fuzz import exceptions, people
from tests.fuzz.spoilt import KEPT_HEADERS
from tests.openapi_check import Checker

FOLDER = Path(os.environ["CHAT_FUZZ_FOLDER"])
SERVICE, UPSTREAM = os.environ["CHAT_FUZZ_SERVICE"], os.environ["CHAT_FUZZ_UPSTREAM"]
PREPARED = json.loads((FOLDER / "prepared.json").read_text())

_lock = threading.Lock()
_chance = random.Random(int(os.environ["CHAT_FUZZ_SEED"]))
statuses: Counter[int] = Counter()
reached: defaultdict[str, Counter[int]] = defaultdict(Counter)
excepted: Counter[str] = Counter()
failed: Counter[str] = Counter()
broken: list[dict[str, Any]] = []
asked: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
KEPT = 60  # requests of each operation


@schemathesis.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """A good request is given, now and then, what chance does not find: a name and its password, a persona that is there, a key of its own."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    label, body = case.operation.label, case.body
    if label == "POST /auths/login" and isinstance(body, dict) and often(0.5):
        case.body = {**body, "username": "fuzzed", "password": people.PASSWORD}
    if label == "POST /auths/refresh" and often(0.5):
        case.media_type = "application/json"
        case.body = {"refresh_token": people.call(SERVICE, "POST", "/auths/login", {"username": "fuzzed", "password": people.PASSWORD})["refresh_token"]}
    if label == "POST /api/conversations" and isinstance(body, dict) and often(0.5):
        case.body = {**body, "personaId": _chance.choice(list(PREPARED["personas"].values()))}
    if label == "POST /api/conversations/{conversation_id}/messages" and often(0.3):
        case.path_parameters["conversation_id"] = _chance.choice(list(PREPARED["conversations"].values()))
    if label == "POST /api/chat-sessions/{session_id}/callback" and isinstance(body, dict) and "output" in body and often(0.7):
        _called_back(case)
    if "cursor" in (case.query or {}) and often(0.7):
        case.query = {name: value for name, value in case.query.items() if name != "cursor"}
    if "Idempotency-Key" in (case.headers or {}) and often(0.8):
        case.headers["Idempotency-Key"] = f"{_chance.getrandbits(64):x}"
    return case


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    _one_way_in(case)
    if case.operation.path.startswith("/api/personas"):
        _stay_here(case)
    if case.operation.label == "POST /auths/logout":
        _as_good(case)


def _one_way_in(case: Case[Any]) -> None:
    """A token and a key are made up together; both at once are refused, and nothing behind that would be asked."""
    headers: Any = case.headers or {}
    if case.meta is not None and case.meta.generation.mode.is_positive and "Authorization" in headers and often(0.9):
        for name in ("X-API-Key", "X-On-Behalf-Of"):
            headers.pop(name, None)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    label, status = case.operation.label, response.status_code
    with _lock:
        _remember(label, response)
        statuses[status] += 1
        reached[label][status] += 1
        if status >= 500 and not exceptions.responder_failed(case, response):
            broken.append({"operation": label, "status": status, "body": response.content[:1000].decode(errors="replace")})
    if status == 200 and exceptions.is_stream(case, response):
        _as_the_grammar_says(label, response)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    found = exceptions.excepted(failure, case, response)
    with _lock:
        if found:
            excepted[found.reason] += 1
        else:
            failed[f"{type(failure).__name__} {case.operation.label} {response.status_code}"] += 1
    return found is None


def _remember(label: str, response: Response) -> None:
    """Some of every operation's requests, each as likely as any other, for `spoilt`."""
    sent, kept = response.request, asked[label]
    known = {name: value for name, value in ((name.lower(), value) for name, value in sent.headers.items()) if name in KEPT_HEADERS and isinstance(value, str)}
    body = sent.body if isinstance(sent.body, bytes) else (sent.body or "").encode() if isinstance(sent.body, str | None) else b""
    if sent.method != label.split(" ", maxsplit=1)[0] or len(body) > 100_000:
        return
    one = {"label": label, "target": sent.path_url, "headers": known, "body": base64.b64encode(body).decode()}
    place = len(kept) if len(kept) < KEPT else _chance.randrange(sum(reached[label].values()) + 1)
    kept[place : place + 1] = [one] if place < KEPT else []


def often(part: float) -> bool:
    with _lock:
        return _chance.random() < part


def _stay_here(case: Case[Any]) -> None:
    """A persona that would call somebody out there calls our own server instead: what is asked of the service goes no further than this machine."""
    if not isinstance(case.body, dict):
        return
    for name in ("webhookUrl", "baseUrl"):
        url = case.body.get(name)
        if isinstance(url, str) and check_url(url) is None and not url.startswith(UPSTREAM):
            case.body = {**case.body, name: UPSTREAM + urlsplit(url).path[:1000]}


def _as_good(case: Case[Any]) -> None:
    """Signs out with another token that is as good, since nothing could be asked afterwards with the one that everything is asked with."""
    given: dict[str, Any] = dict(case.headers or {})
    scheme, _, token = str(given.get("Authorization", "")).partition(" ")
    try:
        claims = jwt.decode(token, SECRET, ["HS256"])
    except jwt.PyJWTError:
        return  # one that is no good on purpose
    case.headers["Authorization"] = f"{scheme} {people.token(claims['sub'])}"


def _called_back(case: Case[Any]) -> None:
    """Begins an exchange that is answered later, and answers it with this body, signed as n8n would sign it."""
    # A conversation of its own: one that was there before may have been erased with all that its owner had.
    made = people.call(SERVICE, "POST", "/api/conversations", {"personaId": PREPARED["personas"]["later"]})["data"]["conversationId"]
    session_id = people.call(SERVICE, "POST", f"/api/conversations/{made}/messages", {"message": "Which plants like shade?"})["data"]["sessionId"]
    case.path_parameters["session_id"] = session_id
    case.media_type = "application/json"
    raw, stamp = json.dumps(case.body), str(int(time.time()))
    case.headers["X-Chatsvc-Timestamp"] = stamp
    case.headers["X-Chatsvc-Signature"] = sign(people.WEBHOOK_SECRET, stamp, raw.encode())


@cache
def _checker() -> Checker:
    with urlopen(f"{SERVICE}/openapi.json", timeout=30) as response:
        return Checker(response.read())


def _as_the_grammar_says(label: str, response: Response) -> None:
    try:
        _checker().check_events(response.content.decode())
    except (AssertionError, KeyError, ValueError) as error:
        with _lock:
            failed[f"stream {label}: {str(error)[:200]}"] += 1


def _write() -> None:
    found = {"statuses": statuses, "reached": reached, "excepted": excepted, "failed": failed, "broken": broken[:5000]}
    (FOLDER / "counted.json").write_text(json.dumps(found))
    (FOLDER / "asked.jsonl").write_text("".join(json.dumps(one) + "\n" for kept in asked.values() for one in kept))


atexit.register(_write)
