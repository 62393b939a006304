"""One of two services, and then the cleanup, has a clock that is a day ahead or behind, or jumps: nobody's work is ended, erased or put out of order for it.

    python -m tests.faults.clocks        (DATABASE_URL, an empty PostgreSQL database, or one made on the server of the tests; needs faketime)

Two `flask serve` on one PostgreSQL, one of them under faketime; the machine's clock is never touched. The ledger writes and reads through
one whose clock is behind. A clock that is ahead rightly takes tokens for old ones, so those here are good for a week but where that is asked.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt

from bench.streams import SECRET
from bench.tools import tool
from tests.faults.ledger import ledger_run
from tests.faults.parts.databases import database
from tests.faults.parts.service import SERVE, Service, running
from tests.faults.service import serving
from tests.faults.told import tell
from tests.migrations.raw import Raw

STEPS = ("+25h", "-25h")
LEEWAY = 60  # seconds; the service has 30


def faked(step: str) -> tuple[str, ...]:
    # The times of files stay as they are: gunicorn watches its workers by them.
    return ("env", "NO_FAKE_STAT=1", tool("faketime"), "-f", step)


def long_lived(user: str, **claims: str) -> str:
    """A token that neither clock takes for an old one."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + 7 * 86400, **claims}, SECRET)


def call(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    given = {"Authorization": f"Bearer {long_lived('careful')}", "Content-Type": "application/json", **headers}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), given)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def keys_are_kept(right: Service, wrong: Service) -> Iterator[str]:
    """A key that was used a moment ago is known to both, whichever it was used at."""
    for name, (first, second) in {"ahead": (right, wrong), "behind": (wrong, right)}.items():
        key = f"again-{name}-{time.monotonic()}"
        made = [call(one.port, "POST", "/api/v1/chat-sessions", {"title": "Once"}, **{"Idempotency-Key": key}) for one in (first, second)]
        if [status for status, _ in made] != [201, 201] or made[0][1]["id"] != made[1][1]["id"]:
            yield f"a key was forgotten by the other clock ({name}): {made}"


def tokens_have_little_leeway(service: Service, skew: float) -> Iterator[str]:
    """By that service's own clock: a token is good until it ends, and half a minute of difference makes nobody's `nbf` or `iat` wrong."""
    now = time.time() + skew
    for wanted, claims in (
        (200, {"exp": now + 30}),
        (401, {"exp": now - LEEWAY - 5}),
        (200, {"exp": now + 600, "nbf": now + 20}),
        (401, {"exp": now + 600, "nbf": now + LEEWAY + 5}),
    ):
        token = jwt.encode({"sub": "careful", **{name: int(value) for name, value in claims.items()}}, SECRET)
        status, _ = call(service.port, "GET", "/api/v1/chat-sessions", Authorization=f"Bearer {token}")
        if status != wanted:
            yield f"a token {claims} at {now:.0f} was answered {status}, not {wanted}"


def prepared_rows(raw: Raw) -> dict[str, Any]:
    """What a cleanup with the right clock leaves alone: all of it is younger than its limit, but by less than a day."""
    persona = raw.insert("personas", name="Waiting", kind="echo")
    conversation = raw.insert("conversations", user_id="careful", persona_id=persona)
    waiting = raw.session("careful", persona_id=persona, conversation_id=conversation)
    removed = raw.session("careful")
    raw.run("UPDATE chat_sessions SET created_at = now() - interval '20 hours' WHERE id = ?", waiting)
    raw.run("UPDATE chat_sessions SET deleted_at = now() - interval '29 days 12 hours' WHERE id = ?", removed)
    raw.insert("idempotency_keys", user_id="careful", key="kept", fingerprint="f")
    raw.run("INSERT INTO revoked_tokens (token_id, user_id, revoked_at, expires_at) VALUES ('revoked', 'careful', now(), now() + interval '20 hours')")
    return {"waiting": waiting, "removed": removed}


