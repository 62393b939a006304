"""The way through `/api/v1`: a session from its making to its archive, a chat by reply and by stream, and what is refused."""

from __future__ import annotations

from tools.postman.refusals import blank_title, nobody, unknown_session
from tools.postman.steps import Step

SESSION = "id user_id title agent_type status is_active metadata message_count last_message last_message_at created_at updated_at"
MESSAGE = "id session_id content message_type agent_type status metadata created_at edited_at"
PAGE = "total page page_size total_pages next_cursor"
STATS = "user_id total_sessions active_sessions total_messages sessions_by_agent_type most_recent_session oldest_session"
SESSIONS = "/api/v1/chat-sessions"
ONE = f"{SESSIONS}/{{session_id}}"
CHAT = "/api/v1/chat/sessions"
NOT_FOUND = {"detail": "Session not found"}

# A reply of a quarter of a minute is begun and not waited for; the same key again says its id while it runs, and with the id it is stopped.
STOP_ONE = """
const url = pm.variables.replaceIn("{{baseUrl}}/api/v1/chat");
const header = {
  "Authorization": `Bearer ${pm.variables.get("token")}`,
  "Content-Type": "application/json",
  "Idempotency-Key": pm.variables.replaceIn("{{$guid}}"),
};
const raw = JSON.stringify({message: "word ".repeat(1500)});
const send = (then) => pm.sendRequest({url, method: "POST", header, body: {mode: "raw", raw}}, then);
const stop = (tries) => send((_, answer) => {
  const id = answer && answer.code === 409 && answer.json().reply_id;
  if (id) {
    pm.collectionVariables.set("stoppedId", id);
    pm.sendRequest({url: `${url}/stream/${id}/cancel`, method: "POST", header: {Authorization: header.Authorization}}, () => {});
  } else if (tries) {
    setTimeout(() => stop(tries - 1), 100);
  }
});
send(() => {});
setTimeout(() => stop(20), 300);
"""

