"""How the envelope face shows things: `{success, message, data}`, camelCase, times with milliseconds."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from chatsvc.api.common.door import Door, Route
from chatsvc.api.common.wire import envelope_error as error
from chatsvc.api.common.wire import utc as utc_in_full
from chatsvc.core.api_keys import PREFIX
from chatsvc.core.belongings import NAMES as COUNTED
from chatsvc.core.exchange_stats import Figures
from chatsvc.core.paging import Page

__all__ = [
    "EnvelopeDoor",
    "api_key",
    "api_keys",
    "audit_events",
    "conversation",
    "conversations",
    "enveloped",
    "error",
    "event",
    "exchange",
    "figures",
    "message",
    "messages",
    "persona",
    "personas",
    "receipt",
    "series",
    "session",
    "sessions",
    "utc",
]

Body = dict[str, Any]
MILLISECOND = timedelta(milliseconds=1)
# ISO 8601 in UTC with exactly three digits and a Z.
utc = partial(utc_in_full, length=23)


class EnvelopeDoor(Door):
    """A door whose views return the bare `data`; the words beside it are what their routes declare."""

    def wrapped(self, result: Any, route: Route) -> Body:
        return enveloped(route.says, result)


def enveloped(words: str, data: Any) -> Body:
    return {"success": True, "message": words, "data": data}


def session(row: Any) -> Body:
    return {
        "sessionId": row.id,
        "title": row.title,
        "meta": row.meta,
        "status": row.status,
        "messagesCount": row.message_count,
        "lastMessage": row.last_message,
        "lastMessageAt": utc(row.last_message_at),
        "lastActivityAt": utc(row.last_message_at or row.created_at),
        "conversationId": row.conversation_id,
        "personaId": row.persona_id,
        "startedAt": utc(row.created_at),
        "endedAt": utc(row.ended_at),
        "durationMs": _milliseconds(row.created_at, row.ended_at),
        "errorMessage": row.error_message,
        "errorKind": row.error_kind,
        "createdAt": utc(row.created_at),
        "updatedAt": utc(row.updated_at),
    }


def message(row: Any) -> Body:
    return {
        "messageId": row.id,
        "sessionId": row.session_id,
        "role": row.role,
        "content": row.content,
        "status": row.status,
        "metadata": row.meta,
        "createdAt": utc(row.created_at),
    }


def sessions(page: Page, *, by_offset: bool) -> Body:
    return {"sessions": [session(row) for row in page.rows], "pagination": _offsets(page) if by_offset else _pages(page)}


def messages(page: Page) -> Body:
    return {"messages": [message(row) for row in page.rows], "pagination": _pages(page)}


def persona(row: Any, circuit: Any = None, *, admin: bool) -> Body:
    """Addresses and prompts are for admins; secrets for nobody."""
    body = {"personaId": row.id, "name": row.name, "kind": row.kind}
    if admin:
        body |= {"webhookUrl": row.webhook_url, "baseUrl": row.base_url}
    body |= {"model": row.model}
    if admin:
        body |= {"systemPrompt": row.system_prompt}
    body |= {
        "timeoutMs": row.timeout_ms,
        "answers": row.answers,
        "isActive": row.is_active,
        "hasSecret": row.has_secret,
        "createdAt": utc(row.created_at),
        "updatedAt": utc(row.updated_at),
    }
    if admin:
        opened_at = utc(circuit.opened_at) if circuit else None
        if row.previous_secret_until:
            body["previousSecretUntil"] = utc(row.previous_secret_until)
        body |= {"circuit": {"state": circuit.state if circuit else "closed", "failures": circuit.failures if circuit else 0, "openedAt": opened_at}}
    return body


def personas(page: Page, circuits: dict[str, Any], *, admin: bool) -> Body:
    return {"personas": [persona(row, circuits.get(row.id), admin=admin) for row in page.rows], "pagination": _pages(page)}


def conversation(row: Any) -> Body:
    return {
        "conversationId": row.id,
        "personaId": row.persona_id,
        "title": row.title,
        "createdAt": utc(row.created_at),
        "updatedAt": utc(row.updated_at),
        "lastMessageAt": utc(row.last_message_at),
    }


def conversations(page: Page) -> Body:
    return {"conversations": [conversation(row) for row in page.rows], "pagination": _pages(page)}


def exchange(session_id: str, status: str, question: Any, reply: Any) -> Body:
    return {"sessionId": session_id, "status": status, "userMessage": message(question), "reply": reply and message(reply)}


def figures(found: Figures) -> Body:
    return {
        "total": found.total,
        "active": found.by_status["ACTIVE"],
        "byStatus": dict(found.by_status),
        "successRate": found.success_rate,
        "averageResponseTimeMs": found.average_ms,
        "p95ResponseTimeMs": found.p95_ms,
        "failures": dict(found.failures),
    }


def series(days: dict[date, Figures]) -> list[Body]:
    return [{"day": day.isoformat(), **figures(found)} for day, found in days.items()]


def receipt(row: Any) -> Body:
    return {
        "receiptId": row.id,
        "status": "FINISHED" if row.finished_at else "RUNNING",
        "askedBy": row.asked_by,
        "keepsAccount": row.keeps_account,
        "counts": {name: row.counts.get(name, 0) for name in COUNTED},
        "userDigest": row.user_digest,
        "fileRewritten": row.scrubbed,
        "startedAt": utc(row.started_at),
        "finishedAt": utc(row.finished_at),
    }


def audit_events(page: Page) -> Body:
    return {"events": [event(row) for row in page.rows], "pagination": _pages(page)}


def event(row: Any) -> Body:
    return {
        "eventId": row.id,
        "action": row.action,
        "actorId": row.actor_id,
        "subject": row.subject,
        "details": row.details,
        "createdAt": utc(row.created_at),
    }


def api_key(row: Any) -> Body:
    """All there is to see of a key once it is made."""
    return {
        "keyId": row.id,
        "name": row.name,
        "scopes": row.scopes.split(),
        "status": row.status,
        "beginsWith": PREFIX,
        "endsWith": row.last_four,
        "createdBy": row.created_by,
        "createdAt": utc(row.created_at),
        "expiresAt": utc(row.expires_at),
        "lastUsedAt": utc(row.last_used_at),
        "revokedAt": utc(row.revoked_at),
    }


def api_keys(page: Page) -> Body:
    return {"keys": [api_key(row) for row in page.rows], "pagination": _pages(page)}


def _pages(page: Page) -> Body:
    return {"page": page.number, "limit": page.size, "total": page.total, "pages": page.pages, "nextCursor": page.next_cursor}


def _offsets(page: Page) -> Body:
    return {"limit": page.size, "offset": page.rank, "total": page.total, "nextCursor": page.next_cursor}


def _milliseconds(start: datetime, end: datetime | None) -> int | None:
    """Between two times as they are shown, so that whoever subtracts them gets the same."""
    return None if end is None else _shown(end) - _shown(start)


def _shown(moment: datetime) -> int:
    return (moment - datetime.min.replace(tzinfo=moment.tzinfo)) // MILLISECOND
