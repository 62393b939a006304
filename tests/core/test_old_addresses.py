"""IP addresses do not outlive their days; whatever else stands beside them does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask

from chatsvc.core import old_addresses, throttle
from chatsvc.core.old_addresses import Hidden
from config import ROOT
from tests.migrations.raw import Raw
from tests.whole import dumped

Make = Callable[..., Flask]
V4, V6, NEW = "203.0.113.77", "2001:db8:aaaa:bbbb::", "203.0.113.99"


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def raw(app: Flask, database_url: str) -> Iterator[Raw]:
    with Raw(database_url) as connection:
        yield connection


@pytest.fixture
def kept(raw: Raw) -> Raw:
    """Every place that keeps an address, old ones and one that is not."""
    persona = raw.insert("personas", name="Guide", kind="echo")
    talk = raw.insert("conversations", user_id="owner", persona_id=persona)
    for address, days in ((V4, 31), (V6, 40), (NEW, 29)):
        meta = orjson.dumps({"ipAddress": address, "userAgent": "curl", "page": "/pricing"}).decode()
        raw.session(persona_id=persona, conversation_id=talk, metadata=meta, created_at=ago(days=days))
        details = orjson.dumps({"address": address}).decode()
        raw.insert("audit_events", action="login.failed", subject="alice", details=details, created_at=ago(days=days))
        raw.insert("login_throttles", account="alice", address=address, touched_at=ago(days=days), succeeded_at=ago(days=days))
    raw.insert("login_throttles", account="alice", address=throttle.EVERYWHERE, touched_at=ago(days=50))
    return raw


def found(raw: Raw) -> dict[str, list[Any]]:
    def column(sql: str) -> list[Any]:
        return [orjson.loads(row[0]) if isinstance(row[0], str) else row[0] for row in raw.run(sql)]

    return {
        "exchanges": sorted((meta.get("ipAddress") or "", meta["userAgent"], meta["page"]) for meta in column("SELECT metadata FROM chat_sessions")),
        "events": sorted(details.get("address") or "" for details in column("SELECT details FROM audit_events")),
        "throttles": sorted(row[0] for row in raw.run("SELECT address FROM login_throttles")),
    }


def hidden(app: Flask) -> Hidden:
    """What a pass has changed, which is what a dry run had said."""
    with app.app_context():
        told = old_addresses.count()
        assert old_addresses.hide() == told
        assert old_addresses.hide() == Hidden()
        return told


def test_they_stay_as_they_are_unless_a_setting_says_so(kept: Raw, app: Flask) -> None:
    before = found(kept)
    assert hidden(app) == Hidden()
    assert found(kept) == before


def test_old_ones_are_shortened_to_their_network(kept: Raw, make_app: Make) -> None:
    assert hidden(make_app(CHAT_IP_RETENTION_DAYS="30")) == Hidden(exchanges=2, audit_events=2, sign_in_records=2)
    rest = ("curl", "/pricing")
    networks = ["2001:db8:aaaa::/48", "203.0.113.0/24", NEW]
    assert found(kept) == {"exchanges": [(address, *rest) for address in networks], "events": networks, "throttles": ["*", NEW]}


def test_or_dropped(kept: Raw, make_app: Make, database_url: str) -> None:
    assert V4.encode() in dumped(database_url)
    hidden(make_app(CHAT_IP_RETENTION_DAYS="30", CHAT_IP_RETENTION_MODE="drop"))
    assert found(kept) == {
        "exchanges": [("", "curl", "/pricing"), ("", "curl", "/pricing"), (NEW, "curl", "/pricing")],
        "events": ["", "", NEW],
        "throttles": ["*", NEW],
    }
    with Raw(database_url) as raw:
        raw.run("PRAGMA wal_checkpoint(TRUNCATE)" if raw.on_sqlite else "SELECT 1")
        rows = repr([raw.run(f"SELECT * FROM {table}") for table in ("chat_sessions", "audit_events", "login_throttles")])
    assert V4 not in rows


def test_what_is_none_of_ours_stays(raw: Raw, make_app: Make) -> None:
    """What people say of themselves in a session of their own, and what is no address."""
    mine = raw.session(metadata=f'{{"ipAddress": "{V4}"}}', created_at=ago(days=90))
    persona = raw.insert("personas", name="Guide", kind="echo")
    talk = raw.insert("conversations", user_id="owner", persona_id=persona)
    for value in ('"unknown"', "17", "null", '"somewhere"', '{"a": 1}', '"203.0.113.0/24"'):
        raw.session(persona_id=persona, conversation_id=talk, metadata=f'{{"ipAddress": {value}}}', created_at=ago(days=90))
    before = sorted(map(repr, raw.run("SELECT id, metadata FROM chat_sessions")))
    assert hidden(make_app(CHAT_IP_RETENTION_DAYS="30")) == Hidden()
    assert sorted(map(repr, raw.run("SELECT id, metadata FROM chat_sessions"))) == before
    assert mine in before[0] or any(mine in row for row in before)


def test_more_than_a_slice_goes_in_one_pass(raw: Raw, make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatsvc.core.walking.SLICE", 7)
    monkeypatch.setattr(old_addresses, "BATCH", 3)
    with raw.transaction():
        for number in range(40):
            raw.insert("audit_events", action="login.failed", details=f'{{"address": "198.51.100.{number}"}}', created_at=ago(days=90))
            raw.insert("login_throttles", account="a", address=f"198.51.100.{number}", touched_at=ago(days=90))
    assert hidden(make_app(CHAT_IP_RETENTION_DAYS="30")) == Hidden(audit_events=40, sign_in_records=40)


def test_nothing_else_of_the_service_keeps_an_address() -> None:
    """Whoever asks for the client's address is known here; a new place has to be thought of."""
    asks = {
        path.relative_to(ROOT).as_posix() for path in Path(ROOT / "chatsvc").rglob("*.py") if re.search(r"address\.client\(\)|remote_addr", path.read_text())
    }
    limits_only = {"chatsvc/api/common/door.py", "chatsvc/api/common/address.py"}
    assert asks - limits_only == {"chatsvc/api/app/auths.py", "chatsvc/api/envelope/exchanges.py"}
