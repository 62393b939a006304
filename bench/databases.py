"""The databases of the measurements: filled once, and copied for each run, so that every run begins with the same rows.

A server is the one of BENCH_DATABASE_URL (a superuser: the product's rows are copied past
its triggers), else the one that the tests would take.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy.engine import make_url

from bench import fill
from bench.streams import ROOT, SECRET
from tests.postgres import find_server, with_name

PREFIX = "chatsvc_bench"
ROLE = "chatsvc_bench_service"  # without any privilege, as the service's own should be: row-level security concerns it
SOURCES = ("migrations/**/*.py", "migrations/**/*.sql", "bench/fill.py", "bench/sql/peers.sql")


@dataclass(frozen=True, slots=True)
class Databases:
    """Those of one run."""

    peer: str
    product: str


def ask(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """One statement outside any transaction, and its rows; as whoever started the server, whatever role the database gives to others."""
    with contextlib.closing(psycopg2.connect(url, options="-c role=none")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with tempfile.TemporaryDirectory() as scratch:
        url = os.environ.get("BENCH_DATABASE_URL") or find_server(Path(scratch))[0]
        if not ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]:
            raise SystemExit("the role of BENCH_DATABASE_URL must be a superuser: the rows are copied past the triggers")
        yield url


@contextlib.contextmanager
def filled(url: str, users: int, *, keep: bool, superuser: bool = False) -> Iterator[Databases]:
    """A fresh copy of both databases. With `keep`, what was copied stays for the next run; as a superuser the service passes row-level security."""
    names = {kind: f"{PREFIX}_{kind}_{users}_{_state()}" for kind in ("peer", "product")}
    copies = {kind: f"{PREFIX}_{kind}_run_{os.getpid()}" for kind in names}
    try:
        _fill_missing(url, names, users)
        for kind, name in names.items():
            _copy(url, name, copies[kind])
        if not superuser:
            _give_to_the_service(url, copies["product"])
        yield Databases(with_name(url, copies["peer"]), with_name(url, copies["product"]))
    finally:
        _drop(url, *copies.values(), *([] if keep else names.values()))
        kept = [name for (name,) in ask(url, "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1", f"{PREFIX}%")]
        if kept:
            say(f"databases kept (drop them with dropdb): {', '.join(kept)}")


@contextlib.contextmanager
def made(url: str, kind: str, like: str | None = None) -> Iterator[str]:
    """A database of the service's role, empty or a copy of another one that nobody is connected to; gone afterwards."""
    name = f"{PREFIX}_{kind}_{os.getpid()}"
    try:
        if like:
            _copy(url, str(make_url(like).database), name)
        else:
            ask(url, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        _give_to_the_service(url, name)
        yield with_name(url, name)
    finally:
        _drop(url, name)


def tidy(url: str) -> None:
    """What is measured next begins on a vacuumed database with nothing left to write."""
    ask(url, "VACUUM (ANALYZE)")
    ask(url, "CHECKPOINT")


def migrate(url: str) -> None:
    environ = {**os.environ, "DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "warning"}
    subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], cwd=ROOT, env=environ, check=True)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fill_missing(url: str, names: dict[str, str], users: int) -> None:
    there = {name for (name,) in ask(url, "SELECT datname FROM pg_database")}
    if names["peer"] not in there:
        say(f"filling the peer's database with {users:,} users …")
        with _in_the_making(url, names["peer"]) as database:
            fill.peers(database, users)
    if names["product"] not in there:
        say("filling the product's database with the same …")
        with _in_the_making(url, names["product"]) as database:
            _give_to_the_service(url, str(make_url(database).database))
            migrate(database)
            fill.product(with_name(url, names["peer"]), database)


def _give_to_the_service(url: str, name: str) -> None:
    """Whoever connects to this database becomes the role that owns what is in it."""
    if not ask(url, "SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
        ask(url, f"CREATE ROLE {ROLE} NOLOGIN")
    ask(url, f"ALTER DATABASE {name} OWNER TO {ROLE}")
    ask(url, f"ALTER DATABASE {name} SET role = {ROLE}")


def _drop(url: str, *names: str) -> None:
    for name in names:
        ask(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    with contextlib.suppress(psycopg2.errors.DependentObjectsStillExist):
        ask(url, f"DROP ROLE IF EXISTS {ROLE}")


@contextlib.contextmanager
def _in_the_making(url: str, name: str) -> Iterator[str]:
    """A new database that has its name only once it is complete."""
    unfinished = f"{PREFIX}_filling_{os.getpid()}"
    ask(url, f"CREATE DATABASE {unfinished} ENCODING 'UTF8' TEMPLATE template0")
    try:
        yield with_name(url, unfinished)
        ask(url, f"ALTER DATABASE {unfinished} RENAME TO {name}")
    finally:
        ask(url, f"DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")


def _copy(url: str, name: str, to: str) -> None:
    version = ask(url, "SHOW server_version_num")[0][0]
    by_file = " STRATEGY FILE_COPY" if int(version) >= 150000 else ""  # before, there was no other way
    ask(url, f"CREATE DATABASE {to} TEMPLATE {name}{by_file}")


def _state() -> str:
    """Names what the databases are made by: with another migration they are filled anew."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
