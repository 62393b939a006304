"""The replica: whoever has written sees it wherever they ask, while it lags; it goes away, hangs and falls behind, and nobody's request fails."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.cluster.clients import Person
from tests.cluster.report import Report
from tests.cluster.servers import Postgres
from tests.cluster.site import Site

LIST = "/api/v1/chat-sessions"
LAG = "1200ms"
WRITERS, ROUNDS = 12, 8
POLLERS, POLL_SECONDS = 24, 9.0  # longer than a write is remembered
AWAY, BEHIND, BACK = "since it does not answer", "since it is behind", "the replica is as new as it should be"
GOES_BY = 20.0


def own_writes(site: Site, report: Report, replica: Postgres) -> None:
    """With a replica that is more than a second late, written at one machine and read at the other."""
    until_fresh(site)
    replica.set("recovery_min_apply_delay", LAG)
    before = replica.asked()
    with ThreadPoolExecutor(WRITERS + POLLERS) as pool:
        at_once = [pool.submit(_write_and_read, site, number) for number in range(WRITERS)]
        for_long = [pool.submit(_write_and_look, site, number) for number in range(POLLERS)]
        wrong = [one for future in at_once for one in future.result()]
        polled = [future.result() for future in for_long]
    asked = replica.asked() - before
    report.none(f"own writes not seen at once at the other machine, the replica {LAG} late", wrong, WRITERS * ROUNDS * 7)
    looks = sum(amount for amount, _ in polled)
    report.none(f"own writes that went away again within {POLL_SECONDS:.0f} s", [one for _, found in polled for one in found], looks)
    report.row("reads that the replica did meanwhile", asked, promised="some", good=asked > 20)
    replica.set("recovery_min_apply_delay", "0")


def _write_and_read(site: Site, number: int) -> list[str]:
    person, wrong = Person(f"writer-{number}", *site.doors), list[str]()

    def seen(what: str, door: int, path: str, holds: str, *, there: bool = True) -> None:
        status, body = person.ask(door, "GET", path)
        if status != 200 or (holds in str(body)) is not there:
            wrong.append(f"{person.user}: {what}: {status}")

    for turn in range(ROUNDS):
        here, there = turn, turn + 1
        title, words = f"Title {number}-{turn}", f"words-{number}-{turn}"
        made = person.session(here, title)
        seen("a new session in the list", there, LIST, made)
        seen("a new session", there, f"{LIST}/{made}", title)
        person.ask(there, "POST", f"{LIST}/{made}/messages", {"content": words, "message_type": "user"})
        seen("a message", here, f"{LIST}/{made}/messages", words)
        seen("a message in its session", here, f"{LIST}/{made}", words)
        person.ask(here, "PUT", f"{LIST}/{made}", {"title": f"Other {number}-{turn}"})
        seen("a new title found by its words", there, f"{LIST}?search=Other {number}-{turn}".replace(" ", "%20"), made)
        seen("the figures", there, f"{LIST}/stats/user", f"'total_sessions': {turn + 1}")
        person.ask(there, "DELETE", f"/chat/sessions/{made}")
        person.session(there, "Keeps the figures")
        seen("a removed session", here, LIST, made, there=False)
    person.close()
    return wrong


def _write_and_look(site: Site, number: int) -> tuple[int, list[str]]:
    """Written once, and looked at by turns until the replica has long been asked again."""
    time.sleep(number / POLLERS)
    person, wrong, amount = Person(f"poller-{number}", *site.doors), list[str](), 0
    made = person.session(number, "Here to stay")
    ends_at = time.monotonic() + POLL_SECONDS
    while time.monotonic() < ends_at:
        amount += 1
        status, body = person.ask(number + amount, "GET", LIST)
        if status != 200 or made not in str(body):
            wrong.append(f"{person.user}: look {amount}, {POLL_SECONDS - ends_at + time.monotonic():.2f} s after it was written: {status}")
        time.sleep(0.25)
    person.close()
    return amount, wrong


@dataclass
class Readers:
    """Some who do nothing but read, at both machines; each reads from the replica while it will do."""

    site: Site
    wrong: list[str] = field(default_factory=list)
    amount: int = 0
    longest: float = 0.0
    _ended: bool = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(12)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._ended = True
            for one in threads:
                one.join(60)

    def _read(self, number: int) -> None:
        person = Person(f"reader-{number}", *self.site.doors)
        while not self._ended:
            began = time.monotonic()
            status, _ = person.ask(self.amount, "GET", LIST)
            self.amount += 1
            self.longest = max(self.longest, time.monotonic() - began)
            if status != 200:
                self.wrong.append(f"{person.user}: {status} after {time.monotonic() - began:.2f} s")
            time.sleep(0.12)
        person.close()


def without_it(site: Site, report: Report, replica: Postgres) -> None:
    """Killed, stopped in its tracks, and held back."""
    until_fresh(site)
    for what, words, broken in (("killed", AWAY, _killed), ("hung", BEHIND, _hung), ("held back", BEHIND, _held_back)):
        before, readers = site.said(words), Readers(site)
        with readers.at_work():
            time.sleep(1)
            with broken(replica):
                said = _until(partial(_says_more, site, words, before))
                time.sleep(2)
            back = until_fresh(site)
        report.none(f"reads that failed while the replica was {what}, and after", readers.wrong, readers.amount)
        report.row(f"… the longest of them, the replica {what}", f"{readers.longest:.2f} s", promised="10 s at most", good=readers.longest < 10)
        report.row(f"… the log says so, and when it is back, the replica {what}", f"{said and back}", promised="True", good=said and back)


def _says_more(site: Site, words: str, before: int) -> bool:
    return site.said(words) > before


@contextmanager
def _killed(replica: Postgres) -> Iterator[None]:
    replica.kill()
    yield
    replica.start()


@contextmanager
def _hung(replica: Postgres) -> Iterator[None]:
    replica.send(signal.SIGSTOP)
    try:
        yield
    finally:
        replica.send(signal.SIGCONT)


@contextmanager
def _held_back(replica: Postgres) -> Iterator[None]:
    replica.ask("SELECT pg_wal_replay_pause()")
    try:
        yield
    finally:
        replica.ask("SELECT pg_wal_replay_resume()")


def until_fresh(site: Site) -> bool:
    """Whether the hosts read from the replica again: somebody who has never written has it asked."""
    replica = site.replica
    assert replica is not None
    person = Person("nobody", *site.doors)

    def reads_there() -> bool:
        before = replica.asked()
        for door in range(8):
            person.ask(door, "GET", LIST)
        return replica.asked() >= before + 8

    found = _until(reads_there)
    person.close()
    return found


def _until(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + GOES_BY
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.2)
    return False