def cleanup_is_right(url: str, service: Service, step: str) -> Iterator[str]:
    """`flask cleanup all` and the admin's route, by the wrong clock."""
    with Raw(url) as raw:
        made = prepared_rows(raw)
        command = [*faked(step), sys.executable, "-m", "flask", "cleanup", "all"]
        done = subprocess.run(command, env=service.environ, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        if done.returncode:
            yield f"the cleanup failed: {done.stderr[-500:]}"
        admin = long_lived("boss", role="ADMIN")
        status, _ = call(service.port, "POST", "/api/chat-sessions/cleanup", {}, Authorization=f"Bearer {admin}")
        if status != 200:
            yield f"the cleanup's route answered {status}"
        left = {
            "an exchange was timed out": raw.one("SELECT count(*) FROM chat_sessions WHERE id = ? AND status = 'ACTIVE'", made["waiting"]),
            "a session was erased": raw.one("SELECT count(*) FROM chat_sessions WHERE id = ?", made["removed"]),
            "a key was erased": raw.one("SELECT count(*) FROM idempotency_keys WHERE key = 'kept'"),
            "a revocation was forgotten": raw.one("SELECT count(*) FROM revoked_tokens WHERE token_id = 'revoked'"),
        }
        yield from (f"{what} ({step})" for what, amount in left.items() if amount != 1)
        raw.run("DELETE FROM chat_sessions WHERE user_id = 'careful'")
        raw.run("DELETE FROM idempotency_keys WHERE user_id = 'careful'")
        raw.run("DELETE FROM revoked_tokens WHERE user_id = 'careful'")


def one(url: str, step: str) -> list[str]:
    """Two services, one of whose clocks is so wrong."""
    wrong: list[str] = []
    skew = 25 * 3600.0 * (1 if step[0] == "+" else -1)
    with running(url, RATELIMIT_ENABLED="false") as right, running(url, before=faked(step), RATELIMIT_ENABLED="false") as off:
        wrong += keys_are_kept(right, off)
        wrong += [*tokens_have_little_leeway(right, 0), *tokens_have_little_leeway(off, skew)]
        wrong += cleanup_is_right(url, off, step)
    return wrong


def jump(url: str) -> list[str]:
    """A service whose clock is another in each of its lives: what was said stays in the order in which it was said, and each reply ends well."""
    session_id = None
    for number, step in enumerate(("+25h", "-25h", "+0", "-1h")):
        with running(url, before=faked(step), RATELIMIT_ENABLED="false") as service:
            body = {"message": f"word{number} " * 20, **({"session_id": session_id} if session_id else {})}
            status, told = call(service.port, "POST", "/api/v1/chat", body)
            if status != 200 or told["assistant_message"]["status"] != "complete":
                return [f"at {step} a reply ended as {status} {told}"]
            session_id = told["session_id"]
            _, found = call(service.port, "GET", f"/api/v1/chat-sessions/{session_id}/messages?page_size=100")
    said = [message["content"].split()[0] for message in found["messages"]]
    return [] if said == [f"word{life}" for life in range(4) for _ in range(2)] else [f"the order is {said}"]


def ledgered(url: str, step: str, seed: int) -> list[str]:
    """The ledger, through a service whose clock is wrong all the time; behind, not ahead, where its tokens would have ended."""
    with serving(url, [*faked(step), *SERVE]) as off, ledger_run(off.url, url, seed=seed, pause=0.02, shared=True) as run:
        run.until(300)
    tell(ledger=step, messages=run.verdict.acknowledged, breaches=run.verdict.breaches[:3])
    return run.verdict.breaches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    tell(seed=given.seed)
    bad = False
    with database() as url:
        for step in STEPS:
            wrong = one(url, step)
            tell(clock=step, wrong=wrong)
            bad = bad or bool(wrong)
        wrong = jump(url)
        tell(clock="jumps from life to life", wrong=wrong)
        bad = bad or bool(wrong)
    with database() as url:
        bad = bool(ledgered(url, "-25h", given.seed)) or bad
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
