"""What becomes of a sign-in: renewed, ended, closed by the operator, promoted; each at once, though checked tokens are remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select

from chatsvc.core import cleanup, tokens, users
from chatsvc.core.database import read
from chatsvc.core.models import RevokedToken
from tests import factories
from tests.api.app.accounts import NOBODY, PASSWORD, SignIn, account, bearer, login, page, set_in_database, sign_in
from tests.factories import SECRET, Person

ROUTES = ("/auths/me", "/api/v1/chat-sessions", "/api/v1/chat-sessions/stats/user")


@pytest.fixture
def alice(app: Flask) -> str:
    return account(app)


@pytest.fixture
def here(app: Flask, alice: str) -> SignIn:
    return sign_in(app)


@pytest.fixture
def elsewhere(app: Flask, alice: str) -> SignIn:
    return sign_in(app)


def turned_away(who: Person) -> bool:
    """Whether every route refuses this token, and all in the same words."""
    answers = [who.get(route) for route in ROUTES]
    statuses = {answer.status_code for answer in answers}
    assert len(statuses) == 1
    if statuses == {401}:
        assert {answer.data for answer in answers} == {NOBODY}
    return statuses == {401}


def test_signing_out_ends_this_sign_in_and_no_other(here: SignIn, elsewhere: SignIn) -> None:
    assert not turned_away(here.person)
    response = here.person.post("/auths/logout")
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Clear-Site-Data"] == '"cache"'
    assert turned_away(here.person)
    assert (here.renew().status_code, here.renew().data) == (401, NOBODY)
    assert not turned_away(elsewhere.person)
    assert elsewhere.renew().status_code == 200


def test_signing_out_ends_what_was_renewed_as_well(here: SignIn) -> None:
    renewed = here.renewed()
    assert here.person.post("/auths/logout").status_code == 204
    assert turned_away(renewed.person)
    assert renewed.renew().status_code == 401


def test_signing_out_twice_is_told_to_be_nobody(here: SignIn) -> None:
    here.person.post("/auths/logout")
    assert here.person.post("/auths/logout").data == NOBODY


@pytest.mark.parametrize("whose", ["ours", "an outside issuer's"])
def test_other_spellings_of_a_token_that_was_signed_out_are_no_good_either(app: Flask, here: SignIn, whose: str) -> None:
    token = here.access if whose == "ours" else factories.token("outsider")
    assert bearer(app, token).get("/auths/me").status_code == 200
    # A signature may be spelt with padding, which issuers of old did: the same token, in other letters.
    assert bearer(app, f"{token}=").get("/auths/me").status_code == 200
    assert bearer(app, token).post("/auths/logout").status_code == 204
    body, _, signature = token.rpartition(".")
    padded = [f"{token}{'=' * number}" for number in range(4)]
    last = [f"{body}.{signature[:-1]}{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    for spelling in [*padded, *last, f" {token} ", f"{body}.{signature[:-1]}", f"{body}.{signature}A"]:
        response = bearer(app, spelling).get("/auths/me")
        assert (response.status_code, response.data) == (401, NOBODY), spelling


def test_other_processes_know_at_once(make_app: Callable[..., Flask], here: SignIn) -> None:
    other = make_app()
    assert bearer(other, here.access).get("/auths/me").status_code == 200
    here.person.post("/auths/logout")
    assert bearer(other, here.access).get("/auths/me").status_code == 401


def test_a_token_from_elsewhere_can_be_signed_out_and_no_other_of_that_user(app: Flask) -> None:
    first, second = (factories.person(app, "outsider", jti=name) for name in ("one", "two"))
    assert first.post("/auths/logout").status_code == 204
    assert turned_away(first)
    assert not turned_away(second)


def test_the_session_id_of_an_outside_issuer_is_its_own_affair(app: Flask) -> None:
    # Issuers use `sid` for their own single sign-on; the next token of the same one must be good.
    first, second = (factories.person(app, "outsider", sid="sso-1", iat=int(time.time()) - number) for number in (1, 2))
    first.post("/auths/logout")
    assert turned_away(first)
    assert not turned_away(second)


def test_a_long_lived_token_stays_signed_out_for_as_long_as_it_would_have_lived(app: Flask) -> None:
    year = 366 * 86400
    long_lived = factories.person(app, "outsider", lifetime=year)
    long_lived.post("/auths/logout")
    with app.app_context():
        kept = read(select(RevokedToken.expires_at))[0][0]
        assert kept >= datetime.now(UTC) + timedelta(days=365)
        cleanup.purge()
    assert turned_away(long_lived)


def test_the_latest_time_there_is_can_be_signed_out_too(app: Flask) -> None:
    last = bearer(app, jwt.encode({"sub": "outsider", "exp": 253_402_300_798.5}, SECRET))
    assert last.post("/auths/logout").status_code == 204
    assert turned_away(last)


def test_renewing_gives_a_new_pair_of_the_same_person(here: SignIn, alice: str) -> None:
    renewed = here.renewed()
    assert {renewed.access, renewed.refresh}.isdisjoint({here.access, here.refresh})
    assert renewed.person.get("/auths/me").json == {"id": alice, "username": "alice", "role": "USER"}


def test_a_refresh_token_can_be_sent_as_a_bearer_token(app: Flask, here: SignIn) -> None:
    assert bearer(app, here.refresh).call("POST", "/auths/refresh").status_code == 200


def test_a_refresh_token_is_good_for_nothing_else(app: Flask, here: SignIn) -> None:
    assert turned_away(bearer(app, here.refresh))
    assert bearer(app, here.refresh).post("/auths/logout").status_code == 401
    assert here.me() == 200


def test_an_access_token_renews_nothing(app: Flask, here: SignIn) -> None:
    client = app.test_client()
    assert client.post("/auths/refresh", json={"refresh_token": here.access}).data == NOBODY
    assert bearer(app, here.access).call("POST", "/auths/refresh").data == NOBODY


def test_using_a_spent_refresh_token_ends_the_whole_sign_in(here: SignIn, elsewhere: SignIn) -> None:
    second = here.renewed()
    third = second.renewed()
    assert not turned_away(third.person)
    assert (here.renew().status_code, here.renew().data) == (401, NOBODY)
    for ended in (here, second, third):
        assert turned_away(ended.person)
        assert ended.renew().status_code == 401
    assert not turned_away(elsewhere.person)


def test_of_many_renewals_of_one_token_at_once_one_succeeds(here: SignIn) -> None:
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda _: here.renew().status_code, range(12)))
    assert sorted(statuses) == [200] + [401] * 11


def test_renewing_is_limited_by_user_and_a_refused_renewal_spends_nothing(make_app: Callable[..., Flask], alice: str) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2/minute")
    last = sign_in(app).renewed().renewed()
    refused = last.renew()
    assert refused.status_code == 429
    assert "Retry-After" in refused.headers
    last.app = make_app()
    assert last.renew().status_code == 200


def test_a_sign_in_that_ends_while_it_is_renewed_stays_ended(here: SignIn) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            leaving = pool.submit(here.person.post, "/auths/logout")
            response = pool.submit(here.renew).result()
            assert leaving.result().status_code == 204
            if response.status_code == 200:
                assert response.json is not None
                assert turned_away(bearer(here.app, response.json["access_token"]))
            here = sign_in(here.app)


@pytest.mark.parametrize(
    "body", ["[]", "{", '{"refresh_token": 5}', '{"refresh_token": null}', '{"refresh_token": ""}', '{"token": "x"}', json.dumps({"refresh_token": "x" * 9000})]
)
def test_a_renewal_that_cannot_be_read_is_a_bad_request(app: Flask, body: str) -> None:
    response = app.test_client().post("/auths/refresh", data=body, content_type="application/json")
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("text", ["nonsense", "a.b.c", "\u20ac", "x" * 8000])
def test_a_renewal_with_nonsense_is_nobody(app: Flask, text: str) -> None:
    response = app.test_client().post("/auths/refresh", json={"refresh_token": text})
    assert (response.status_code, response.data) == (401, NOBODY)


def test_a_refresh_token_of_elsewhere_renews_nothing_here(app: Flask, alice: str) -> None:
    for claims in ({"type": "refresh"}, {"type": "refresh", "sign_in": 5}, {"type": "refresh", "sign_in": None}):
        response = app.test_client().post("/auths/refresh", json={"refresh_token": factories.token(alice, **claims)})
        assert (response.status_code, response.data) == (401, NOBODY)
    nobody_here = factories.token("outsider", type="refresh", sign_in="x")
    assert app.test_client().post("/auths/refresh", json={"refresh_token": nobody_here}).status_code == 401


def test_when_sign_ins_are_made_shorter_those_that_are_longer_end(make_app: Callable[..., Flask], alice: str) -> None:
    made_before = sign_in(make_app(JWT_REFRESH_TOKEN_DAYS="30"))
    made_before.app = make_app(JWT_REFRESH_TOKEN_DAYS="1")
    assert made_before.me() == 200
    assert (made_before.renew().status_code, made_before.renew().data) == (401, NOBODY)
    assert sign_in(made_before.app).renew().status_code == 200


NEW = "another password of alice"


def change_password(app: Flask) -> None:
    with app.app_context():
        users.change_password("alice", NEW)


def test_a_new_password_ends_every_sign_in_at_once_in_every_process(make_app: Callable[..., Flask], here: SignIn, elsewhere: SignIn) -> None:
    other, renewed = make_app(), elsewhere.renewed()
    browser, csrf = page(other)
    assert bearer(other, here.access).get("/auths/me").status_code == browser.get("/auths/me").status_code == 200
    change_password(here.app)
    for one in (here, elsewhere, renewed):
        assert turned_away(one.person)
        assert turned_away(bearer(other, one.access))
        assert (one.renew().status_code, one.renew().data) == (401, NOBODY)
    assert browser.get("/auths/me").status_code == browser.post("/auths/refresh", headers={"X-CSRF-Token": csrf}).status_code == 401
    assert login(other).status_code == 401
    anew = sign_in(other, password=NEW)
    assert (anew.me(), anew.renewed().me()) == (200, 200)


def test_a_new_password_ends_nobody_elses_sign_in_and_no_token_of_elsewhere(app: Flask, here: SignIn, alice: str) -> None:
    bob_s_id = account(app, "bob")
    bob, outside, bob_of_before = sign_in(app, "bob"), factories.person(app, alice), factories.person(app, bob_s_id, sign_in="of a release before")
    change_password(app)
    assert turned_away(here.person)
    assert not turned_away(bob.person)
    assert not turned_away(bob_of_before)
    assert bob.renew().status_code == 200
    assert not turned_away(outside), "an issuer's tokens are the issuer's to end"


def test_who_signs_in_or_renews_while_the_password_changes_does_not_stay(app: Flask, here: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old password was right and the refresh token good when they were looked at; the tokens were handed out afterwards."""
    authenticate, spend = users.authenticate, tokens.spend

    def slowly(*args: Any, then: Callable[..., Any], **rest: Any) -> Any:
        done = then(*args, **rest)
        change_password(app)
        return done

    monkeypatch.setattr(tokens, "spend", partial(slowly, then=spend))
    assert turned_away(here.renewed().person)
    monkeypatch.undo()
    monkeypatch.setattr(users, "authenticate", partial(slowly, then=authenticate))
    late = sign_in(app, password=NEW)
    assert turned_away(late.person)
    assert late.renew().status_code == 401


