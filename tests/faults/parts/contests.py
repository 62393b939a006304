"""The races: what is asked at once, and what must be true afterwards whoever came first. Each round is of a user of its own."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import jwt

from bench.streams import SECRET
from tests.faults.parts.racing import Ask, Racer, Said

SESSIONS, PLAIN = "/api/v1/chat-sessions", {"agent_type": None}
CAP, AT_ONCE = 5, 40
PASSWORD = "a-password-of-the-races-1"
Contest = Callable[[Racer, str], Awaitable[str]]


def check(true: object, *what: object) -> None:
    if not true:
        raise AssertionError(" ".join(str(one) for one in what))


def statuses(some: list[Said]) -> Counter[int]:
    return Counter(one.status for one in some)


async def session_of(racer: Racer, user: str, **fields: Any) -> str:
    racer.become(user)
    said = await racer.ask("POST", SESSIONS, {**PLAIN, **fields})
    check(said.status == 201, "no session:", said.status, said.body)
    return str(said.body["id"])


async def messages_of(racer: Racer, session: str) -> list[dict[str, Any]]:
    said = await racer.ask("GET", f"{SESSIONS}/{session}/messages?page_size=200")
    check(said.status == 200, "unreadable:", said.status, said.body)
    found: list[dict[str, Any]] = said.body["messages"]
    return found


def some_words(user: str) -> str:
    """Another number in each round, ten milliseconds apart: what is asked at once falls before the end, after it, and on it."""
    return "word " * (2 + 7 * int(user.rpartition("-")[2]) % 30)


def append(session: str, content: str, key: str | None = None) -> Ask:
    return Ask("POST", f"{SESSIONS}/{session}/messages", {"content": content, "message_type": "user"}, key)


async def cap(racer: Racer, user: str) -> str:
    """Forty sessions at once leave five that are active. On a machine that is too slow for forty in three seconds some are told to come back."""
    racer.become(user)
    said = await racer.at_once(*(Ask("POST", SESSIONS, {}) for _ in range(AT_ONCE)))
    check(all(one.status == 201 or (one.status == 503 and "retry-after" in one.headers) for one in said), statuses(said))
    active = await racer.ask("GET", f"{SESSIONS}?is_active=true&page_size=100")
    check(active.body["total"] == CAP, active.body["total"], "are active")
    check((await racer.ask("GET", SESSIONS)).body["total"] == statuses(said)[201], "what was refused is there, or what was made is not")
    return f"{statuses(said)[503]} told to come back"


async def key_twice(racer: Racer, user: str) -> str:
    """One message and one session, each sent twice at once with its key, are there once."""
    session = await session_of(racer, user)
    new = Ask("POST", SESSIONS, PLAIN, key=f"{user}-session")
    said = await racer.at_once(append(session, "Once", f"{user}-message"), append(session, "Once", f"{user}-message"), new, new)
    for pair in (said[:2], said[2:]):
        check({one.status for one in pair} <= {201, 409}, statuses(pair))
        made = [one for one in pair if one.status == 201]
        check(sum(not one.replayed for one in made) == 1 and len({one.body["id"] for one in made}) == 1, [(one.status, one.replayed) for one in pair])
    check(len(await messages_of(racer, session)) == 1, "the message is not there once")
    check((await racer.ask("GET", SESSIONS)).body["total"] == 2, "the session is not there once")
    return "replayed" if any(one.replayed for one in said) else "told to come back"


async def reply(racer: Racer, user: str) -> str:
    """A reply that is cancelled, asked for anew and at its end, all at once, ends in one way, and one reply is left."""
    racer.become(user)
    stream, racer.lines = racer.lines[0], racer.lines[1:]
    try:
        await stream.send(racer.bearer, Ask("POST", "/api/v1/chat/stream", {"message": some_words(user)}))
        check((await stream.head())[0] == 200, "no stream")
        begun = await stream.event("session")
        path, again = f"/api/v1/chat/stream/{begun['reply_id']}/cancel", Ask("POST", "/api/v1/chat", {"retry": begun["reply_id"]})
        cancelled, other, anew = await racer.at_once(Ask("POST", path), Ask("POST", path), again)
        end = (await stream.event("done"))["assistant_message"]["status"]
    finally:
        stream.close()
        racer.lines = [stream, *racer.lines]
    gone = {404} if anew.status == 200 else set()  # another reply has taken its place by then
    check({cancelled.status, other.status} <= {200, 409} | gone, "cancels:", cancelled.status, other.status, "anew:", anew.status)
    check(end == ("cancelled" if 200 in (cancelled.status, other.status) else "complete"), "it ended as", end, "cancels:", cancelled.status, other.status)
    check(anew.status in (200, 409), "anew:", anew.status, anew.body)
    left = [(one["message_type"], one["status"], one["id"]) for one in await messages_of(racer, begun["session_id"])]
    last = anew.body["assistant_message"]["id"] if anew.status == 200 else begun["reply_id"]
    check(left[1:] == [("assistant", "complete" if anew.status == 200 else end, last)], "left:", left, "anew:", anew.status)
    return f"{end}, anew {anew.status}"


async def exchange(racer: Racer, user: str) -> str:
    """An exchange that two cancel while it comes to its end has one end, and everybody is told the same."""
    persona = await _persona(racer)
    racer.become(user)
    conversation = (await racer.ask("POST", "/api/conversations", {"personaId": persona})).body["data"]["conversationId"]
    sender = racer.lines[-1]
    await sender.send(racer.bearer, Ask("POST", f"/api/conversations/{conversation}/messages", {"message": some_words(user)}))
    found: list[Any] = []
    while not found:
        found = (await racer.ask("GET", f"/api/conversations/{conversation}/chat-sessions?status=ALL")).body["data"]["sessions"]
    path = f"/api/chat-sessions/{found[0]['sessionId']}"
    cancels, sent = await asyncio.gather(racer.at_once(Ask("PATCH", f"{path}/cancel"), Ask("PATCH", f"{path}/cancel")), sender.said())
    status = (await racer.ask("GET", path)).body["data"]["status"]
    wanted = {"COMPLETED": (201, {409: 2}), "CANCELLED": (409, {200: 1, 409: 1})}.get(status)
    check(wanted == (sent.status, statuses(cancels)), status, sent.status, statuses(cancels))
    return str(status)


_personas: dict[int, str] = {}


async def _persona(racer: Racer) -> str:
    port = racer.lines[0].port
    if port not in _personas:
        racer.bearer = jwt.encode({"sub": "boss", "role": "ADMIN", "exp": int(time.time()) + 3600}, SECRET)
        made = await racer.ask("POST", "/api/personas", {"name": f"Echo {uuid.uuid4()}", "kind": "echo"})
        check(made.status == 201, "no persona:", made.status, made.body)
        _personas[port] = made.body["data"]["personaId"]
    return _personas[port]


async def removed(racer: Racer, user: str) -> str:
    """A message and its session, removed and brought back at once: what is kept of the one is true of the other."""
    session = await session_of(racer, user)
    (said,) = await racer.at_once(append(session, "Hello"))
    of_session, of_message = f"/chat/sessions/{session}", f"/chat/sessions/{session}/messages/{said.body['id']}"
    pairs = [Ask("DELETE", of_message), Ask("POST", f"{of_message}/restore"), Ask("DELETE", of_session), Ask("POST", f"{of_session}/restore")]
    told = await racer.at_once(*pairs, append(session, "There"))
    check(statuses(told).keys() <= {200, 201, 204, 404}, statuses(told))
    check((await racer.ask("POST", f"{of_session}/restore")).status == 200, "the session does not come back")
    left, kept = await messages_of(racer, session), (await racer.ask("GET", f"{SESSIONS}/{session}?include_messages=false")).body
    wanted = (len(left), left[-1]["content"] if left else None, next((one["content"] for one in left), None))
    check((kept["message_count"], kept["last_message"], kept["title"]) == wanted, kept, "for", wanted)
    return f"{len(left)} messages"


async def title(racer: Racer, user: str) -> str:
    """A title that a person sets while the first messages come is theirs; without one it is the first message's."""
    named, unnamed = await session_of(racer, user), await session_of(racer, user)
    said = await racer.at_once(append(named, "First"), Ask("PUT", f"{SESSIONS}/{named}", {"title": "Mine"}), append(unnamed, "Left"), append(unnamed, "Right"))
    check(statuses(said) == {201: 3, 200: 1}, statuses(said))
    first, ofs = (await messages_of(racer, unnamed))[0]["content"], {}
    for session in (named, unnamed):
        ofs[session] = (await racer.ask("GET", f"{SESSIONS}/{session}?include_messages=false")).body["title"]
    check((ofs[named], ofs[unnamed]) == ("Mine", first), ofs)
    return f"{first} first"


