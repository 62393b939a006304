"""The way through `/api`: a session with its metadata, a persona and conversations with it, exchanges and how they end, figures, erasing."""

from __future__ import annotations

from tools.postman.enveloped import ONE, REFUSAL, SESSION, SESSIONS, STATS, kept, refused, said
from tools.postman.golden_admins import FOR_ADMINS, WITH_KEYS
from tools.postman.refusals import UNKNOWN, blank_title, nobody, unknown_session
from tools.postman.steps import Step

MESSAGE = "messageId sessionId role content status metadata createdAt"
PERSONA = "data: personaId name kind model timeoutMs answers isActive hasSecret createdAt updatedAt"
CONVERSATION = "data: conversationId personaId title createdAt updatedAt lastMessageAt"
EXCHANGE = f"{SESSIONS}/{{session_id=exchangeId}}"
TALKS = "/api/conversations"
TALK = f"{TALKS}/{{conversation_id}}"
PERSONAS = "/api/personas"
PLANT = {"plantType": "indoor", "difficulty": "beginner"}
MOVED = {"plantType": "outdoor", "difficulty": "advanced", "notes": "Added more details"}
MILLISECONDS = "to.match(/^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$/)"

WITH_SESSIONS = (
    Step(
        "Create a session",
        f"POST {SESSIONS}",
        201,
        body={"title": "My Plant Chat {{run}}", "meta": PLANT},
        shape=SESSION,
        values=said("Session created successfully", title="My Plant Chat {{run}}", meta=PLANT, status="ACTIVE", messagesCount=0, lastMessageAt=None),
        also={"times have milliseconds": f"pm.expect(body.data.createdAt).{MILLISECONDS};"},
        keep=kept(sessionId="sessionId"),
    ),
    Step(
        "List by page",
        f"GET {SESSIONS}?page=1&limit=20",
        200,
        shape="data.pagination: page limit total pages nextCursor",
        values=said("Sessions retrieved successfully", **{"pagination.page": 1, "pagination.limit": 20, "sessions[0].sessionId": "{{sessionId}}"}),
    ),
    Step(
        "Search in titles",
        f"GET {SESSIONS}?search=plant%20chat%20{{{{run}}}}",
        200,
        values=said("Sessions retrieved successfully", **{"pagination.total": 1, "sessions[0].sessionId": "{{sessionId}}", "sessions[0].meta": PLANT}),
    ),
    Step("Read it", f"GET {ONE}", 200, shape=SESSION, values=said("Session retrieved successfully", sessionId="{{sessionId}}", title="My Plant Chat {{run}}")),
    Step(
        "Rename it",
        f"PUT {ONE}/title",
        200,
        body={"title": "Updated Chat Title"},
        shape=SESSION,
        values=said("Session title updated successfully", title="Updated Chat Title"),
    ),
    Step(
        "Replace its metadata",
        f"PUT {ONE}/meta",
        200,
        body={"meta": MOVED},
        shape=SESSION,
        values=said("Session metadata updated successfully", meta=MOVED),
    ),
    Step(
        "A message comes from another face",
        "POST /api/v1/chat-sessions/{session_id}/messages",
        201,
        body={"content": "Does it need shade?", "message_type": "user"},
        values={"session_id": "{{sessionId}}"},
    ),
    Step(
        "It counts here",
        f"GET {ONE}",
        200,
        values=said("Session retrieved successfully", messagesCount=1, lastMessage="Does it need shade?", title="Updated Chat Title"),
    ),
    Step(
        "Its messages",
        f"GET {ONE}/messages",
        200,
        shape=f"data.messages[0]: {MESSAGE}",
        values=said("Messages retrieved successfully", **{"messages.length": 1, "messages[0].role": "user", "messages[0].content": "Does it need shade?"}),
    ),
    Step("Cancel it", f"PATCH {ONE}/cancel", 200, shape=SESSION, values=said("Session cancelled successfully", status="CANCELLED")),
    Step("Once is enough", f"PATCH {ONE}/cancel", 409, values=refused()),
    Step(
        "Erase it with its messages",
        f"DELETE {ONE}",
        200,
        shape="data: sessionId deletedMessages",
        values=said("Session deleted successfully", sessionId="{{sessionId}}", deletedMessages=1),
    ),
    Step("It is gone for good", f"GET {ONE}", 404, shape=REFUSAL, values=refused("Session not found")),
)

WITH_PERSONAS = (
    Step("Only admins make personas", f"POST {PERSONAS}", 403, body={"name": "Mine {{run}}", "kind": "echo"}, values=refused("Only an admin may do this")),
    Step(
        "Make a persona",
        f"POST {PERSONAS}",
        201,
        body={"name": "Travel desk {{run}}", "kind": "echo"},
        who="adminToken",
        shape=f"{PERSONA} webhookUrl baseUrl systemPrompt circuit",
        values=said("Persona created successfully", name="Travel desk {{run}}", kind="echo", isActive=True, hasSecret=False),
        keep=kept(personaId="personaId"),
    ),
    Step("People see neither addresses nor prompts", f"GET {PERSONAS}/{{persona_id}}", 200, shape=PERSONA, values=said("Persona retrieved successfully")),
    Step(
        "Make another one",
        f"POST {PERSONAS}",
        201,
        body={"name": "Spare {{run}}", "kind": "echo"},
        who="adminToken",
        keep=kept(spareId="personaId"),
    ),
    Step(
        "Switch it off",
        f"PATCH {PERSONAS}/{{persona_id=spareId}}",
        200,
        body={"isActive": False},
        who="adminToken",
        values=said("Persona updated successfully", isActive=False, name="Spare {{run}}"),
    ),
    Step("Nobody can talk with it", f"POST {TALKS}", 409, body={"personaId": "{{spareId}}"}, values=refused()),
    Step(
        "Delete it",
        f"DELETE {PERSONAS}/{{persona_id=spareId}}",
        200,
        who="adminToken",
        values=said("Persona deleted successfully", personaId="{{spareId}}"),
    ),
)

