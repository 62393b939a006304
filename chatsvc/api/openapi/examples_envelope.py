"""The same story on the envelope face; a test holds each example against its schema."""

from __future__ import annotations

from typing import Any

from chatsvc.api.openapi.story import CURSOR, KEY, QUESTION, REPLY, SESSION_ID, USER_ID

Json = dict[str, Any]

CONVERSATION_ID, PERSONA_ID = "b7e0a1c4-0f0e-4a4e-9a53-5c9b1f1d6a10", "0d6f3c1e-8f53-4f0b-a1c9-2f6f3b0c7e21"
_ASKED_MS, _ANSWERED_MS = "2026-11-20T09:30:00.000Z", "2026-11-20T09:30:02.413Z"
ENVELOPE_SESSION: Json = {
    "sessionId": SESSION_ID,
    "title": "My Plant Chat",
    "meta": {"plantType": "indoor", "difficulty": "beginner"},
    "status": "ACTIVE",
    "messagesCount": 15,
    "lastMessage": "Water it once a week.",
    "lastMessageAt": _ANSWERED_MS,
    "lastActivityAt": _ANSWERED_MS,
    "conversationId": None,
    "personaId": None,
    "startedAt": _ASKED_MS,
    "endedAt": None,
    "durationMs": None,
    "errorMessage": None,
    "errorKind": None,
    "createdAt": _ASKED_MS,
    "updatedAt": _ANSWERED_MS,
}
ENVELOPE_EXCHANGE: Json = {
    **ENVELOPE_SESSION,
    "title": QUESTION,
    "meta": {"userAgent": "curl/8.5.0", "ipAddress": "192.0.2.7", "deviceInfo": None},
    "status": "COMPLETED",
    "messagesCount": 2,
    "lastMessage": REPLY,
    "conversationId": CONVERSATION_ID,
    "personaId": PERSONA_ID,
    "endedAt": _ANSWERED_MS,
    "durationMs": 2413,
}
ENVELOPE_MESSAGE: Json = {
    "messageId": 4711,
    "sessionId": SESSION_ID,
    "role": "user",
    "content": QUESTION,
    "status": "complete",
    "metadata": {},
    "createdAt": _ASKED_MS,
}
_pages = {"page": 1, "limit": 20, "total": 1, "pages": 1, "nextCursor": None}

PERSONA: Json = {
    "personaId": PERSONA_ID,
    "name": "Travel desk",
    "kind": "webhook",
    "model": None,
    "timeoutMs": 10000,
    "answers": "direct",
    "isActive": True,
    "hasSecret": True,
    "createdAt": _ASKED_MS,
    "updatedAt": _ASKED_MS,
}
PERSONA_IN_FULL: Json = {
    **PERSONA,
    "webhookUrl": "https://flows.example.com/webhook/travel",
    "baseUrl": None,
    "systemPrompt": None,
    "circuit": {"state": "closed", "failures": 0, "openedAt": None},
}
CONVERSATION: Json = {
    "conversationId": CONVERSATION_ID,
    "personaId": PERSONA_ID,
    "title": "Summer trip",
    "createdAt": _ASKED_MS,
    "updatedAt": _ASKED_MS,
    "lastMessageAt": _ANSWERED_MS,
}
_reply = {**ENVELOPE_MESSAGE, "messageId": 4712, "role": "assistant", "content": REPLY, "createdAt": _ANSWERED_MS}
EXCHANGE: Json = {"sessionId": SESSION_ID, "status": "COMPLETED", "userMessage": ENVELOPE_MESSAGE, "reply": _reply}
_without_reply: Json = {"sessionId": SESSION_ID, "userMessage": ENVELOPE_MESSAGE, "reply": None}
FIGURES: Json = {
    "total": 150,
    "active": 5,
    "byStatus": {"ACTIVE": 5, "COMPLETED": 140, "FAILED": 5},
    "successRate": 0.9655,
    "averageResponseTimeMs": 812.5,
    "p95ResponseTimeMs": 2413,
    "failures": {"timeout": 3, "bad_status": 2},
}
API_KEY: Json = {
    "keyId": "5b1f0c3e-7d0a-4f3e-8a52-9c4e6f2d1b70",
    "name": "Web shop",
    "scopes": ["read", "write"],
    "status": "active",
    "beginsWith": KEY[:4],
    "endsWith": KEY[-4:],
    "createdBy": USER_ID,
    "createdAt": _ASKED_MS,
    "expiresAt": None,
    "lastUsedAt": None,
    "revokedAt": None,
}
RECEIPT: Json = {
    "receiptId": "5a1d7c0e-3c55-4a2b-9d0e-8f1b2c3d4e5f",
    "status": "FINISHED",
    "askedBy": "self",
    "keepsAccount": False,
    "counts": {
        "sessions": 12,
        "messages": 340,
        "conversations": 2,
        "idempotencyKeys": 5,
        "revokedTokens": 1,
        "signInRecords": 2,
        "auditEvents": 9,
        "apiKeys": 0,
        "accounts": 1,
    },
    "userDigest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "fileRewritten": True,
    "startedAt": _ASKED_MS,
    "finishedAt": _ANSWERED_MS,
}

