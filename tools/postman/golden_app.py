"""The way through `/auths` and `/chat/sessions`: an account, a chat as the page keeps it, deleting and bringing back."""

from __future__ import annotations

from tools.postman.refusals import nobody
from tools.postman.steps import Step

SESSION = "_id user_id title message_count last_message_at created_at updated_at"
MESSAGE = "_id session_id user_id content role status created_at edited_at"
TOKENS = "access_token refresh_token token_type expires_in"
SESSIONS = "/chat/sessions"
ONE = f"{SESSIONS}/{{session_id}}"
MESSAGES = f"{ONE}/messages"
SAID = f"{MESSAGES}/{{message_id}}"
WORDS = "a long password {{run}}"

WITH_ACCOUNTS = (
    Step(
        "Make an account",
        "POST /auths/register",
        201,
        body={"username": "friend-{{run}}", "password": WORDS},
        who="",
        shape="id username role",
        values={"username": "friend-{{run}}", "role": "USER"},
        keep={"friendId": "body.id"},
    ),
    Step(
        "Sign in by form",
        "POST /auths/login",
        200,
        form={"username": "friend-{{run}}", "password": WORDS},
        who="",
        shape=TOKENS,
        values={"token_type": "bearer"},
        keep={"friendToken": "body.access_token", "friendRefreshToken": "body.refresh_token"},
    ),
    Step("Who that is", "GET /auths/me", 200, who="friendToken", shape="id username role", values={"id": "{{friendId}}", "username": "friend-{{run}}"}),
    Step("A wrong password", "POST /auths/login", 401, form={"username": "friend-{{run}}", "password": "not the password"}, who="", shape="detail"),
    Step(
        "Trade the refresh token",
        "POST /auths/refresh",
        200,
        body={"refresh_token": "{{friendRefreshToken}}"},
        who="",
        shape=TOKENS,
        also={"for another one": 'pm.expect(body.refresh_token).to.not.eql(pm.variables.get("friendRefreshToken"));'},
        keep={"friendToken": "body.access_token"},
    ),
    Step("The list of accounts is for admins", "GET /auths/users", 403, who="friendToken", shape="detail"),
    Step(
        "An admin sees them",
        "GET /auths/users?limit=100",
        200,
        who="adminToken",
        also={"all that the document names": 'body.forEach((one) => pm.expect(one).to.have.all.keys("id", "username", "role", "created_at", "is_disabled"));'},
    ),
)

WITH_CHATS = (
    Step(
        "Create a chat",
        f"POST {SESSIONS}",
        201,
        body={"title": "My First Chat {{run}}"},
        shape=SESSION,
        values={"title": "My First Chat {{run}}", "message_count": 0, "last_message_at": None},
        keep={"sessionId": "body._id"},
    ),
    Step(
        "Send a message",
        f"POST {MESSAGES}",
        201,
        body={"content": "Hello!"},
        shape=MESSAGE,
        values={"session_id": "{{sessionId}}", "content": "Hello!", "role": "user", "status": "complete", "edited_at": None},
        keep={"messageId": "body._id"},
    ),
    Step("An assistant answers", f"POST {MESSAGES}", 201, body={"content": "Hello, what is it?", "role": "assistant"}, values={"role": "assistant"}),
    Step(
        "Read the messages",
        f"GET {MESSAGES}",
        200,
        values={"length": 2, "[0]._id": "{{messageId}}", "[0].role": "user", "[1].role": "assistant", "[1].content": "Hello, what is it?"},
    ),
    Step(
        "Newest first, one at a time",
        f"GET {MESSAGES}?order=desc&limit=1",
        200,
        values={"length": 1, "[0].role": "assistant"},
        also={"Link names the next part": 'pm.expect(pm.response.headers.get("Link")).to.match(/rel="?next"?/);'},
    ),
    Step("Edit a message", f"PUT {SAID}", 200, body={"content": "Hello again!"}, shape=MESSAGE, values={"_id": "{{messageId}}", "content": "Hello again!"}),
    Step("List the chats", f"GET {SESSIONS}", 200, values={"[0]._id": "{{sessionId}}", "[0].message_count": 2}),
    Step("Search in titles", f"GET {SESSIONS}?search=first%20chat%20{{{{run}}}}", 200, values={"length": 1, "[0]._id": "{{sessionId}}"}),
    Step("Read a chat", f"GET {ONE}", 200, shape=SESSION, values={"_id": "{{sessionId}}", "title": "My First Chat {{run}}", "message_count": 2}),
    Step("Rename it", f"PUT {ONE}", 200, body={"title": "Payments {{run}}"}, shape=SESSION, values={"title": "Payments {{run}}"}),
    Step("Somebody else does not find it", f"GET {ONE}", 404, who="friendToken", shape="detail", values={"detail": "Session not found"}),
    Step("Delete a message", f"DELETE {SAID}", 204, is_json=False),
    Step("It counts no more", f"GET {ONE}", 200, values={"message_count": 1}),
    Step("Bring it back", f"POST {SAID}/restore", 200, shape=MESSAGE, values={"_id": "{{messageId}}", "content": "Hello again!"}),
    Step("It stands where it stood", f"GET {MESSAGES}", 200, values={"length": 2, "[0]._id": "{{messageId}}"}),
    Step("Delete the chat", f"DELETE {ONE}", 204, is_json=False),
    Step("It is gone", f"GET {ONE}", 404, values={"detail": "Session not found"}),
    Step("It is among the deleted ones", f"GET {SESSIONS}?deleted=true&search={{{{run}}}}", 200, values={"length": 1, "[0]._id": "{{sessionId}}"}),
    Step("Bring the chat back", f"POST {ONE}/restore", 200, shape=SESSION, values={"_id": "{{sessionId}}", "title": "Payments {{run}}", "message_count": 2}),
)

REFUSED = (
    Step("A message that says nothing", f"POST {MESSAGES}", 400, body={"content": " "}, shape="detail errors", values={"errors[0].field": "content"}),
    Step("A field that is not there", f"POST {SESSIONS}", 400, body={"name": "My chat"}, values={"errors[0].field": "name"}),
    nobody(SESSIONS, "detail"),
    Step("Sign out", "POST /auths/logout", 204, who="friendToken", is_json=False),
    Step("The token is good no more", "GET /auths/me", 401, who="friendToken", shape="detail"),
)

STEPS = (*WITH_ACCOUNTS, *WITH_CHATS, *REFUSED)