def test_a_sign_in_of_a_release_that_named_no_password_ends_with_it_too(app: Flask, alice: str) -> None:
    before = SignIn(app, factories.token(alice, sign_in="x"), factories.token(alice, sign_in="x", type="refresh"))
    assert before.me() == 200
    renewed = before.renewed()
    assert renewed.me() == 200
    change_password(app)
    assert turned_away(before.person)
    assert turned_away(renewed.person)
    assert renewed.renew().status_code == 401


def test_a_sign_in_whose_hash_was_renewed_since_ends_with_the_password(app: Flask, alice: str) -> None:
    set_in_database(app, "password_hash = :hash", hash=PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD))
    first, second = sign_in(app), sign_in(app)
    change_password(app)
    assert turned_away(first.person)
    assert turned_away(second.person)


def test_what_ended_with_a_password_stays_ended_for_as_long_as_a_sign_in_may_last(app: Flask, here: SignIn) -> None:
    change_password(app)
    with app.app_context():
        kept = read(select(RevokedToken.expires_at))
        assert min(row.expires_at for row in kept) > datetime.now(UTC) + timedelta(days=365)
        cleanup.purge()
    assert turned_away(here.person)


def test_a_disabled_users_live_tokens_are_refused_at_once(app: Flask, here: SignIn) -> None:
    assert not turned_away(here.person)
    with app.app_context():
        users.disable("alice")
    assert turned_away(here.person)
    assert here.renew().status_code == 401
    assert here.person.post("/auths/logout").status_code == 401


