"""An upgrade without a pause: two instances behind nginx are replaced one by one by those of a later release, after its migration, under load.

    python -m tests.cluster.roll                      (as root; needs make cluster-tools)
    python -m tests.cluster.roll --requests 200000

The later release is this one with a revision more, which adds a column and an index to both large tables, in a folder of its own. No request
is tried twice, and none may fail. Every message that was acknowledged is there afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import ROOT
from tests.cluster.clients import Person, straight
from tests.cluster.hosts import Host
from tests.cluster.load import Load
from tests.cluster.report import Report
from tests.cluster.site import Site, site
from tests.faults.ledger import flask_verify
from tests.migrations.later import write_revisions

PEOPLE = 60
MINUTES = 10
PARTS = ("chatsvc", "migrations", "deploy")
GRACE = 22.0  # what an instance has to end, and a little
LATER_VERSION = "99.0.0"


def later_release(folder: Path) -> Path:
    """This release with another number and two revisions more."""
    folder.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    write_revisions(folder / "migrations")
    module = folder / "chatsvc/__init__.py"
    module.write_text(re.sub(r'__version__ = "[^"]+"', f'__version__ = "{LATER_VERSION}"', module.read_text()))
    return folder


@contextmanager
def under(load: Load) -> Iterator[None]:
    """The load beside, in a thread of its own."""
    thread = threading.Thread(target=lambda: asyncio.run(load.run()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        load.ended = True
        thread.join(60)


class Roll:
    """The steps of docs/deployment.md, each at its part of the requests."""

    def __init__(self, found: Site, report: Report, load: Load, requests: int) -> None:
        self.site, self.report, self.load, self.requests = found, report, load, requests
        self.until_at = time.monotonic() + MINUTES * 60

    def reached(self, part: float) -> None:
        while self.load.amount < part * self.requests:
            if time.monotonic() > self.until_at:
                raise SystemExit(f"{self.load.amount} requests and not {self.requests} within {MINUTES} minutes")
            time.sleep(0.05)

    def step(self, what: str, seconds: float, *, promised: float | None = None) -> None:
        told = f"{seconds:.1f} s; {self.load.amount} requests so far, {len(self.load.failed)} failed, the longest {self.load.longest:.2f} s"
        self.report.row(what, told, promised="" if promised is None else f"{promised:.0f} s at most", good=promised is None or seconds <= promised)

    def migrate(self, release: Path) -> None:
        began = time.monotonic()
        host = self.site.hosts[0]
        before, host.cwd = host.cwd, release
        host.flask("db", "upgrade", DATABASE_URL=self.site.primary.url())
        host.cwd = before
        self.step("the later release's migration", time.monotonic() - began)

    def replace(self, host: Host, release: Path) -> None:
        seconds = host.stop()
        self.step(f"{host.machine}: told to stop, and gone", seconds, promised=GRACE)
        host.cwd = release
        began = time.monotonic()
        host.start()
        while Person("nobody", straight(host)).ask(0, "GET", "/readyz")[0] != 200:
            time.sleep(0.1)
        self.step(f"{host.machine}: the later release is ready", time.monotonic() - began)


def version(host: Host) -> str:
    """That of the release that answers."""
    status, body = Person("nobody", straight(host)).ask(0, "GET", "/openapi.json")
    return str(body["info"]["version"]) if status == 200 else f"none: {status}"


def kept(found: Site, report: Report, load: Load) -> None:
    """Every acknowledged message, and no other."""
    rows = dict(found.primary.ask("SELECT user_id, count(*) FROM chat_messages WHERE user_id LIKE 'person-%' GROUP BY user_id", "chatsvc"))
    wrong = [f"{user}: {rows.get(user, 0)} of {amount} messages" for user, amount in load.appended.items() if rows.get(user, 0) != amount]
    report.none("people whose acknowledged messages are not all there, once each", wrong, len(load.appended))
    report.row("acknowledged messages", load.appended.total())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    report = Report()
    with site(bouncer=False, replica=False) as found:
        assert found.front is not None
        load = Load(found.front, found.net, PEOPLE, given.seed)
        roll, release = Roll(found, report, load, given.requests), later_release(found.folder / "later")
        report.row("machines", f"{'namespaces' if found.net.apart else 'loopback'}, seed {given.seed}, {PEOPLE} people")
        before = [version(host) for host in found.hosts]
        with under(load):
            roll.reached(0.15)
            roll.migrate(release)
            roll.reached(0.35)
            for host, part in zip(found.hosts, (0.6, 1.0), strict=True):
                roll.replace(host, release)
                roll.reached(part)
        seconds = time.monotonic() - load.began
        report.none("requests that failed", load.failed, load.amount)
        report.row("requests", f"{load.amount} in {seconds:.0f} s, {load.amount / seconds:.0f} a second", good=load.amount >= given.requests)
        report.row("the longest of them", f"{load.longest:.2f} s")
        report.row(
            "releases before and after", f"{before} and {(after := [version(host) for host in found.hosts])}", good=set(after) == {LATER_VERSION} != set(before)
        )
        kept(found, report, load)
        report.none("what flask verify finds at the end", flask_verify(found.primary.url(), release), 1)
        if code := report.told():
            found.tell()
    sys.exit(code)


if __name__ == "__main__":
    main()