WITH_SESSIONS = (
    Step(
        "Create a session",
        f"POST {SESSIONS}",
        201,
        body={"title": "Payments {{run}}", "agent_type": "primary", "metadata": {"source": "website"}, "is_active": True},
        shape=SESSION,
        values={
            "title": "Payments {{run}}",
            "agent_type": "primary",
            "status": "ACTIVE",
            "is_active": True,
            "metadata": {"source": "website"},
            "message_count": 0,
        }
        | {"last_message": None, "last_message_at": None},
        keep={"sessionId": "body.id", "userId": "body.user_id"},
    ),
    Step(
        "A person writes",
        f"POST {ONE}/messages",
        201,
        body={"content": "Hello, how can you help?", "message_type": "user", "metadata": {"timestamp": "2024-01-01T00:00:00Z"}},
        shape=MESSAGE,
        values={"session_id": "{{sessionId}}", "content": "Hello, how can you help?", "message_type": "user", "agent_type": None, "status": "complete"}
        | {"metadata": {"timestamp": "2024-01-01T00:00:00Z"}, "edited_at": None},
        keep={"messageId": "body.id"},
    ),
    Step(
        "An agent answers",
        f"POST {ONE}/messages",
        201,
        body={"content": "I can help you with payments.", "message_type": "assistant", "agent_type": "primary", "metadata": {}},
        values={"message_type": "assistant", "agent_type": "primary"},
        also={"comes after the question": 'pm.expect(body.id).to.be.above(Number(pm.variables.get("messageId")));'},
        keep={"answerId": "body.id"},
    ),
    Step(
        "List the active sessions of an agent",
        f"GET {SESSIONS}?agent_type=primary&is_active=true&page=1&page_size=10",
        200,
        shape=f"sessions {PAGE}",
        values={"page": 1, "page_size": 10, "sessions[0].id": "{{sessionId}}", "sessions[0].message_count": 2},
        also={"shows what was said last": 'pm.expect(body.sessions[0].last_message).to.eql("I can help you with payments.");'},
    ),
    Step(
        "Search in titles, whatever the case",
        f"GET {SESSIONS}?search=PAYMENTS%20{{{{run}}}}",
        200,
        values={"total": 1, "total_pages": 1, "next_cursor": None, "sessions[0].id": "{{sessionId}}", "sessions[0].title": "Payments {{run}}"},
    ),
    Step(
        "Read it with its messages",
        f"GET {ONE}",
        200,
        shape=f"{SESSION} messages has_more_messages",
        values={"messages.length": 2, "messages[0].id": "{{messageId}}", "messages[1].id": "{{answerId}}", "has_more_messages": False, "message_count": 2},
    ),
    Step("Read it without them", f"GET {ONE}?include_messages=false", 200, shape=SESSION, values={"id": "{{sessionId}}"}),
    Step(
        "List its messages of one kind",
        f"GET {ONE}/messages?page=1&page_size=50&message_type=assistant",
        200,
        shape=f"messages {PAGE}",
        values={"total": 1, "messages[0].id": "{{answerId}}"},
    ),
    Step(
        "List them newest first, one to a page",
        f"GET {ONE}/messages?order=desc&page_size=1",
        200,
        values={"total": 2, "total_pages": 2, "messages[0].id": "{{answerId}}"},
        also={"there is more": 'pm.expect(body.next_cursor).to.be.a("string");'},
        keep={"cursor": "body.next_cursor"},
    ),
    Step(
        "Go on where that page ended",
        f"GET {ONE}/messages?order=desc&page_size=1&cursor={{{{cursor}}}}",
        200,
        values={"messages.length": 1, "messages[0].id": "{{messageId}}", "next_cursor": None},
    ),
    Step(
        "Edit a message",
        f"PUT {ONE}/messages/{{message_id}}",
        200,
        body={"content": "How can you help with payments?"},
        shape=MESSAGE,
        values={"id": "{{messageId}}", "content": "How can you help with payments?"},
        also={"says when": 'pm.expect(body.edited_at).to.be.a("string");'},
    ),
    Step(
        "Rename it, with other metadata",
        f"PUT {ONE}",
        200,
        body={"title": "Updated {{run}}", "metadata": {"updated": True}},
        shape=SESSION,
        values={"title": "Updated {{run}}", "metadata": {"updated": True}, "is_active": True},
    ),
    Step(
        "Give the title back: it comes from the first message",
        f"PUT {ONE}",
        200,
        body={"title": None},
        values={"title": "How can you help with payments?"},
    ),
    Step("Archive it", f"DELETE {ONE}", 200, shape=SESSION, values={"id": "{{sessionId}}", "status": "COMPLETED", "is_active": False, "message_count": 2}),
    Step("It stays readable", f"GET {ONE}", 200, values={"is_active": False, "messages.length": 2}),
    Step("Resume it", f"PUT {ONE}", 200, body={"is_active": True}, values={"status": "ACTIVE", "is_active": True}),
    Step(
        "Figures",
        f"GET {SESSIONS}/stats/user",
        200,
        shape=STATS,
        values={"user_id": "{{userId}}"},
        also={
            "count what was made": "pm.expect(body.total_sessions).to.be.at.least(1) && pm.expect(body.total_messages).to.be.at.least(2);",
            "count by agent": "pm.expect(body.sessions_by_agent_type.primary).to.be.at.least(1);",
            "no more active ones than there are": "pm.expect(body.active_sessions).to.be.within(1, body.total_sessions);",
        },
    ),
)