ENVELOPE: dict[str, Json] = {
    "EnvelopeApiKeyCreate": {
        "For a back end": {"name": "Web shop", "scopes": ["read", "write"]},
        "For three months": {"name": "Reports", "scopes": ["read"], "expiresInDays": 90},
    },
    "EnvelopeApiKey": {"In use": {**API_KEY, "lastUsedAt": _ANSWERED_MS}, "Revoked": {**API_KEY, "status": "revoked", "revokedAt": _ANSWERED_MS}},
    "EnvelopeApiKeyMade": {"The key, this once": {**API_KEY, "key": KEY}, "In a replay": {**API_KEY, "key": None}},
    "EnvelopeApiKeys": {"A page": {"keys": [API_KEY], "pagination": _pages}},
    "EnvelopeSessionCreate": {
        "Everything": {"title": "My Plant Chat", "meta": {"plantType": "indoor", "difficulty": "beginner"}},
        "Nothing": {},
    },
    "EnvelopeTitleChange": {"A name": {"title": "Updated Chat Title"}, "Back to the title by itself": {"title": None}},
    "EnvelopeMetaChange": {"All of it anew": {"meta": {"plantType": "outdoor", "difficulty": "advanced", "notes": "Added more details"}}},
    "EnvelopeSession": {"A session": ENVELOPE_SESSION},
    "EnvelopeMessage": {"A message": ENVELOPE_MESSAGE},
    "EnvelopeSessions": {"A page": {"sessions": [ENVELOPE_SESSION], "pagination": _pages}},
    "EnvelopeAllSessions": {
        "With exchanges": {
            "sessions": [ENVELOPE_EXCHANGE, ENVELOPE_SESSION],
            "pagination": {"limit": 2, "offset": 0, "total": 45, "nextCursor": CURSOR},
        },
    },
    "EnvelopeMessages": {"A page": {"messages": [ENVELOPE_MESSAGE], "pagination": _pages}},
    "EnvelopeErased": {"Erased": {"sessionId": SESSION_ID, "deletedMessages": 15}},
    "EnvelopePersonaCreate": {
        "An n8n flow": {"name": "Travel desk", "kind": "webhook", "webhookUrl": "https://flows.example.com/webhook/travel", "secret": "a shared secret"},
        "A model": {"name": "Poet", "kind": "openai", "model": "gpt-5-mini", "systemPrompt": "Answer in rhymes."},
    },
    "EnvelopePersonaChange": {
        "Another address": {"webhookUrl": "https://flows.example.com/webhook/travel-2"},
        "Not for now": {"isActive": False},
        "Another secret, beside the one before for two days": {"secret": "another shared secret", "previousSecretHours": 48},
        "The secret before ends at once": {"previousSecretHours": 0},
    },
    "EnvelopePersona": {"As everybody sees it": PERSONA},
    "EnvelopePersonaInFull": {"As an admin sees it": PERSONA_IN_FULL},
    "EnvelopePersonas": {"A page": {"personas": [PERSONA], "pagination": _pages}},
    "EnvelopePersonaGone": {"Deleted": {"personaId": PERSONA_ID}},
    "EnvelopeConversationCreate": {"With a persona": {"personaId": PERSONA_ID, "title": "Summer trip"}},
    "EnvelopeConversation": {"A conversation": CONVERSATION},
    "EnvelopeConversations": {"A page": {"conversations": [CONVERSATION], "pagination": _pages}},
    "EnvelopeExchangeSend": {"A message": {"message": QUESTION, "metadata": {"page": "/pricing"}}},
    "EnvelopeExchange": {"Message and reply": EXCHANGE},
    "EnvelopeTaken": {"Taken on": {"success": True, "message": "Message accepted; the answer comes later", "data": {**_without_reply, "status": "ACTIVE"}}},
    "EnvelopeExchangeFailure": {
        "The webhook failed": {"success": False, "message": "The webhook has a fault (500).", "data": {**_without_reply, "status": "FAILED"}}
    },
    "EnvelopeCallback": {"The answer": {"output": REPLY}},
    "EnvelopeAnswered": {"Received": {"sessionId": SESSION_ID, "status": "COMPLETED"}},
    "EnvelopeStats": {"Figures": FIGURES},
    "EnvelopeStatsByDay": {"With a series": {**FIGURES, "series": [{"day": "2026-11-20", **FIGURES}]}},
    "EnvelopeCleanup": {"Older than a day": {"maxAgeHours": 24}},
    "EnvelopeCleaned": {"Done": {"timedOut": 3}},
    "EnvelopeReceipt": {"Done": RECEIPT},
    "EnvelopeErasureBegun": {
        "Begun": {
            "success": True,
            "message": "Erasure begun; its receipt says when it is finished",
            "data": {**RECEIPT, "status": "RUNNING", "fileRewritten": None, "finishedAt": None},
        }
    },
    "EnvelopeAudit": {
        "A page": {
            "events": [
                {
                    "eventId": 42,
                    "action": "persona.created",
                    "actorId": USER_ID,
                    "subject": PERSONA_ID,
                    "details": {"name": "Travel desk", "kind": "webhook"},
                    "createdAt": _ASKED_MS,
                }
            ],
            "pagination": _pages,
        }
    },
}