def test_a_token_of_elsewhere_does_not_open_a_disabled_account(app: Flask, alice: str) -> None:
    set_in_database(app, "disabled_at = created_at")
    assert turned_away(factories.person(app, alice, role="ADMIN"))


@pytest.mark.parametrize("claim", [None, "USER", "ADMIN", "admin", "ROOT", "", 5, True, ["ADMIN"], {"ADMIN": True}, "ADMIN "])
def test_an_outside_users_role_is_the_claims_and_an_unknown_one_is_user(app: Flask, claim: Any) -> None:
    me = factories.person(app, "outsider", role=claim).get("/auths/me").json
    assert me == {"id": "outsider", "username": "outsider", "role": "ADMIN" if claim == "ADMIN" else "USER"}


def test_an_accounts_own_role_wins_over_the_claim(app: Flask, alice: str) -> None:
    claims_more = factories.person(app, alice, role="ADMIN")
    assert claims_more.get("/auths/me").json == {"id": alice, "username": "alice", "role": "USER"}
    assert claims_more.get("/auths/users").status_code == 403
    set_in_database(app, "role = 'ADMIN'")
    claims_less = factories.person(app, alice, role="USER")
    assert claims_less.get("/auths/users").status_code == 200


def test_promotion_and_demotion_count_at_once(app: Flask, here: SignIn) -> None:
    assert here.person.get("/auths/users").status_code == 403
    with app.app_context():
        users.promote("alice")
    assert here.person.get("/auths/users").status_code == 200
    set_in_database(app, "role = 'USER'")
    assert here.person.get("/auths/users").status_code == 403


