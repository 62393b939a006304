"""One of two services, and then the cleanup, has a clock that is a day ahead or behind, or is set: nobody's work is ended, erased or put out of order for it.

    python -m tests.faults.clocks        (DATABASE_URL, an empty PostgreSQL database, or one made on the server of the tests; needs faketime)

Two `flask serve` on one PostgreSQL, one of them under faketime; the machine's clock is never touched. On SQLite, which has no clock but its
process's, there is one service. The ledger writes and reads through one whose clock is behind, and through one whose clock is set again and
again. A clock that is ahead rightly takes tokens for old ones, so those here are good for a week but where that is asked.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt

from bench.streams import ROOT, SECRET
from tests.faults.ledger import ledger_run
from tests.faults.parts.clock import LOOKED_AT, faked, kept_in
from tests.faults.parts.databases import database
from tests.faults.parts.service import SERVE, Service, running
from tests.faults.service import serving
from tests.faults.told import tell
from tests.migrations.raw import Raw

STEPS = ("+25h", "-25h")
SET_TO = ("+40m", "-25h", "+0", "-1h")  # not so far ahead that the ledger's tokens, good for an hour, would have ended
LEEWAY = 60  # seconds; the service has 30
MESSAGES = 300
PATIENCE = 90.0  # seconds for an answer: this machine may be busy


def long_lived(user: str, **claims: str) -> str:
    """A token that neither clock takes for an old one."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + 7 * 86400, **claims}, SECRET)


def call(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
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
    persona = raw.insert("personas", name="Waiting", kind="echo", previous_secret_sealed="sealed")
    raw.run("UPDATE personas SET previous_secret_until = now() + interval '20 hours' WHERE id = ?", persona)
    conversation = raw.insert("conversations", user_id="careful", persona_id=persona)
    waiting = raw.session("careful", persona_id=persona, conversation_id=conversation)
    removed = raw.session("careful")
    raw.run("UPDATE chat_sessions SET created_at = now() - interval '20 hours' WHERE id = ?", waiting)
    raw.run("UPDATE chat_sessions SET deleted_at = now() - interval '29 days 12 hours' WHERE id = ?", removed)
    raw.insert("idempotency_keys", user_id="careful", key="kept", fingerprint="f")
    raw.run("INSERT INTO revoked_tokens (token_id, user_id, revoked_at, expires_at) VALUES ('revoked', 'careful', now(), now() + interval '20 hours')")
    return {"persona": persona, "waiting": waiting, "removed": removed}


def cleanup_is_right(url: str, service: Service, step: str) -> Iterator[str]:
    """`flask cleanup all` and the admin's route, by the wrong clock."""
    with Raw(url) as raw:
        made = prepared_rows(raw)
        command = [*faked(step), sys.executable, "-m", "flask", "cleanup", "all"]
        done = subprocess.run(command, env=service.environ, capture_output=True, text=True, check=False, cwd=ROOT)
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
            "a secret was erased": raw.one("SELECT count(*) FROM personas WHERE id = ? AND previous_secret_sealed = 'sealed'", made["persona"]),
        }
        yield from (f"{what} ({step})" for what, amount in left.items() if amount != 1)
        raw.run("DELETE FROM chat_sessions WHERE user_id = 'careful'")
        raw.run("DELETE FROM idempotency_keys WHERE user_id = 'careful'")
        raw.run("DELETE FROM revoked_tokens WHERE user_id = 'careful'")


def one(url: str, step: str) -> list[str]:
    """Two services, one of whose clocks is so wrong."""
    wrong: list[str] = []
    with running(url, RATELIMIT_ENABLED="false") as right, running(url, before=faked(step), RATELIMIT_ENABLED="false") as off:
        wrong += keys_are_kept(right, off)
        wrong += [*tokens_have_little_leeway(right, 0), *tokens_have_little_leeway(off, seconds(step))]
        wrong += cleanup_is_right(url, off, step)
    return wrong


def alone(url: str, step: str) -> list[str]:
    """One service, whose clock is so wrong."""
    with running(url, before=faked(step), RATELIMIT_ENABLED="false") as off:
        return list(tokens_have_little_leeway(off, seconds(step)))


def seconds(step: str) -> float:
    return float(step.removesuffix("h")) * 3600


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


def behind(url: str, seed: int) -> list[str]:
    """The ledger, through a service whose clock is wrong all the time; behind, not ahead, where its tokens would have ended."""
    with serving(url, [*faked("-25h"), *SERVE]) as off, ledger_run(off.url, url, seed=seed, pause=0.02, shared=True) as run:
        run.until(MESSAGES, seconds=300)
    return [*run.verdict.breaches, *([] if run.verdict.acknowledged >= MESSAGES else ["too few messages"])]


def set_meanwhile(url: str, seed: int) -> list[str]:
    """The ledger, through a service whose clock is set forth and back while it works."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clock"
        file.write_text("+0")
        with serving(url, [*kept_in(file), *SERVE]) as off, ledger_run(off.url, url, seed=seed, pause=0.02, shared=True) as run:
            for number, step in enumerate(itertools.islice(itertools.cycle(SET_TO), 2 * len(SET_TO)), 1):
                file.write_text(step)
                time.sleep(2 * LOOKED_AT)
                run.until(MESSAGES * number // (2 * len(SET_TO)), seconds=300)
            file.write_text("+0")  # what is asked of it at the end are questions of the right hour
            time.sleep(2 * LOOKED_AT)
    return run.verdict.breaches


def parts(engine: str, url: str, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Each by its name, with what was wrong."""
    for step in STEPS:
        yield f"a day off: {step}", one(url, step) if engine == "postgresql" else alone(url, step)
    yield "another in each life", jump(url)
    yield "the ledger, a day behind", behind(url, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--engine", choices=("postgresql", "sqlite"), help="one of them")
    given = parser.parse_args()
    tell(seed=given.seed)
    bad = False
    for engine in (given.engine,) if given.engine else ("postgresql", "sqlite"):
        for part in (parts, lambda _, url, seed: [("the ledger, set meanwhile", set_meanwhile(url, seed))]):
            with database(engine) as url:
                began = time.monotonic()
                for name, wrong in part(engine, url, given.seed):
                    tell(engine=engine, clock=name, wrong=wrong[:5], seconds=round(time.monotonic() - began))
                    bad, began = bad or bool(wrong), time.monotonic()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
