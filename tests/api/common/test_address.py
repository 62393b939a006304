"""Where a request comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from chatsvc import create_app
from chatsvc.api.common import address
from tests import factories

PEER = "192.0.2.1"


def seen(app: Flask, forwarded: str | None, peer: str = PEER) -> str:
    """The address that the application takes a request to be from."""
    found: list[str] = []
    app.before_request_funcs.setdefault(None, []).insert(0, lambda: found.append(address.client()))
    app.test_client().get("/healthz", environ_base={"REMOTE_ADDR": peer}, headers={} if forwarded is None else {"X-Forwarded-For": forwarded})
    app.before_request_funcs[None].pop(0)
    return found[0]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Flask]:
    """Applications behind so many proxies."""
    folder: Path = tmp_path_factory.mktemp("bare")
    return {hops: create_app(factories.settings(f"sqlite:///{folder / 'bare.db'}", PROXY_HOPS=str(hops))) for hops in (0, 1, 2)}


@pytest.mark.parametrize("forwarded", [None, "203.0.113.9", "203.0.113.9, 203.0.113.10", "", "::1", "nonsense", PEER])
def test_without_a_proxy_nobodys_word_counts(apps: dict[int, Flask], forwarded: str | None) -> None:
    assert seen(apps[0], forwarded) == PEER


@pytest.mark.parametrize(
    ("hops", "forwarded", "client"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1,2.2.2.2,203.0.113.9", "203.0.113.9"),
        (2, "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        # Fewer words than there are proxies: somebody came past one of them, and is taken for that one.
        (2, "203.0.113.9", PEER),
        (1, None, PEER),
        (1, "", PEER),
    ],
)
def test_behind_proxies_the_word_of_as_many_counts(apps: dict[int, Flask], hops: int, forwarded: str | None, client: str) -> None:
    assert seen(apps[hops], forwarded) == client


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:DB8:1:2::ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::"),
        ("", "unknown"),
        ("*", "unknown"),
        ("unix:", "unknown"),
        ("unknown", "unknown"),
        ("203.0.113.999", "unknown"),
        ("٢٠٣.0.113.9", "unknown"),
        ("203.0.113.9\n", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_one_household_is_one_address(apps: dict[int, Flask], peer: str, client: str) -> None:
    assert seen(apps[0], None, peer) == client
    assert len(client) <= 64