def test_only_an_admin_lists_the_accounts(app: Flask, alice: str, owner: Person, admin: Person) -> None:
    account(app, "bob", role="ADMIN")
    response = admin.get("/auths/users?limit=1")
    assert response.status_code == 200
    rows: Any = response.json
    assert rows == [{"id": alice, "username": "alice", "role": "USER", "created_at": rows[0]["created_at"], "is_disabled": False}]
    assert rows[0]["created_at"].endswith("Z")
    link = response.headers["Link"]
    assert link.endswith('>; rel="next"')
    rest = admin.get(link[1:].partition(">")[0])
    assert [row["username"] for row in rest.json or []] == ["bob"]
    assert "Link" not in rest.headers
    assert "argon2" not in response.text + rest.text
    refused = owner.get("/auths/users")
    assert (refused.status_code, refused.json) == (403, {"detail": "Only an admin may do this"})
    assert app.test_client().get("/auths/users").data == NOBODY


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "page=1", "limit=1&limit=2", "cursor=" + "A" * 600])
def test_a_list_of_accounts_is_asked_for_properly(admin: Person, query: str) -> None:
    assert admin.get(f"/auths/users?{query}").status_code == 400


def test_the_caches_of_checked_tokens_hold_no_tokens(app: Flask, here: SignIn) -> None:
    here.me()
    kept = app.extensions["chatsvc.tokens"]
    assert len(kept) == 1
    assert all(len(key) == 32 for key in kept)
    assert here.access not in repr(kept)


def test_a_remembered_token_runs_out_on_time(app: Flask) -> None:
    ends_at = time.time() + 1
    short = bearer(app, jwt.encode({"sub": "outsider", "exp": ends_at}, SECRET))
    assert short.get("/auths/me").status_code == 200
    time.sleep(max(0.0, ends_at - time.time()) + 0.05)
    assert turned_away(short)


def test_the_memory_for_checked_tokens_is_bounded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatsvc.api.common.caller.CACHE_SIZE", 10)
    for number in range(35):
        assert factories.person(app, f"user{number}").get("/auths/me").status_code == 200
        assert len(app.extensions["chatsvc.tokens"]) <= 10