async def name(racer: Racer, user: str) -> str:
    """Of two who take one name at once, one has it."""
    account = {"username": user.replace("-", ""), "password": PASSWORD}
    said = await racer.at_once(Ask("POST", "/auths/register", account), Ask("POST", "/auths/register", account))
    check(statuses(said) == {201: 1, 409: 1}, statuses(said))
    return ""


_accounts: dict[int, str] = {}


async def refresh(racer: Racer, user: str) -> str:
    """A refresh token that is used twice at once is good once, and the sign-in, which somebody else may have, ends."""
    port = racer.lines[0].port
    if port not in _accounts:
        account = {"username": f"refreshed{uuid.uuid4().hex[:8]}", "password": PASSWORD}
        _accounts[port] = (await racer.ask("POST", "/auths/register", account)).body["id"]
    claims = {"sub": _accounts[port], "type": "refresh", "jti": user, "sign_in": user, "csrf": user, "iat": int(time.time()), "exp": int(time.time()) + 3600}
    ask = Ask("POST", "/auths/refresh", {"refresh_token": jwt.encode(claims, SECRET)})
    said = await racer.at_once(ask, ask)
    check(statuses(said) == {200: 1, 401: 1}, statuses(said))
    renewed = next(one.body["refresh_token"] for one in said if one.status == 200)
    check((await racer.ask("POST", "/auths/refresh", {"refresh_token": renewed})).status == 401, "the sign-in goes on")
    return ""


async def order(racer: Racer, user: str) -> str:
    """What anybody sees of messages that two append is a beginning of what is there in the end."""
    session = await session_of(racer, user)
    read = Ask("GET", f"{SESSIONS}/{session}/messages?page_size=200")
    seen: list[list[int]] = []
    for number in range(2):
        first, left, right, second = await racer.at_once(read, append(session, f"left {number}"), append(session, f"right {number}"), read)
        check((left.status, right.status) == (201, 201), left.status, right.status)
        seen += [[one["id"] for one in said.body["messages"]] for said in (first, second)]
    there = [one["id"] for one in await messages_of(racer, session)]
    check(there == sorted(there) and len(there) == 4, there)
    check(all(some == there[: len(some)] for some in seen), seen, "of", there)
    return ""


CONTESTS: dict[str, tuple[Contest, int]] = {  # with how many connections each needs
    "cap": (cap, AT_ONCE),
    "key": (key_twice, 4),
    "reply": (reply, 4),
    "exchange": (exchange, 3),
    "removed": (removed, 5),
    "title": (title, 4),
    "name": (name, 2),
    "refresh": (refresh, 2),
    "order": (order, 4),
}
