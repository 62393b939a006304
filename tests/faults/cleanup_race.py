"""The cleanup, run by several processes over and over, while exchanges are sent, cancelled, answered and called back, some twice.

    python -m tests.faults.cleanup_race --sends 500 --processes 4        (DATABASE_URL, an empty database, or a new SQLite file)

Each exchange must end exactly once, and in the one way that everybody was told. A trigger, there in this database only, writes down
every change of a status. Seeded; what the threads make of the seed is up to them.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any, cast

from flask import Flask
from flask_migrate import upgrade

from chatsvc import create_app
from chatsvc.core import cleanup
from chatsvc.core.errors import Unavailable
from chatsvc.extensions import db
from config import ROOT
from tests import factories, tables
from tests.api.envelope.calls import Body, cancel
from tests.api.envelope.webhooks import FINE, LOOPBACK, Line, accepted, another, answers, line
from tests.migrations.raw import Raw
from tests.responders.upstream import Caller, Upstream, running

AGE_SECONDS = 0.6  # what has seen nothing for so long is timed out
USERS = 8
SETTINGS = {**LOOPBACK, "CHAT_STREAMS_PER_WORKER": "400", "CHAT_ECHO_DELAY_MS": "0", "LOG_LEVEL": "error"}
_server = multiprocessing.get_context("forkserver")
STATUS_OF = {201: "COMPLETED", 409: "CANCELLED", 502: "FAILED", 503: "FAILED", 504: "TIMEOUT"}


@dataclass
class Told:
    """What everybody was told about one exchange."""

    session_id: str = ""
    sent: list[str] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    called_back: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Found:
    """What came of a run."""

    statuses: Counter[str]
    timed_out: int
    passes: int
    refused: int
    seconds: float
    wrong: list[str]


def race(url: str, *, sends: int, processes: int, seed: int) -> Found:
    """The whole of it, on a database in which nothing has been migrated yet."""
    chance = random.Random(seed)
    app = tables.open_to_tests(create_app(factories.settings(url, **SETTINGS)))
    with app.app_context():
        upgrade()
    ready, done, cleaned = _server.Semaphore(0), _server.Event(), _server.Queue()
    cleaners = [_server.Process(target=_clean, args=(url, ready, done, cleaned), daemon=True) for _ in range(processes)]
    for cleaner in cleaners:
        cleaner.start()
    for _ in cleaners:
        assert ready.acquire(timeout=60), "a process that cleans up did not start"
    began = time.monotonic()
    with running() as upstream, Raw(url) as raw:
        _watch(raw)
        lines = _lines(app, upstream)
        with ThreadPoolExecutor(16) as pool:
            plans = [(random.Random(chance.random()), *chance.choice(lines)) for _ in range(sends)]
            told = list(pool.map(lambda plan: _one(*plan), plans))
        _until_quiet(raw)
        done.set()
        totals = [cleaned.get(timeout=60) for _ in cleaners]
        for cleaner in cleaners:
            cleaner.join(60)
        seconds = time.monotonic() - began
        statuses: Counter[str] = Counter(dict(raw.run("SELECT status, count(*) FROM chat_sessions GROUP BY status")))
        begun = [one for one in told if one.session_id]
        wrong = _wrong(raw, begun, sum(amount for amount, _ in totals), statuses)
    app.extensions["chatsvc.runtime"].stop(wait=True)
    with app.app_context():
        db.engine.dispose()
    return Found(statuses, sum(amount for amount, _ in totals), sum(passes for _, passes in totals), len(told) - len(begun), seconds, wrong)


def _clean(url: str, ready: Semaphore, done: Event, cleaned: Any) -> None:
    app = tables.open_to_tests(create_app(factories.settings(url, **SETTINGS)))
    amount = passes = 0
    ready.release()  # so that whoever is ended is ended under way
    with app.app_context():
        while not done.is_set():
            with suppress(Unavailable):  # as the repeating one does: the next pass follows
                amount += cleanup.time_out(AGE_SECONDS / 3600)
                passes += 1
            time.sleep(0.02)
    cleaned.put((amount, passes))


def _watch(raw: Raw) -> None:
    raw.run("CREATE TABLE status_changes (session_id VARCHAR(36), old VARCHAR(10), new VARCHAR(10))")
    note = "INSERT INTO status_changes VALUES (NEW.id, OLD.status, NEW.status)"
    head = "CREATE TRIGGER watch_status AFTER UPDATE OF status, ended_at, error_kind ON chat_sessions FOR EACH ROW"
    if raw.on_sqlite:
        raw.run(f"{head} BEGIN {note}; END")
    else:
        raw.run(f"CREATE FUNCTION watch_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {note}; RETURN NULL; END $$")
        raw.run(f"{head} EXECUTE FUNCTION watch_status()")


def _lines(app: Flask, upstream: Upstream) -> list[tuple[Line, bool]]:
    """A conversation of each user with a flow that answers at once, and one with a flow that answers later."""
    chance = random.Random(1)

    def script(caller: Caller) -> None:
        what = chance.random()
        if caller.target == "/later":
            caller.wait_for_hang_up(chance.uniform(0, 0.2))
            accepted(caller)
        elif what < 0.1:
            caller.wait_for_hang_up(8)
        elif what < 0.15:
            answers("", 500)(caller)
        else:
            caller.wait_for_hang_up(chance.uniform(0, 1.2))
            FINE(caller)

    upstream.script = script
    direct = line(app, f"{upstream.url}/now", timeoutMs=6000)
    later = line(app, f"{upstream.url}/later", answers="callback", timeoutMs=6000)
    return [(another(persona, f"user{number}"), persona is later) for number in range(USERS) for persona in (direct, later)]


def _one(chance: random.Random, who: Line, calls_back: bool) -> Told:
    """One exchange: sent and waited for or not, and then perhaps cancelled, or called back, or both at once, or twice."""
    told = Told()
    if chance.random() < 0.3 and not calls_back:
        response = who.send(f"Question {chance.random()}")
        body = cast("Body", response.json)
        if "data" in body:
            told.session_id = body["data"]["sessionId"]
            told.sent.append(STATUS_OF[response.status_code])
            told.sent.append(body["data"]["status"])
        return told
    response = who.send(f"Question {chance.random()}", headers={"Prefer": "respond-async"} if chance.random() < 0.7 or not calls_back else {})
    body = cast("Body", response.json)
    if "data" not in body:
        return told
    told.session_id = body["data"]["sessionId"]
    if response.status_code != 202:
        told.sent.append(STATUS_OF[response.status_code])
    acts = [_cancels] * (chance.random() < 0.4) + [_calls_back] * (calls_back * chance.choice((0, 1, 1, 2)))
    threads = [threading.Thread(target=act, args=(random.Random(chance.random()), who, told)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def _cancels(chance: random.Random, who: Line, told: Told) -> None:
    time.sleep(chance.uniform(0, 0.7))
    told.cancelled.append(cancel(who.who, told.session_id).status_code)


def _calls_back(chance: random.Random, who: Line, told: Told) -> None:
    time.sleep(chance.uniform(0, 0.7))
    output = f"Answer {chance.random()}"
    told.called_back.append((who.callback(told.session_id, output).status_code, output))


def _until_quiet(raw: Raw, seconds: float = 60) -> None:
    """Until every exchange has ended, and every reply."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not raw.one("SELECT count(*) FROM chat_sessions WHERE status = 'ACTIVE'") + raw.one("SELECT count(*) FROM chat_messages WHERE status = 'streaming'"):
            return
        time.sleep(0.1)


