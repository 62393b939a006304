"""What is excepted from a check of schemathesis, each with its reason; and the settings of a run. Nothing else is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the test of the slice needs no more of it, and every test process would load it
    from schemathesis import Case, Response
    from schemathesis.core.failures import Failure


@dataclass(frozen=True)
class Excepted:
    """A complaint of schemathesis that is not a fault, and why it is none."""

    failure: str
    reason: str
    applies: Callable[[Case[Any], Response], bool]
    after: str = ""  # what the complaint says was asked before: a pattern


def told(response: Response) -> dict[str, Any]:
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def only(*patterns: str) -> Callable[[Case[Any], Response], bool]:
    """A 400 whose every sentence is one of these, and nothing else is wrong."""
    sentence = re.compile("|".join(patterns))

    def applies(case: Case[Any], response: Response) -> bool:
        problems = [f"{one['field']} {one['message']}" for one in told(response).get("errors", [])]
        return response.status_code == 400 and bool(problems) and all(sentence.fullmatch(one) for one in problems)

    return applies


TOGETHER = r"\w+ (cannot be given together with \w+|is required with from and to|must not be after to|must be at most 366 days before to|is too long ago)"
CURSOR = "cursor is not one that this list gave out"
# \x1c to \x1f and \x85 are white space to Python, and not to a pattern.
BLANK = r"\w+ must not be blank"
# What the document says of JSON objects in words.
HUGE = "body holds a whole number beyond 64 bits"
NUL = r"\w+ must not contain the character U\+0000"
ADDRESS = r"(webhookUrl|baseUrl) must .*"
NAME = r"username must not .*"
KEYS = r"X-API-Key cannot be sent together with Authorization.*|X-On-Behalf-Of (goes with X-API-Key|is required|must be a user's id).*"
STORED = r"(webhookUrl is required|answers can be callback only|secret is required) .*"


def is_stream(case: Case[Any], response: Response) -> bool:
    return (response.headers.get("content-type") or [""])[0] == "text/event-stream"


def key_reused(case: Case[Any], response: Response) -> bool:
    return response.status_code == 422 and any("This Idempotency-Key stands for another request" in str(value) for value in told(response).values())


SENDS = ("POST /api/v1/chat", "POST /api/conversations/{conversation_id}/messages")


def tells_a_failed_reply(label: str, status: int, body: bytes) -> bool:
    """The answer of a send whose question was kept and whose responder failed: it says so, with all that was kept."""
    if label not in SENDS or status not in (502, 503, 504):
        return False
    found = json.loads(body)
    exchange = found.get("data", {"sessionId": found.get("session_id"), "status": (found.get("assistant_message") or {}).get("status", "").upper()})
    return bool(exchange["sessionId"]) and exchange["status"] == "FAILED"


def responder_failed(case: Case[Any], response: Response) -> bool:
    return tells_a_failed_reply(case.operation.label, response.status_code, response.content)


EXCEPTIONS: tuple[Excepted, ...] = (
    Excepted(
        "RejectedPositiveData",
        "OpenAPI has no words for parameters of a query that exclude or bound each other; made-up cursors, and U+0000 in any text, "
        "are refused as the introduction of the document says; so are numbers beyond 64 bits; hosts, ports and names are bounded by more than a pattern, and white space is more to Python than to a pattern; "
        "a token and a key exclude each other, which no scheme of security says",
        only(TOGETHER, CURSOR, NUL, HUGE, BLANK, ADDRESS, NAME, KEYS),
    ),
    Excepted(
        "RejectedPositiveData",
        "what a change of a persona needs depends on what is kept of it",
        lambda case, response: case.operation.path == "/api/personas/{persona_id}" and only(STORED, ADDRESS, NUL, BLANK)(case, response),
    ),
    Excepted(
        "UseAfterFree",
        "DELETE of a session of this face archives it: as the document says, it stays and can be read",
        lambda _, response: response.status_code < 400,
        after=r"DELETE /api/v1/chat-sessions/[^/]+",
    ),
    Excepted("RejectedPositiveData", "the same Idempotency-Key was made up twice: 422 is what the document says of that", key_reused),
    Excepted(
        "JsonSchemaError",
        "OpenAPI 3.1 has no words for the events of a stream, whose text it describes; hooks.py holds each stream against the grammar of the document",
        is_stream,
    ),
    Excepted("ServerError", "a persona made up by chance calls a server that fails, and 502, 503 and 504 tell that, with what was kept", responder_failed),
    *(
        Excepted(
            failure,
            "a request line of more than 8190 bytes is refused by the server, before the service or its document knows of it",
            lambda _, response: response.status_code == 414 and b"Request Line is too large" in response.content,
        )
        for failure in ("UndefinedStatusCode", "AcceptedNegativeData", "UndefinedContentType")
    ),
    *(
        Excepted(
            failure,
            "`cleanup` and `stats` stand where an id may stand, so GET and DELETE ask there for a session of that name, and are told that there is none",
            lambda case, _: case.operation.path in ("/api/chat-sessions/cleanup", "/api/chat-sessions/stats"),
        )
        for failure in ("AllowHeaderMismatch", "UnsupportedMethodResponse")
    ),
)

SETTINGS = """\
continue-on-failure = true
request-timeout = 60

[auth.wfc]
path = "{people}"
peers = ["owner", "stranger"]

[generation]
mode = "all"
no-shrink = true
database = "none"
"""


def settings(people: Path) -> str:
    return SETTINGS.format(people=people)


def excepted(failure: Failure, case: Case[Any], response: Response) -> Excepted | None:
    name, before = type(failure).__name__, str(getattr(failure, "free", ""))
    return next((one for one in EXCEPTIONS if one.failure == name and re.fullmatch(one.after or ".*", before) and one.applies(case, response)), None)
