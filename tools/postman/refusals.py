"""What every face refuses, each in the shape that is its own."""

from __future__ import annotations

from typing import Any

from tools.postman.steps import Step

UNKNOWN = "11111111-1111-4111-8111-111111111111"


def unknown_session(sessions: str, shape: str, values: dict[str, Any]) -> Step:
    return Step("An unknown session", f"GET {sessions}/{UNKNOWN}", 404, shape=shape, values=values)


def blank_title(sessions: str, shape: str, values: dict[str, Any] | None = None) -> Step:
    errors = [{"field": "title", "message": "must not be blank"}]
    return Step(
        "A blank title is refused by name", f"POST {sessions}", 400, body={"title": " "}, shape=f"{shape} errors", values={**(values or {}), "errors": errors}
    )


def nobody(sessions: str, shape: str, values: dict[str, Any] | None = None) -> Step:
    return Step("Nobody", f"GET {sessions}", 401, who="", shape=shape, values=values or {})