WITH_REPLIES = (
    Step(
        "Ask, in a new chat",
        "POST /api/v1/chat",
        200,
        body={"message": "Which payment processors do you integrate with? {{run}}"},
        shape="session_id user_message assistant_message",
        values={"user_message.content": "Which payment processors do you integrate with? {{run}}", "assistant_message.status": "complete"},
        also={"has an answer": "pm.expect(body.assistant_message.content).to.have.lengthOf.at.least(1);"},
        keep={"chatId": "body.session_id", "replyId": "body.assistant_message.id"},
    ),
    Step(
        "Go on with it",
        "POST /api/v1/chat",
        200,
        body={"message": "And which of them in Brazil?", "session_id": "{{chatId}}", "metadata": {"source": "website"}},
        values={"session_id": "{{chatId}}", "user_message.metadata": {"source": "website"}, "assistant_message.message_type": "assistant"},
        keep={"replyId": "body.assistant_message.id", "questionId": "body.user_message.id"},
    ),
    Step(
        "Ask for another answer",
        "POST /api/v1/chat",
        200,
        body='{"session_id": "{{chatId}}", "retry": {{replyId}}}',
        values={"user_message.id": "{{questionId}}"},
        also={"is a new message": 'pm.expect(body.assistant_message.id).to.be.above(Number(pm.variables.get("replyId")));'},
    ),
    Step(
        "Follow a reply as it is written",
        "POST /api/v1/chat/stream",
        200,
        body={"message": "Tell me about shade plants", "session_id": "{{chatId}}"},
        is_json=False,
        also={
            "is a stream": 'pm.expect(pm.response.headers.get("Content-Type")).to.include("text/event-stream");',
            "begins with the session and ends well": "pm.expect(pm.response.text()).to.match(/^event: session\\n[^]*event: delta\\n[^]*event: done\\n/);",
        },
        keep={"replyId": 'Number(/"reply_id":(\\d+)/.exec(pm.response.text())[1])'},
    ),
    Step(
        "Take it up again after its fifth character",
        "GET /api/v1/chat/stream/{reply_id}",
        200,
        headers={"Last-Event-ID": "5"},
        is_json=False,
        also={"has the rest, and its end": "pm.expect(pm.response.text()).to.match(/event: delta\\n[^]*event: done\\n/).and.not.include('event: session');"},
    ),
    Step("A reply that has ended cannot be stopped", "POST /api/v1/chat/stream/{reply_id}/cancel", 409, shape="detail"),
    Step(
        "One that is being written can; again is as good as once",
        "POST /api/v1/chat/stream/{reply_id=stoppedId}/cancel",
        200,
        before=tuple(STOP_ONE.strip().splitlines()),
        shape=MESSAGE,
        values={"id": "{{stoppedId}}", "status": "cancelled"},
        keep={"stoppedIn": "body.session_id"},
    ),
    Step(
        "The chats of the sidebar",
        f"GET {CHAT}?page=1&page_size=50",
        200,
        shape=f"sessions {PAGE}",
        values={"page": 1, "page_size": 50, "sessions[0].session_id": "{{stoppedIn}}", "sessions[1].session_id": "{{chatId}}", "sessions[1].message_count": 6},
        also={
            "each has what a sidebar shows": "body.sessions.forEach((one) => pm.expect(one).to.have.all.keys("
            '"session_id", "title", "last_message", "message_count", "created_at", "updated_at"));',
            "the title is the first question, its first 50 characters": "pm.expect(body.sessions[1].title).to.eql("
            'pm.variables.replaceIn("Which payment processors do you integrate with? {{run}}").slice(0, 50));',
            "newest first": "pm.expect(body.sessions.map((one) => one.updated_at)).to.eql(body.sessions.map((one) => one.updated_at).sort().reverse());",
        },
    ),
    Step("Those of one's own id", f"GET {CHAT}?user_id={{{{userId}}}}", 200, also={"some": "pm.expect(body.total).to.be.at.least(2);"}),
    Step("Not those of others", f"GET {CHAT}?user_id=somebody-else", 403, shape="detail"),
    Step("Read a chat", f"GET {CHAT}/{{session_id=chatId}}", 200, values={"session_id": "{{chatId}}", "messages.length": 6, "has_more_messages": False}),
    Step("Delete it", f"DELETE {CHAT}/{{session_id=chatId}}", 204, is_json=False),
    Step("Then it is gone", f"GET {CHAT}/{{session_id=chatId}}", 404, values=NOT_FOUND),
)

REFUSED = (
    unknown_session(SESSIONS, "detail", NOT_FOUND),
    blank_title(SESSIONS, "detail"),
    Step("A page that is too large", f"GET {SESSIONS}?page_size=101", 400, values={"errors[0].field": "page_size"}),
    Step(
        "A kind of message that is not there",
        f"POST {ONE}/messages",
        400,
        body={"content": "Hello", "message_type": "robot"},
        values={"errors[0].field": "message_type"},
    ),
    nobody(SESSIONS, "detail"),
    Step("A token that is none", f"GET {SESSIONS}", 401, who="run", shape="detail"),
)

STEPS = (*WITH_SESSIONS, *WITH_REPLIES, *REFUSED)
