"""One small story, told in the values of every example; a test holds each against its schema."""

from __future__ import annotations

from typing import Any

import orjson

from chatsvc.api.openapi.examples_envelope import ENVELOPE, ENVELOPE_MESSAGE, ENVELOPE_SESSION
from chatsvc.api.openapi.prose import stream_example
from chatsvc.api.openapi.story import ANSWERED_AT, ASKED_AT, CURSOR, QUESTION, REPLY, SESSION_ID, TOKEN, USER_ID

Json = dict[str, Any]

_message: Json = {"session_id": SESSION_ID, "status": "complete", "metadata": {}, "edited_at": None}
USER_MESSAGE: Json = {"id": 4711, **_message, "content": QUESTION, "message_type": "user", "agent_type": None, "created_at": ASKED_AT}
ASSISTANT_MESSAGE: Json = {"id": 4712, **_message, "content": REPLY, "message_type": "assistant", "agent_type": "primary", "created_at": ANSWERED_AT}
FAILED_MESSAGE: Json = {**ASSISTANT_MESSAGE, "content": "", "status": "failed"}
BOTH = {"session_id": SESSION_ID, "user_message": USER_MESSAGE, "assistant_message": ASSISTANT_MESSAGE}

SESSION: Json = {
    "id": SESSION_ID,
    "user_id": USER_ID,
    "title": QUESTION,
    "agent_type": "primary",
    "status": "ACTIVE",
    "is_active": True,
    "metadata": {"source": "website"},
    "message_count": 2,
    "last_message": REPLY,
    "last_message_at": ANSWERED_AT,
    "created_at": ASKED_AT,
    "updated_at": ANSWERED_AT,
}
SUMMARY: Json = {
    "session_id": SESSION_ID,
    "title": QUESTION,
    "last_message": REPLY,
    "message_count": 2,
    "created_at": ASKED_AT,
    "updated_at": ANSWERED_AT,
}
APP_SESSION: Json = {
    "_id": SESSION_ID,
    "user_id": USER_ID,
    "title": QUESTION,
    "message_count": 2,
    "last_message_at": ANSWERED_AT,
    "created_at": ASKED_AT,
    "updated_at": ANSWERED_AT,
}
APP_MESSAGE: Json = {
    "_id": 4711,
    "session_id": SESSION_ID,
    "user_id": USER_ID,
    "content": QUESTION,
    "role": "user",
    "status": "complete",
    "created_at": ASKED_AT,
    "edited_at": None,
}
_thread = {"messages": [USER_MESSAGE, ASSISTANT_MESSAGE], "has_more_messages": False}
_paging = {"total": 45, "page": 1, "page_size": 1, "total_pages": 45, "next_cursor": CURSOR}
_me = {"id": USER_ID, "username": "alice", "role": "USER"}