def _wrong(raw: Raw, told: list[Told], timed_out: int, statuses: Counter[str]) -> list[str]:
    wrong = [f"{name} of {amount}" for name, amount in raw.run("SELECT status, count(*) FROM chat_messages WHERE status = 'streaming' GROUP BY status")]
    rows = {str(row[0]): row[1:] for row in raw.run("SELECT id, status, ended_at, error_kind FROM chat_sessions")}
    changes: dict[str, list[Any]] = {session_id: [] for session_id in rows}
    for session_id, old, new in raw.run("SELECT session_id, old, new FROM status_changes"):
        changes[session_id].append((old, new))
    wrong += [f"{session_id} went {went}" for session_id, went in changes.items() if went != [("ACTIVE", rows[session_id][0])]]
    if set(rows) != {one.session_id for one in told} or raw.one("SELECT count(*) FROM chat_messages") != 2 * len(rows):
        wrong.append(f"{len(rows)} sessions and {raw.one('SELECT count(*) FROM chat_messages')} messages of {len(told)} exchanges")
    if timed_out != statuses["TIMEOUT"]:
        wrong.append(f"the cleanups say {timed_out}, the rows {statuses['TIMEOUT']}")
    replies = {str(row[0]): row[1:] for row in raw.run("SELECT session_id, status, content FROM chat_messages WHERE role = 'assistant'")}
    for one in told:
        wrong += [
            f"{one} but {rows[one.session_id]}, {replies[one.session_id]}" for _ in [0] if not _agrees(one, *rows[one.session_id], *replies[one.session_id])
        ]
    return wrong


def _agrees(told: Told, status: str, ended_at: Any, kind: str | None, reply: str, content: str) -> bool:
    """Whether what everybody was told is what is kept."""
    taken = [output for code, output in told.called_back if code == 200]
    return (
        set(told.sent) <= {status}
        and ended_at is not None
        and (kind == "cleanup") == (status == "TIMEOUT")
        and reply == {"COMPLETED": "complete", "CANCELLED": "cancelled"}.get(status, "failed")
        and (status == "CANCELLED") == (200 in told.cancelled)
        and set(told.cancelled) <= {200, 409}
        and {code for code, _ in told.called_back} <= {200, 409}
        and len(taken) <= 1
        and (not taken or (status, content) == ("COMPLETED", taken[0]))
    )


def verified(url: str) -> bool:
    """Whether `flask verify` finds nothing."""
    environ = {**os.environ, "DATABASE_URL": url, "JWT_SECRET_KEY": factories.SECRET, "LOG_LEVEL": "error"}
    return subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=500)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{Path(folder) / 'race.db'}"
        found = race(url, sends=given.sends, processes=given.processes, seed=given.seed)
        good = verified(url)
    print(json.dumps({"seed": given.seed, "verified": good, **vars(found), "wrong": found.wrong[:5]}, indent=1))  # noqa: T201
    sys.exit(0 if good and not found.wrong else 1)


if __name__ == "__main__":
    main()