WITH_CONVERSATIONS = (
    Step(
        "Begin a conversation",
        f"POST {TALKS}",
        201,
        body={"personaId": "{{personaId}}", "title": "Summer trip"},
        shape=CONVERSATION,
        values=said("Conversation created successfully", personaId="{{personaId}}", title="Summer trip", lastMessageAt=None),
        keep=kept(conversationId="conversationId"),
    ),
    Step(
        "Send a message; the answer comes with it",
        f"POST {TALK}/messages",
        201,
        body={"message": "Where is it warm in May?", "metadata": {"page": "/pricing"}},
        shape="data: sessionId status userMessage reply",
        values=said("Message sent successfully", status="COMPLETED", **{"userMessage.content": "Where is it warm in May?", "reply.role": "assistant"}),
        keep=kept(exchangeId="sessionId"),
    ),
    Step(
        "Each message is a session of its own",
        f"GET {EXCHANGE}",
        200,
        shape=SESSION,
        values=said("Session retrieved successfully", status="COMPLETED", conversationId="{{conversationId}}", personaId="{{personaId}}", messagesCount=2),
        also={
            "with where it came from": 'pm.expect(body.data.meta).to.include({page: "/pricing"}).and.include.keys("userAgent", "ipAddress");',
            "and how long it took": "pm.expect(body.data.durationMs).to.be.at.least(0);",
        },
    ),
    Step("No exchange runs", f"GET {TALK}/chat-sessions", 200, values=said("Sessions retrieved successfully", sessions=[])),
    Step(
        "One has ended",
        f"GET {TALK}/chat-sessions?status=ALL",
        200,
        values=said("Sessions retrieved successfully", **{"sessions[0].sessionId": "{{exchangeId}}"}),
    ),
    Step(
        "Send one and do not wait",
        f"POST {TALK}/messages",
        202,
        body={"message": "word " * 1500},
        headers={"Prefer": "respond-async"},
        shape="data: sessionId status userMessage reply",
        values={"success": True, "data.status": "ACTIVE", "data.reply": None},
        keep=kept(exchangeId="sessionId"),
    ),
    Step(
        "It is among the active ones",
        f"GET {SESSIONS}?status=ACTIVE&conversationId={{{{conversationId}}}}&limit=50&offset=0",
        200,
        shape="data.pagination: limit offset total nextCursor",
        values=said("Sessions retrieved successfully", **{"sessions[0].sessionId": "{{exchangeId}}", "pagination.total": 1, "pagination.offset": 0}),
    ),
    Step("Cancel it", f"PATCH {EXCHANGE}/cancel", 200, shape=SESSION, values=said("Session cancelled successfully", status="CANCELLED")),
    Step(
        "What was said",
        f"GET {TALK}/messages",
        200,
        shape=f"data.messages[0]: {MESSAGE}",
        also={"both questions are kept": 'pm.expect(body.data.messages.filter((one) => one.role === "user")).to.have.lengthOf(2);'},
    ),
    Step(
        "Rename the conversation",
        f"PUT {TALK}/title",
        200,
        body={"title": "May"},
        shape=CONVERSATION,
        values=said("Conversation updated successfully", title="May"),
    ),
    Step(
        "Figures of the persona",
        f"GET {SESSIONS}/stats?personaId={{{{personaId}}}}",
        200,
        shape=STATS,
        values=said("Statistics retrieved successfully", total=2, active=0, byStatus={"COMPLETED": 1, "CANCELLED": 1}, successRate=0.5, failures={}),
    ),
    Step(
        "Day by day",
        f"GET {SESSIONS}/stats?personaId={{{{personaId}}}}&groupBy=day",
        200,
        shape=f"{STATS} series",
        values=said("Statistics retrieved successfully"),
    ),
    Step("A persona in use stays", f"DELETE {PERSONAS}/{{persona_id}}", 409, who="adminToken", values=refused()),
)

REFUSED = (
    unknown_session(SESSIONS, REFUSAL, refused("Session not found")),
    blank_title(SESSIONS, REFUSAL, refused()),
    Step("Pages and offsets do not mix", f"GET {SESSIONS}?page=1&offset=0", 400, values=refused()),
    Step("An unknown persona", f"POST {TALKS}", 404, body={"personaId": UNKNOWN}, values=refused()),
    nobody(SESSIONS, REFUSAL, refused()),
)

STEPS = (*WITH_SESSIONS, *WITH_PERSONAS, *WITH_CONVERSATIONS, *WITH_KEYS, *FOR_ADMINS, *REFUSED)
