"""kill -9 and SIGTERM of the service's workers while exchanges run: each ends and says so, no question is lost, late answers still come in.

    python -m tests.faults.kill_exchanges --sends 40        (DATABASE_URL, an empty database, or a new SQLite file)

A flow in this process never answers, or takes the question and answers later by the callback. The service is `flask serve` with two
workers. First one worker is killed; then both, with only the exchanges open whose answers come by callback, and the service is stopped
and started again; then it is sent SIGTERM in the middle of exchanges.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from bench.streams import ROOT, SECRET, free_port, served
from chatsvc.responders.signing import sign
from tests.faults.kill_streams import workers_of
from tests.responders.upstream import Caller, running

LONGEST_OPEN = 60.0
FLOW_SECRET = "whsec-Bv5nCm2xZq9wTz4kQ9v"
Answer = tuple[int, dict[str, Any]]


@dataclass
class Service:
    """How it is called, whichever of its lives this is."""

    port: int
    checks: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, *, user: str = "owner", headers: dict[str, str] | None = None) -> Answer:
        """Status and body; 0 when the connection was lost."""
        role = {"role": "ADMIN"} if user == "admin" else {}
        token = jwt.encode({"sub": user, "exp": int(time.time()) + 3600, **role}, SECRET)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request(
                method,
                path,
                body if isinstance(body, bytes) else None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Connection": "close", **(headers or {})},
            )
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()

    def conversation(self, url: str, answers: str) -> str:
        given = {"name": answers, "kind": "webhook", "webhookUrl": url, "answers": answers, "timeoutMs": 300_000, "secret": FLOW_SECRET}
        _, made = self.ask("POST", "/api/personas", given, user="admin")
        _, begun = self.ask("POST", "/api/conversations", {"personaId": made["data"]["personaId"]})
        return str(begun["data"]["conversationId"])

    def send(self, conversation_id: str, message: str, *, later: bool) -> Answer:
        headers = {"Prefer": "respond-async"} if later else {}
        return self.ask("POST", f"/api/conversations/{conversation_id}/messages", {"message": message}, headers=headers)

    def exchanges(self, conversation_id: str) -> dict[str, dict[str, Any]]:
        """All of a conversation, by what was asked (their titles)."""
        for _ in range(50):
            status, found = self.ask("GET", f"/api/conversations/{conversation_id}/chat-sessions?status=ALL&limit=100")
            if status == 200:
                return {session["title"]: session for session in found["data"]["sessions"]}
            time.sleep(0.2)
        raise AssertionError("the service does not answer")

    def call_back(self, session_id: str, output: str) -> int:
        body, stamp = json.dumps({"output": output}).encode(), str(int(time.time()))
        headers = {"X-Chatsvc-Timestamp": stamp, "X-Chatsvc-Signature": sign(FLOW_SECRET, stamp, body)}
        return self.ask("POST", f"/api/chat-sessions/{session_id}/callback", body, headers=headers)[0]

    def check(self, good: bool, what: str) -> None:
        if not good:
            self.checks.append(what)


def script(caller: Caller) -> None:
    if caller.target == "/later":
        caller.answer(b"", 202)
    else:
        caller.wait_for_hang_up(300)


@dataclass
class Sent:
    """Those under way, and what their senders were told."""

    threads: list[threading.Thread]
    told: dict[str, Answer]


def begin(service: Service, conversation_id: str, sends: int, upstream: Any) -> Sent:
    """Sends at once, every other one with respond-async, and returns when the flow has heard of all."""
    heard = len(upstream.requests) + sends
    sent = Sent([], {})

    def one(number: int) -> None:
        message = f"Question {number} of {heard}"
        sent.told[message] = service.send(conversation_id, message, later=number % 2 == 0)

    sent.threads = [threading.Thread(target=one, args=(number,)) for number in range(sends)]
    for thread in sent.threads:
        thread.start()
    until = time.monotonic() + 30
    while len(upstream.requests) < heard and time.monotonic() < until:
        time.sleep(0.05)
    service.check(len(upstream.requests) == heard, f"the flow heard {len(upstream.requests)} questions, not {heard}")
    return sent


def one_worker_dies(service: Service, pid: int, now: str, sends: int, upstream: Any) -> dict[str, Any]:
    """Its exchanges end as FAILED by the sweep; those of the other go on until they are cancelled."""
    sent = begin(service, now, sends, upstream)
    victim = random.choice(workers_of(pid))
    killed_at = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    lost = 0
    while time.monotonic() - killed_at < LONGEST_OPEN:
        found = service.exchanges(now)
        lost = sum(session["status"] == "FAILED" for session in found.values())
        dead = sum(session["status"] == "ACTIVE" for session in found.values()) - _alive(upstream)
        if lost and dead <= 0:
            break
        time.sleep(0.5)
    seconds = time.monotonic() - killed_at
    service.check(lost > 0 and dead <= 0, f"{dead} exchanges of the dead worker were open after {seconds:.0f} s")
    for session in service.exchanges(now).values():
        if session["status"] == "ACTIVE":
            service.check(service.ask("PATCH", f"/api/chat-sessions/{session['sessionId']}/cancel")[0] == 200, "a living one could not be cancelled")
    for thread in sent.threads:
        thread.join(30)
    found = service.exchanges(now)
    for message in sent.told:
        session = found.get(message, {})
        service.check(bool(session), f"{message} was lost")
        if session.get("status") == "FAILED":
            service.check(bool(session["errorMessage"]) and session["errorKind"] == "cleanup" and bool(session["endedAt"]), f"{session}")
        told, body = sent.told[message]
        service.check(told in (0, 202) or body["data"]["status"] == session.get("status"), f"{message} was told {told} {body}")
    return {"failed": lost, "seconds": round(seconds, 1), "told": dict(Counter(status for status, _ in sent.told.values()))}


def _alive(upstream: Any) -> int:
    """How many questions the flow still holds a connection for."""
    return sum(not caller.wait_for_hang_up(0) for caller in upstream.callers if caller.target == "/now" and caller.sock.fileno() >= 0)


def all_die(service: Service, pid: int, later: str, sends: int, upstream: Any) -> list[str]:
    """Only exchanges that a callback will answer are open; every worker is killed. Their ids."""
    sent = begin(service, later, sends, upstream)
    for thread in sent.threads:
        thread.join(30)
    service.check({status for status, _ in sent.told.values()} == {202}, f"{sent.told}")
    time.sleep(1)  # until those that were answered before the flow was have been left open
    for worker in workers_of(pid):
        os.kill(worker, signal.SIGKILL)
    return [body["data"]["sessionId"] for _, body in sent.told.values()]


def come_back(service: Service, later: str, open_: list[str]) -> dict[str, Any]:
    """They are open after a restart and longer than any lease, and the callback answers each once."""
    time.sleep(50)  # longer than a worker's lease and two looks of the sweep
    found = {session["sessionId"]: session["status"] for session in service.exchanges(later).values()}
    service.check({found[session_id] for session_id in open_} == {"ACTIVE"}, f"open ones became {Counter(found.values())}")
    codes = [(service.call_back(session_id, "Ferns"), service.call_back(session_id, "Mosses")) for session_id in open_]
    service.check(set(codes) == {(200, 409)}, f"the callbacks were told {Counter(codes)}")
    answered = {session["sessionId"]: session for session in service.exchanges(later).values()}
    service.check({(answered[one]["status"], answered[one]["lastMessage"]) for one in open_} == {("COMPLETED", "Ferns")}, "an answer is missing")
    return {"open": len(open_), "answered": len(codes)}


def terminated(service: Service, pid: int, now: str, sends: int, upstream: Any) -> Sent:
    """SIGTERM to the service in the middle of exchanges."""
    sent = begin(service, now, sends, upstream)
    os.kill(pid, signal.SIGTERM)
    for thread in sent.threads:
        thread.join(40)
    return sent


def run(url: str, sends: int) -> tuple[list[str], dict[str, Any]]:
    port, found = free_port(), dict[str, Any]()
    settings = {
        **{"DATABASE_URL": url, "WEB_CONCURRENCY": "2", "RATELIMIT_ENABLED": "false", "LOG_LEVEL": "error"},
        **{"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "PUBLIC_URL": f"http://127.0.0.1:{port}", "CHAT_THREADS": "100", "CHAT_ENCRYPTION_KEY": SECRET},
    }
    service = Service(port)
    with running() as upstream:
        upstream.script = script
        with served(port, **settings) as pid:
            now, later = service.conversation(f"{upstream.url}/now", "direct"), service.conversation(f"{upstream.url}/later", "callback")
            found["one worker killed"] = one_worker_dies(service, pid, now, sends, upstream)
            open_ = all_die(service, pid, later, sends // 2, upstream)
        with served(port, **settings) as pid:
            found["all killed, and a restart"] = come_back(service, later, open_)
            sent = terminated(service, pid, now, sends // 2, upstream)
        with served(port, **settings):
            kept = service.exchanges(now)
            found["SIGTERM"] = {
                "told": dict(Counter(status for status, _ in sent.told.values())),
                "kept": dict(Counter(kept[message]["status"] for message in sent.told if message in kept)),
            }
            for message, (status, body) in sent.told.items():
                session = kept.get(message, {})
                service.check(
                    session.get("status") == "FAILED" and session["errorKind"] == "cleanup" and bool(session["errorMessage"]), f"{message}: {session}"
                )
                service.check(status == 202 or (status, body.get("success")) == (502, False), f"{message} was told {status} {body}")
    return service.checks, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{Path(folder) / 'kill.db'}"
        wrong, found = run(url, given.sends)
        environ = {**os.environ, "DATABASE_URL": url, "JWT_SECRET_KEY": SECRET}
        verified = subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, check=False).returncode == 0
    print(json.dumps({"seed": given.seed, "verified": verified, **found, "wrong": wrong[:5]}, indent=1))  # noqa: T201
    sys.exit(0 if verified and not wrong else 1)


if __name__ == "__main__":
    main()
