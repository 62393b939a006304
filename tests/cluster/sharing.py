"""What two machines know together: sessions, running streams, rate limits, breakers."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

from tests.cluster.clients import Mover, Person
from tests.cluster.network import CLIENT
from tests.cluster.report import Report
from tests.cluster.site import Site
from tests.faults.parts.following import ended

SESSIONS, STREAMS, WORDS = 200, 24, 60
LIMIT = 600  # RATELIMIT_DEFAULT as shipped, a minute
OPENS_AFTER = 5  # failures in a row


def sessions(site: Site, report: Report) -> None:
    """Made by one machine, read by the other at once."""
    wrong: list[str] = []
    person = Person("sharer", *site.doors)
    for number in range(SESSIONS):
        made = person.session(number, f"Made by {number % 2}")
        status, body = person.ask(number + 1, "GET", f"/api/v1/chat-sessions/{made}")
        if status != 200 or body["title"] != f"Made by {number % 2}":
            wrong.append(f"session {number}: {status}")
    person.close()
    report.none("sessions made on one machine that the other does not know", wrong, SESSIONS)


def streams(site: Site, report: Report) -> None:
    """Cut off every twenty words, and taken up again at the other machine."""
    message = " ".join(f"w{number}" for number in range(WORDS))
    followers = [Mover(site.doors[number % 2 :] + site.doors[: number % 2], f"mover-{number}", message, cut_after=20) for number in range(STREAMS)]
    for one in followers:
        one.start()
    wrong = ended(list(followers))
    wrong += [f"{one.user} ended as {one.end}" for one in followers if one.end != "done"]
    resumed = sum(one.resumed for one in followers)
    report.none("streams that lost or doubled a word on their way between machines", wrong, STREAMS)
    report.row("times they were taken up again at the other machine", resumed, promised=f"{STREAMS} or more", good=resumed >= STREAMS)


def limits(site: Site, report: Report) -> None:
    """One person's requests, of which each machine gets every second one."""

    def ask(part: int) -> Counter[int]:
        person = Person("flooder", *site.doors)
        found = Counter(person.ask(number, "GET", "/api/v1/chat-sessions")[0] for number in range(part, part + 100))
        person.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        told = sum(pool.map(ask, range(8)), Counter[int]())
    good = told[200] == LIMIT and told[429] == 800 - LIMIT
    report.row("of 800 requests in a minute at both machines, let in", told[200], promised=str(LIMIT), good=good)


def breakers(site: Site, report: Report) -> None:
    """A persona whose server fails, asked by both machines in turn."""
    with _failing(site) as (url, asked):
        admin = Person("admin", *site.doors, role="ADMIN")
        status, body = admin.ask(0, "POST", "/api/personas", {"name": "Gardener", "kind": "webhook", "webhookUrl": url})
        if status != 201:
            raise SystemExit(f"the persona could not be made: {status} {body}")
        _, conversation = admin.ask(1, "POST", "/api/conversations", {"personaId": body["data"]["personaId"]})
        path = f"/api/conversations/{conversation['data']['conversationId']}/messages"
        told = Counter(admin.ask(number, "POST", path, {"message": "?"})[0] for number in range(30))
        admin.close()
        reached = len(asked)
    good = told == {502: OPENS_AFTER, 503: 30 - OPENS_AFTER} and reached == OPENS_AFTER
    report.row("of 30 questions to a server that fails, those that reached it", reached, promised=str(OPENS_AFTER), good=good)


@contextmanager
def _failing(site: Site) -> Iterator[tuple[str, list[int]]]:
    """A server at the client's machine that answers everything with 500, and what it was asked."""
    asked: list[int] = []
    numbers = count()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(next(numbers))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: what it was asked is counted."""

    server = http.server.ThreadingHTTPServer((site.net.address(CLIENT), 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{site.net.address(CLIENT)}:{server.server_address[1]}/hook", asked
    finally:
        server.shutdown()
        server.server_close()