# By the name of the schema; each example with the words above it.
EXAMPLES: dict[str, Json] = {
    "V1SessionCreate": {
        "Everything": {"title": "Payment processors", "agent_type": "primary", "metadata": {"source": "website"}, "is_active": True},
        "Nothing": {},
    },
    "V1SessionChange": {"Rename": {"title": "Payments"}, "Archive": {"is_active": False}, "Back to the title by itself": {"title": None}},
    "V1MessageCreate": {
        "From a person": {"content": QUESTION, "message_type": "user"},
        "From an agent": {"content": REPLY, "message_type": "assistant", "agent_type": "primary", "metadata": {"model": "echo"}},
    },
    "V1MessageEdit": {"New text": {"content": "Which payment processors do you support?"}},
    "V1ChatSend": {
        "A new chat": {"message": QUESTION},
        "Go on with a chat": {"message": "And which of them in Brazil?", "session_id": SESSION_ID, "metadata": {"source": "website"}},
        "Answer again": {"retry": 4712, "session_id": SESSION_ID},
    },
    "V1Session": {"A session": SESSION},
    "V1Thread": {"With messages": {**SESSION, **_thread}},
    "V1Message": {"A message": USER_MESSAGE},
    "V1Sessions": {"A page": {"sessions": [SESSION], **_paging}},
    "V1Messages": {"A page": {"messages": [USER_MESSAGE], **_paging}},
    "V1Summaries": {"A page": {"sessions": [SUMMARY], **_paging}},
    "V1Summary": {"A chat": SUMMARY},
    "V1SummaryThread": {"A chat": {**SUMMARY, **_thread}},
    "V1Chat": {"Question and reply": BOTH},
    "V1ChatFailure": {
        "The responder failed": {"detail": "The responder answered with status 500", **BOTH, "assistant_message": FAILED_MESSAGE},
    },
    "V1ReplyRunning": {"A reply is running": {"detail": "A reply is being written in this session already", "reply_id": 4712}},
    "V1Stats": {
        "Figures": {
            "user_id": USER_ID,
            "total_sessions": 10,
            "active_sessions": 3,
            "total_messages": 150,
            "sessions_by_agent_type": {"primary": 5, "log_analysis": 3, "research": 2},
            "most_recent_session": "2026-11-20T09:30:00.000000Z",
            "oldest_session": "2026-10-01T08:00:00.000000Z",
        },
    },
    "V1StreamSession": {"session": {"session_id": SESSION_ID, "user_message": USER_MESSAGE, "reply_id": 4712}},
    "V1StreamDelta": {"delta": {"content": "We integrate "}},
    "V1StreamDone": {"done": {"assistant_message": ASSISTANT_MESSAGE}},
    "V1StreamError": {"error": {"detail": "The responder took too long", "assistant_message": FAILED_MESSAGE}},
    **ENVELOPE,
    "AppSessionCreate": {"With a title": {"title": "My first chat"}, "Nothing": {}},
    "AppSessionRename": {"A new title": {"title": "Payments"}, "Back to the title by itself": {"title": None}},
    "AppSession": {"A chat": APP_SESSION},
    "AppMessageCreate": {"From a person": {"content": QUESTION}, "From an assistant": {"content": REPLY, "role": "assistant"}},
    "AppMessageEdit": {"New text": {"content": "Which payment processors do you support?"}},
    "AppMessage": {"A message": APP_MESSAGE},
    "AppLogin": {"Name and password": {"username": "alice", "password": "alicepass123"}},
    "AppRegister": {"A new account": {"username": "bob", "password": "correct horse battery"}},
    "AppRefresh": {"A refresh token": {"refresh_token": TOKEN}},
    "AppTokens": {"Tokens": {"access_token": TOKEN, "refresh_token": TOKEN, "token_type": "bearer", "expires_in": 3600}},
    "AppCookies": {"Cookies": {"token_type": "cookie", "expires_in": 3600, "csrf_token": "q1w2e3r4t5y6u7i8o9p0"}},
    "AppMe": {"You": _me},
    "AppUser": {"An account": {**_me, "created_at": ASKED_AT, "is_disabled": False}},
    "HealthHealth": {"Well": {"status": "ok"}},
    "HealthUnready": {"Not well": {"status": "unavailable", "checks": {"database": "does not answer"}}},
}

STREAM = stream_example(EXAMPLES["V1StreamSession"]["session"], {"assistant_message": ASSISTANT_MESSAGE}, ("We integrate ", "with Stripe ", "and Adyen."))
EXPORT = "".join(
    orjson.dumps(one).decode() + "\n"
    for one in (
        {"type": "export", "format": 1, "userId": USER_ID, "startedAt": "2026-11-20T10:00:00.000Z"},
        {"type": "session", **ENVELOPE_SESSION, "agentType": None, "titleFrom": "person", "deletedAt": None},
        {"type": "message", **ENVELOPE_MESSAGE, "agentType": None, "replyTo": None, "editedAt": None, "deletedAt": None},
        {"type": "end", "complete": True, "counts": {"session": 1, "message": 1}, "finishedAt": "2026-11-20T10:00:00.021Z"},
    )
)
