"""Several HS256 keys: those of before, and the one to come, are good until their date; nothing is signed with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from flask import Flask
from jwt.algorithms import HMACAlgorithm

from chatsvc.api.common.caller import ACCESS_COOKIE, CSRF_HEADER
from chatsvc.api.common.keys import Keys
from config import DatedSecret
from tests import factories
from tests.api.app.accounts import account, page, sign_in
from tests.api.common.forgery import claims, ec_key, pem
from tests.api.common.test_keys import asked
from tests.factories import SECRET

OLDER = [f"a-key-of-before-number-{number}-0123456789-abc" for number in range(3)]
TO_COME = "2199-12-31T00:00:00Z"


def with_older(until: str = TO_COME, amount: int = 3) -> dict[str, str]:
    return {"JWT_OTHER_SECRET_KEYS": ",".join(f"{secret}@{until}" for secret in OLDER[:amount])}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The secrets with which signatures were computed to compare them."""
    seen: list[bytes] = []
    verify = HMACAlgorithm.verify

    def noted(self: HMACAlgorithm, msg: bytes, key: bytes, sig: bytes) -> bool:
        seen.append(key)
        return verify(self, msg, key, sig)

    monkeypatch.setattr(HMACAlgorithm, "verify", noted)
    return seen


@pytest.mark.parametrize("more", [{}, {"JWT_PUBLIC_KEY": pem(ec_key())}], ids=["secrets alone", "a public key beside them"])
def test_several_secrets_are_good_at_once_and_the_first_signs(make_app: Callable[..., Flask], more: dict[str, str]) -> None:
    app = make_app(**with_older(), **more)
    for secret in (SECRET, *OLDER):
        assert asked(app, factories.token(secret=secret)) == 200
        assert asked(app, jwt.encode(claims(), secret, "HS256", headers={"kid": "of an outside issuer"})) == 200
    assert asked(app, factories.token(secret=OLDER[0][:-1])) == 401
    for algorithm in ("HS384", "HS512"):
        assert asked(app, factories.token(secret=f"{OLDER[0]}{OLDER[1]}", algorithm=algorithm)) == 401
    account(app)
    here = sign_in(app)
    for text in (here.access, here.refresh):
        assert jwt.decode(text, SECRET, ["HS256"])["sign_in"]


def test_a_token_of_the_key_in_use_costs_what_it_did_and_one_of_nobody_s_key_a_handful(make_app: Callable[..., Flask], hashed: list[bytes]) -> None:
    alone, several = make_app(), make_app(**with_older())
    for app in (alone, several):
        assert asked(app, factories.token()) == 200
    assert hashed == [SECRET.encode()] * 2
    hashed.clear()
    assert asked(several, factories.token(secret=OLDER[1])) == 200
    assert asked(several, factories.token(secret=OLDER[1])) == 200
    assert hashed == [secret.encode() for secret in (SECRET, OLDER[0], OLDER[1])], "and remembered then"
    hashed.clear()
    assert (
        asked(alone, factories.token(secret="a-secret-that-is-nobody-s-0123456789"))
        == asked(several, factories.token(secret="a-secret-that-is-nobody-s-0123456789"))
        == 401
    )
    assert hashed == [SECRET.encode(), *(secret.encode() for secret in (SECRET, *OLDER))]


def test_a_token_that_is_bad_for_another_reason_is_tried_once(make_app: Callable[..., Flask], hashed: list[bytes]) -> None:
    app = make_app(**with_older(), JWT_AUDIENCE="chatsvc")
    assert asked(app, factories.token(aud="another-app")) == 401
    assert hashed == [SECRET.encode()]
    hashed.clear()
    assert asked(app, factories.token(secret=OLDER[0], aud="another-app")) == asked(app, factories.token(secret=OLDER[0], aud="chatsvc", lifetime=-1)) == 401
    assert hashed == [SECRET.encode(), OLDER[0].encode()] * 2


def test_after_its_date_a_key_is_refused_at_once_though_its_tokens_were_remembered(make_app: Callable[..., Flask]) -> None:
    until = time.time() + 2
    date = datetime.fromtimestamp(until, UTC).isoformat()
    apps = [make_app(JWT_OTHER_SECRET_KEYS=f"{OLDER[0]}@{date},{OLDER[1]}@{TO_COME}") for _ in range(2)]
    seen, before = apps
    tokens = {secret: factories.token(secret=secret) for secret in (SECRET, *OLDER[:2])}
    assert [asked(seen, text) for text in tokens.values()] == [200, 200, 200]
    time.sleep(max(0.0, until - time.time()))
    for app in (seen, before):
        assert [asked(app, text) for text in tokens.values()] == [200, 401, 200]
    assert asked(make_app(**with_older(date, 1)), tokens[OLDER[0]]) == 401


def test_a_key_whose_date_is_past_at_the_start_is_told_of_and_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    past = DatedSecret(OLDER[0], time.time() - 1)
    keys = Keys(secret=SECRET, others=[past, DatedSecret(OLDER[1], 4e9)], public_key="", jwks_url="")
    assert [other.secret for other in keys.others] == [OLDER[1]]
    assert caplog.messages == ["of 2 keys in JWT_OTHER_SECRET_KEYS 1 are no longer good: their date is past"]


def test_sign_ins_go_on_when_the_key_changes(make_app: Callable[..., Flask]) -> None:
    before, after = make_app(JWT_SECRET_KEY=OLDER[0]), make_app(**with_older(amount=1))
    account(before)
    here = sign_in(before)
    browser, csrf = page(before)
    here.app = after
    assert here.me() == 200
    renewed = here.renewed()
    assert jwt.get_unverified_header(renewed.access).get("kid") is None
    assert jwt.decode(renewed.refresh, SECRET, ["HS256"])["sign_in"] == jwt.decode(here.refresh, OLDER[0], ["HS256"])["sign_in"]
    browser.application = after
    write: dict[str, Any] = {"json": {"title": "Written after the change"}, "headers": {CSRF_HEADER: csrf}}
    for _ in range(2):
        assert browser.post("/api/v1/chat-sessions", **write).status_code == 201
        assert browser.post("/auths/refresh", headers={CSRF_HEADER: csrf}).status_code == 200
    cookie = browser.get_cookie(ACCESS_COOKIE)
    assert cookie is not None
    assert jwt.decode(cookie.value, SECRET, ["HS256"])["csrf"] == csrf
    assert here.renew().status_code == 401, "it was spent, whichever key signed it"
    assert renewed.me() == 401, "and so the whole sign-in has ended"


def test_whoever_signed_out_before_the_key_changed_stays_signed_out(make_app: Callable[..., Flask]) -> None:
    before, after = make_app(JWT_SECRET_KEY=OLDER[0]), make_app(**with_older(amount=1))
    account(before)
    here = sign_in(before)
    assert here.person.post("/auths/logout").status_code == 204
    here.app = after
    assert (here.me(), here.renew().status_code) == (401, 401)
