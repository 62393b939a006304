"""What the document says to people."""

from __future__ import annotations

from chatsvc.api.common import sse

TITLE = "chatsvc"

ABOUT = """\
Keeps chat sessions and their messages for AI and chat products. One store stands behind every face: a session made through one is seen through all.

**Signing in.** Send `Authorization: Bearer <token>`. `POST /auths/login` gives a token to local accounts; a token that your own product signed with the
service's key is as good. Pages of this service sign in by cookie (`X-Session: cookie` on login) and send the readable CSRF value back as `X-CSRF-Token` on
writes. What belongs to somebody else answers 404, exactly as what does not exist.

**A product with its own login** calls from its back end with `X-API-Key`, and names in `X-On-Behalf-Of` the user for whom it acts: any id of 1 to 255
characters. It then is that user, never an admin, unless the key has the scope `admin`. A key with the scope `read` only may read. Keys are made at
`POST /api/api-keys` or with `flask keys create`. `X-API-Key` and `Authorization` together are a 400.

**Errors.** Bad input is refused, never clamped, with 400 and one sentence that names every field at fault; `errors` lists them one by one. Unknown fields
and unknown query parameters are bad input too, and so are the character U+0000 and whole numbers beyond 64 bits. Bodies are JSON of at most 1 MiB.
The v1 and app faces answer
`{"detail", "errors"}`, the envelope face `{"success": false, "message", "errors"}`. Every answer carries `X-Request-ID`; name it when you report a problem.

**Trying again.** A POST that creates or sends takes an `Idempotency-Key`. The same request with the same key is done once and answered alike for 24 hours
(`Idempotent-Replayed: true`); the same key with another request is a 422. After 429 or 503 wait as long as `Retry-After` says.

**Lists** come in pages by number or by cursor, not both. A cursor costs the same at any depth: pass `next_cursor` on as `cursor` until it is null. A page
past the end is an empty list.

**Time** is UTC in ISO 8601 and ends in `Z`. Lengths are counted in Unicode code points.

**Streams** are server-sent events. Each event's `id` says how many code points of the reply have been sent; a client that was cut off goes on from there
with `Last-Event-ID`. A stream that ends without `done` or `error` was cut off.
"""

# Which path belongs to which face, the longest beginning first, and what each face is for.
FACES = (
    ("/api/v1/", "v1", "Sessions, messages, chat and streams: snake_case, the bare resource."),
    ("/api/", "envelope", "Sessions, conversations, personas and keys: camelCase, wrapped in `{success, message, data}`."),
    ("/auths", "app", "Accounts, and the chats of the page: snake_case, the bare resource."),
    ("/chat/", "app", ""),
    ("/", "service", "The service itself: whether it is well, and this document."),
)

STREAM = """\
Server-sent events. First (not when a reply is taken up again) `session`, then any number of `delta`, then exactly one of `done` (the reply has ended;
`assistant_message.status` is `complete` or `cancelled`) and `error` (it failed; what was written is kept). Every `id` is the number of code points sent
so far. A line that begins with `:` is a comment, sent at least every 15 seconds.

```
stream  = [session] *(delta / comment) (done / error)
event   = "event: " name LF "id: " number LF "data: " JSON LF LF
comment = ": ping" LF LF
```
"""

EXPORT = """\
One JSON object on each line, told apart by `type`. First `export` (`format` is 1); then `account` (if there is one here; never its password), `conversation`,
`session` with each `message` of it (and of an exchange, `meta`) after it, `idempotencyKey`, `revokedToken`, `signInRecord`, `auditEvent`, as many as there are,
deleted ones too, each as it was when it was read. Last `end` with `"complete": true` and how many there were of each; or `error`, which says what went
wrong. A file that ends with neither was cut off.

```
export = first *row (end / error)
first  = {"type": "export", "format": 1, "userId", "startedAt"} LF
end    = {"type": "end", "complete": true, "counts", "finishedAt"} LF
error  = {"type": "error", "complete": false, "message", "counts"} LF
```
"""

EVENTS = {"session": "V1StreamSession", "delta": "V1StreamDelta", "done": "V1StreamDone", "error": "V1StreamError"}


def stream_example(session: object, done: object, pieces: tuple[str, ...]) -> str:
    """A whole stream as it stands on the wire."""
    text, sent = sse.event("session", 0, session), 0
    for piece in pieces:
        sent += len(piece)
        text += sse.event("delta", sent, {"content": piece})
    return (text + sse.event("done", sent, done)).decode()
