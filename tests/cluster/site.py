"""All machines of a site, as docs/scaling.md has them: nginx, hosts of the service, PgBouncer, a PostgreSQL and its replica, Redis."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from config import ROOT
from tests.cluster.clients import Connect, straight
from tests.cluster.hosts import Host
from tests.cluster.network import Net, may_be_apart
from tests.cluster.programs import Program
from tests.cluster.report import say
from tests.cluster.servers import Bouncer, Nginx, Postgres, Redis

MACHINES = ["front", "one", "two", "pool", "first", "second", "redis"]


@dataclass
class Site:
    net: Net
    folder: Path
    primary: Postgres
    redis: Redis
    hosts: list[Host] = field(default_factory=list)
    replica: Postgres | None = None
    bouncer: Bouncer | None = None
    front: Nginx | None = None

    @property
    def doors(self) -> list[Connect]:
        return [straight(host) for host in self.hosts]

    def tell(self) -> None:
        """The ends of the logs."""
        programs: list[Program] = [*self.hosts, self.primary, *([self.bouncer] if self.bouncer else [])]
        for one in programs:
            say(f"--- the log of {one.machine}\n{one.log.read_text(errors='replace')[-4000:]}")

    def said(self, words: str) -> int:
        """Lines in the logs of all hosts."""
        return sum(host.says(words) for host in self.hosts)


@contextlib.contextmanager
def site(*, release: Path = ROOT, bouncer: bool = True, replica: bool = True, many_addresses: bool = False, **settings: str) -> Iterator[Site]:
    """Up and migrated; gone afterwards, however the run ends. With `many_addresses` the service knows both database servers by itself."""
    signal.signal(signal.SIGTERM, _leave)
    net = Net(MACHINES, apart=may_be_apart())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatsvc-site-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        stack.enter_context(net.up())

        def place(name: str) -> Path:
            (folder / name).mkdir()
            return folder / name

        def started(program: Program) -> None:
            stack.callback(program.kill)
            program.start()

        primary = Postgres(net, "first", place("first"))
        stack.callback(primary.kill)
        primary.make()
        redis = Redis(net, "redis", place("redis"))
        found = Site(net, folder, primary, redis)
        started(redis)
        environ = {"DATABASE_URL": primary.url(), "REDIS_URL": redis.url, **settings}
        if replica:
            found.replica = Postgres(net, "second", place("second"))
            stack.callback(found.replica.kill)
            found.replica.follow(primary)
            environ["DATABASE_REPLICA_URL"] = found.replica.url()
        if bouncer:
            found.bouncer = Bouncer(net, "pool", place("pool"), primary)
            started(found.bouncer)
            environ["DATABASE_URL"] = found.bouncer.url
        elif many_addresses and found.replica:
            environ["DATABASE_URL"] = primary.url(found.replica)
        for name in ("one", "two"):
            host = Host(net, name, place(name), port=8001, release=release, **environ)
            if not found.hosts:
                host.flask("db", "upgrade", DATABASE_URL=primary.url(), DATABASE_REPLICA_URL="")
            found.hosts.append(host)
            started(host)
        found.front = Nginx(net, "front", place("front"), [host.place for host in found.hosts])
        started(found.front)
        try:
            yield found
        except BaseException:
            found.tell()
            raise


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
