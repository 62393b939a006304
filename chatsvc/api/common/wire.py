"""How values and answers are spelt on every wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from flask import Response
from markupsafe import Markup

JSON_TYPE = "application/json"
PAGE_TYPE = "text/html; charset=utf-8"
ERROR_PAGE = Markup("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>chatsvc</title>
<h1>That did not work</h1>
<p>%s.</p>
<p><a href="/chat-ui">Go to your chats</a></p>
</html>
""")


def utc(moment: datetime | None, length: int = 26) -> str | None:
    """ISO 8601 in UTC with six digits and a Z, or cut at another length. A list of twenty has sixty of them, and the language's own way takes
    six times as long as the JSON writer's, which leaves digits out when all are naught."""
    if moment is None:
        return None
    if moment.microsecond:
        return orjson.dumps(moment)[1 : 1 + length].decode() + "Z"
    return moment.isoformat(timespec="microseconds")[:length] + "Z"


def encoded(body: Any) -> bytes:
    return orjson.dumps(body)


def answer(body: bytes, status: int) -> Response:
    return Response(body, status, content_type=JSON_TYPE)


def detail_error(message: str, problems: list[dict[str, str]], facts: dict[str, Any]) -> dict[str, Any]:
    """The error body of the snake_case faces."""
    return {"detail": message, **({"errors": problems} if problems else {}), **facts}


def envelope_error(message: str, problems: list[dict[str, str]], facts: dict[str, Any]) -> dict[str, Any]:
    """The error body of the envelope face."""
    return {"success": False, "message": message, **({"errors": problems} if problems else {}), **({"data": facts} if facts else {})}


def page_error(message: str, problems: list[dict[str, str]], facts: dict[str, Any]) -> str:
    """The error body of the page."""
    return ERROR_PAGE % message
