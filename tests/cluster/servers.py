"""nginx, PgBouncer, PostgreSQL and Redis, each by the very file of deploy/, with addresses, names and passwords in the places of the samples."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from bench.tools import tool
from config import ROOT
from tests.cluster.network import Net
from tests.cluster.programs import Program

DEPLOY = ROOT / "deploy"
NAME = "chat.example.org"
PASSWORD = "a-password-of-the-cluster"
OWNER = "postgres"
INCLUDE = "include_dir = 'conf.d'\n"


def replaced(path: str, *pairs: tuple[str, str]) -> str:
    """A file of deploy/ with these changes, each of which must find its place."""
    found = (DEPLOY / path).read_text()
    for old, new in pairs:
        if old not in found:
            raise SystemExit(f"deploy/{path} has no {old!r} any more")
        found = found.replace(old, new)
    return found


class Postgres(Program):
    """With deploy/postgresql/chatsvc.conf and replica.conf in its conf.d, as Debian has it."""

    def __init__(self, net: Net, machine: str, folder: Path) -> None:
        self.data = folder / "data"
        super().__init__(net, machine, folder, [tool("postgres"), "-D", str(self.data)], port=5432)
        self.user = OWNER
        _give(folder)

    def url(self, *more: Postgres) -> str:
        """For the service: of this server, or of whichever of several takes writes."""
        servers = [self, *more]
        hosts = f"host={','.join(one.address for one in servers)}&port={','.join(str(one.port) for one in servers)}"
        return f"postgresql://chatsvc:{PASSWORD}@/chatsvc?{hosts}" + ("&target_session_attrs=read-write" if more else "")

    def make(self) -> None:
        """A new one, with the role and the database of the guide."""
        self.run([tool("initdb"), "-D", str(self.data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write(f"host all chatsvc {self.net.network} scram-sha-256\nhost replication replicator {self.net.network} scram-sha-256\n")
        self._configure()
        self.start()
        for statement in (
            f"CREATE ROLE chatsvc LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{PASSWORD}'",
            "CREATE DATABASE chatsvc OWNER chatsvc ENCODING 'UTF8' TEMPLATE template0",
        ):
            self.ask(statement)
        self.ask("CREATE EXTENSION pg_stat_statements", "chatsvc")
        role = self.folder / "role.sql"
        role.write_text((DEPLOY / "postgresql/role.sql").read_text())
        self.run([tool("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", OWNER, "-f", str(role), "chatsvc"])

    def follow(self, primary: Postgres) -> None:
        """A copy that follows this primary."""
        source = f"host={primary.address} port={primary.port} user=replicator"
        command = [tool("pg_basebackup"), "-d", source, "-D", str(self.data), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        self.run(command, PGPASSWORD=PASSWORD)
        self._configure()
        self.start()

    def _configure(self) -> None:
        folder = self.data / "conf.d"
        folder.mkdir(exist_ok=True)
        for name in ("chatsvc.conf", "replica.conf"):
            shutil.copy(DEPLOY / "postgresql" / name, folder / name)
        (folder / "here.conf").write_text(f"listen_addresses = '{self.address}'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        main = self.data / "postgresql.conf"
        if not main.read_text().endswith(INCLUDE):  # a copy of one has it already
            with main.open("a") as file:
                file.write(INCLUDE)
        _give(self.folder)

    def ask(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the superuser, by the socket."""
        with contextlib.closing(psycopg2.connect(host=str(self.folder), port=self.port, user=OWNER, dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

    def answers(self) -> bool:
        """It takes connections before it answers."""
        with contextlib.suppress(psycopg2.OperationalError):
            return bool(self.ask("SELECT 1"))
        return False

    def set(self, name: str, value: str) -> None:
        self.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.ask("SELECT pg_reload_conf()")

    def asked(self) -> int:
        """How many statements about sessions it has carried out."""
        ((found,),) = self.ask("SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE query LIKE '%chat_sessions%'", "chatsvc")
        return int(found)


class Bouncer(Program):
    """deploy/pgbouncer/pgbouncer.ini."""

    def __init__(self, net: Net, machine: str, folder: Path, server: Postgres) -> None:
        self._file = folder / "pgbouncer.ini"
        super().__init__(net, machine, folder, [tool("pgbouncer"), str(self._file)], port=6432)
        self.user = OWNER
        (folder / "userlist.txt").write_text(f'"chatsvc" "{PASSWORD}"\n')
        self._write(server)

    @property
    def url(self) -> str:
        return f"postgresql://chatsvc:{PASSWORD}@{self.address}:{self.port}/chatsvc"

    def _write(self, server: Postgres) -> None:
        self._file.write_text(
            replaced(
                "pgbouncer/pgbouncer.ini",
                ("host=127.0.0.1 port=5432", f"host={server.address} port={server.port}"),
                ("listen_addr = 127.0.0.1", f"listen_addr = {self.address}"),
                ("/etc/pgbouncer/userlist.txt", str(self.folder / "userlist.txt")),
            )
        )
        _give(self.folder)

    def point_to(self, server: Postgres) -> None:
        """Another server from here on; nobody who is connected notices more than that the old one is gone."""
        self._write(server)
        os.kill(self.pid, signal.SIGHUP)


class Redis(Program):
    """deploy/redis/chatsvc.conf."""

    def __init__(self, net: Net, machine: str, folder: Path) -> None:
        file = folder / "redis.conf"
        super().__init__(net, machine, folder, [tool("redis-server"), str(file)], port=6379)
        file.write_text(replaced("redis/chatsvc.conf", ("bind 127.0.0.1 -::1", f"bind {self.address}"), ("# requirepass EDIT", f"requirepass {PASSWORD}")))

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.address}:{self.port}/0"


class Nginx(Program):
    """deploy/nginx/chatsvc.conf, with a certificate made for the day."""

    def __init__(self, net: Net, machine: str, folder: Path, instances: list[str]) -> None:
        file = folder / "nginx.conf"
        super().__init__(net, machine, folder, [tool("nginx"), "-c", str(file), "-p", str(folder), "-g", "daemon off;"], port=443)
        self.certificate = folder / "fullchain.pem"
        key = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} -keyout privkey.pem -out fullchain.pem"
        subprocess.run(key.split(), cwd=folder, check=True, capture_output=True)
        folder.chmod(0o755)
        first, second = (f"  server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;\n" for port in (8001, 8002))
        text = replaced(
            "nginx/chatsvc.conf",
            (first + second, "".join(f"  server {one} max_fails=1 fail_timeout=1s;\n" for one in instances)),
            ("  listen [::]:80;\n", ""),
            ("  listen [::]:443 ssl http2;\n", ""),
            ("listen 80;", f"listen {self.address}:80;"),
            ("listen 443 ssl http2;", f"listen {self.address}:443 ssl http2;"),
            ("/etc/ssl/chatsvc", str(folder)),
            ("/var/log/nginx", str(folder)),
        )
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        who = "user root;\n" if not os.geteuid() else ""
        file.write_text(f"{who}pid {folder}/pid;\nerror_log {folder}/error.log;\nworker_processes 2;\nevents {{}}\nhttp {{\n{temporary}\n{text}\n}}\n")


def _give(folder: Path) -> None:
    """To whom the database's programs run as, where this is root."""
    if not os.geteuid():
        subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", str(folder)], check=True)
