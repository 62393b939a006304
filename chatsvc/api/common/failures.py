"""A reply that failed, as every face tells it: why in words, and which status says so."""

from __future__ import annotations

from typing import Any

from flask import Response

STATUS = {"timeout": 504, "cleanup": 504, "circuit_open": 503}
CIRCUIT_SECONDS = 30


def failure(row: Any) -> dict[str, Any] | None:
    """Why a reply failed; None when it did not."""
    if not hasattr(row, "content"):
        return {"kind": "interrupted", "message": "The reply is no longer there"}
    if row.status != "failed":
        return None
    return row.meta.get("error") or {"kind": "bad_response", "message": "The reply failed"}


def status_of(kind: str) -> int:
    return STATUS.get(kind, 502)


def with_patience(response: Response) -> Response:
    """Says when a new try makes sense, where that is known."""
    if response.status_code == 503:
        response.headers["Retry-After"] = str(CIRCUIT_SECONDS)
    return response
