"""Tokens of an outside issuer: by one public key, or by a key set that rotates, floods, stalls, lies and goes away."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask

from chatsvc import create_app
from chatsvc.api.common import keys
from chatsvc.api.common.caller import checked
from chatsvc.api.common.keys import Keys, KeySet
from chatsvc.core.errors import Unauthenticated
from config import DatedSecret, SettingError
from tests import factories
from tests.api.app.accounts import NOBODY
from tests.api.common import issuer as issuers
from tests.api.common.forgery import b64, claims, ec_key, forged, hs256, pem, rs256, rsa_key
from tests.api.common.issuer import Issuer, PrivateKey, document, jwk, raw, send, token
from tests.factories import SECRET, Person

OLD, NEW = "old", "new"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuers.running() as running:
        running.publish(jwk(OLD, rsa_key()))
        yield running


@pytest.fixture
def key_set(issuer: Issuer) -> KeySet:
    return KeySet(issuer.url)


@pytest.fixture
def app_of(issuer: Issuer, make_app: Callable[..., Flask]) -> Flask:
    """An application that trusts this issuer."""
    return make_app(JWT_JWKS_URL=issuer.url)


def asked(app: Flask, text: str) -> int:
    response = Person(app.test_client(use_cookies=False), "", text).get("/auths/me")
    assert response.status_code in (200, 401), response.text
    assert response.status_code == 200 or response.data == NOBODY
    return response.status_code


def time_passes(key_set: KeySet, seconds: float) -> None:
    """As if the last fetch had been so much earlier."""
    key_set._fetched_at -= seconds
    for number, tried in enumerate(key_set._tried):
        key_set._tried[number] = tried - seconds


def settle(key_set: KeySet) -> None:
    """Waits for a fetch that was begun without anybody waiting for it."""
    fetching = key_set._fetching
    if fetching is not None:
        assert fetching.wait(10)


def test_tokens_of_the_issuer_get_in_signed_either_way(app_of: Flask, issuer: Issuer) -> None:
    issuer.publish(jwk(OLD, rsa_key()), jwk(NEW, ec_key()))
    assert asked(app_of, token(rsa_key(), OLD)) == 200
    assert asked(app_of, token(ec_key(), NEW)) == 200
    assert asked(app_of, factories.token("owner")) == 200
    assert issuer.asked == 1
    assert issuer.headers["User-Agent"] == "chatsvc"


def test_a_user_of_the_issuer_is_who_the_claims_say(app_of: Flask) -> None:
    person = Person(app_of.test_client(), "", token(rsa_key(), OLD, sub="auth0|7", role="ADMIN"))
    assert person.get("/auths/me").json == {"id": "auth0|7", "username": "auth0|7", "role": "ADMIN"}


FORGED: dict[str, Callable[[], str]] = {
    "another key under the same id": lambda: token(rsa_key("thief"), OLD),
    "the right key under another id": lambda: token(rsa_key(), "other"),
    "the right key without an id": lambda: token(rsa_key(), None),
    "the right key under the empty id": lambda: token(rsa_key(), ""),
    "the other kind of key under its id": lambda: token(ec_key(), OLD),
    "ES256 claimed for an RSA key": lambda: forged(header={"alg": "ES256", "kid": OLD}, signer=rs256(rsa_key())),
    "HS256 with the public key": lambda: forged(header={"alg": "HS256", "kid": OLD}, signer=hs256(pem(rsa_key()))),
    "PS256": lambda: token(rsa_key(), OLD, "PS256"),
    "RS512": lambda: token(rsa_key(), OLD, "RS512"),
    "no signature": lambda: forged(header={"alg": "RS256", "kid": OLD}, signer=lambda _: b""),
    "jku of a thief": lambda: forged(header={"alg": "RS256", "kid": "thief", "jku": "http://127.0.0.1:9/"}, signer=rs256(rsa_key("thief"))),
    "expired": lambda: token(rsa_key(), OLD, exp=1),
    "no exp": lambda: token(rsa_key(), OLD, exp=...),
}


@pytest.fixture(scope="module")
def unasked_app() -> Iterator[Flask]:
    """An application that trusts an issuer and has no database."""
    with issuers.running() as running:
        running.publish(jwk(OLD, rsa_key()))
        yield create_app(factories.settings("sqlite:///unused.db", JWT_JWKS_URL=running.url))


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_of_the_issuer_is_nobody(unasked_app: Flask, name: str) -> None:
    with unasked_app.test_request_context():
        assert checked(token(rsa_key(), OLD)).user_id == "owner"
    assert asked(unasked_app, FORGED[name]()) == 401


def test_a_new_key_is_found_when_a_token_names_it(key_set: KeySet, issuer: Issuer) -> None:
    assert key_set.get(OLD) is not None
    issuer.publish(jwk(OLD, rsa_key()), jwk(NEW, ec_key()))
    assert key_set.get(NEW) is not None
    assert key_set.get(OLD) is not None
    assert issuer.asked == 2


def test_a_key_that_the_issuer_withdrew_is_no_longer_good(key_set: KeySet, issuer: Issuer) -> None:
    assert key_set.get(OLD) is not None
    issuer.publish(jwk(NEW, ec_key()))
    time_passes(key_set, 301)
    key_set.get(OLD)
    settle(key_set)
    assert key_set.get(OLD) is None
    assert key_set.get(NEW) is not None


def test_a_withdrawn_keys_tokens_are_refused_soon_after(app_of: Flask, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0)
    monkeypatch.setattr(keys, "FETCHES_SECONDS", 0)
    monkeypatch.setattr("chatsvc.api.common.caller.CACHE_SECONDS", 0)
    text = token(rsa_key(), OLD)
    assert asked(app_of, text) == 200
    issuer.publish(jwk(NEW, rsa_key("new")))
    statuses = []
    for _ in range(40):
        statuses.append(asked(app_of, text))
        if statuses[-1] == 401:
            break
        time.sleep(0.05)
    assert statuses[-1] == 401


def test_while_keys_rotate_under_load_nobody_is_turned_away(app_of: Flask, issuer: Issuer) -> None:
    issuer.pause = 0.03
    current: tuple[str, PrivateKey] = (OLD, rsa_key())
    statuses: list[int] = []
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            kid, key = current
            number += 1
            statuses.append(asked(app_of, token(key, kid, sub=f"user{number}")))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(2):
        asked_so_far(statuses, 10 * (generation + 1))
        kid, key = f"key{generation}", rsa_key("new") if generation % 2 else ec_key()
        issuer.publish(jwk(*current), jwk(kid, key))
        current = (kid, key)
    asked_so_far(statuses, 30)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


def asked_so_far(statuses: list[int], amount: int) -> None:
    """Waits until so many were asked, however slow the machine."""
    gives_up_at = time.monotonic() + 60
    while len(statuses) < amount:
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)


def test_the_first_requests_all_wait_for_one_fetch(key_set: KeySet, issuer: Issuer) -> None:
    issuer.pause = 0.3
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: key_set.get(OLD), range(16)))
    assert None not in found
    assert issuer.asked == 1


def test_a_key_that_appears_while_a_fetch_is_under_way_is_found_by_the_next(key_set: KeySet, issuer: Issuer) -> None:
    issuer.pause = 0.2
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(key_set.get, OLD)
        before = issuer.answer
        time.sleep(0.05)

        def both(handler: Any) -> None:
            """The fetch that is under way gets what was there; the next one gets the new key as well."""
            (before if issuer.asked == 1 else send(document(jwk(OLD, rsa_key()), jwk(NEW, ec_key()))))(handler)

        issuer.answer = both
        assert pool.submit(key_set.get, NEW).result() is not None
        assert first.result() is not None
    assert issuer.asked == 2


def test_a_token_that_names_no_key_is_no_reason_to_ask_the_issuer(app_of: Flask, issuer: Issuer) -> None:
    assert asked(app_of, token(rsa_key(), None)) == 401
    assert issuer.asked == 0
    assert asked(app_of, token(rsa_key(), OLD)) == 200
    assert issuer.asked == 1


def test_a_flood_of_made_up_ids_is_a_few_fetches(app_of: Flask, issuer: Issuer) -> None:
    assert asked(app_of, token(rsa_key(), OLD)) == 200
    thief = rsa_key("thief")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda number: asked(app_of, token(thief, f"kid-{number}")), range(100))) == {401}
    assert issuer.asked == keys.FETCHES
    assert asked(app_of, token(rsa_key(), OLD, sub="stranger")) == 200


def test_a_flood_that_goes_on_is_two_fetches_a_minute(key_set: KeySet, issuer: Issuer) -> None:
    for minute in range(10):
        for number in range(50):
            assert key_set.get(f"kid-{minute}-{number}") is None
            assert key_set.get(OLD) is not None
        time_passes(key_set, 60)
    assert issuer.asked <= keys.FETCHES + 2 * 10


def test_ids_that_were_made_up_are_not_remembered(key_set: KeySet) -> None:
    for number in range(100):
        key_set.get("x" * 1000 + str(number))
    assert set(key_set._keys) == {OLD}


def test_while_the_issuer_is_away_known_keys_stay_in_use(key_set: KeySet, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    assert key_set.get(OLD) is not None
    issuer.server.shutdown()
    issuer.server.server_close()
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            time_passes(key_set, 3600)
            assert key_set.get(OLD) is not None
            settle(key_set)
            assert key_set.get(NEW) is None
    assert 4 <= len(caplog.records) <= 4 * keys.FETCHES
    assert all("1 known keys stay in use" in record.message and issuer.url not in record.message for record in caplog.records)


def test_an_issuer_that_was_away_at_first_is_found_once_it_is_there(key_set: KeySet, issuer: Issuer) -> None:
    good, issuer.answer = issuer.answer, send(b"", 503)
    for _ in range(5):
        assert key_set.get(OLD) is None
    issuer.answer = good
    assert key_set.get(OLD) is None
    time_passes(key_set, keys.FETCHES_SECONDS + 1)
    assert key_set.get(OLD) is not None


GARBAGE: dict[str, Any] = {
    "nothing": send(b""),
    "a page": send(b"<html>Bad gateway</html>"),
    "null": send(b"null"),
    "a list": send(b"[]"),
    "an empty object": send(b"{}"),
    "no keys": send(document()),
    "keys that are an object": send(b'{"keys": {"kid": "old"}}'),
    "keys that are words": send(document("a", None, 5, [])),
    "only a secret": send(document({"kty": "oct", "kid": OLD, "k": "c2VjcmV0"})),
    "half a document": send(document(jwk(OLD, rsa_key("thief")))[:-20]),
    "not UTF-8": send(b'{"keys": ["\xff"]}'),
    "a thousand brackets": send(b"[" * 100_000),
    "a huge number": send(b'{"keys": ' + b"9" * 5000 + b"}"),
    "far too much": send(document(jwk(OLD, rsa_key("thief")), *["x" * 1000] * 300)),
    "an error that looks like a key set": send(document(jwk(OLD, rsa_key("thief"))), 500),
    "not found": send(b"", 404),
    "no words at all": raw(),
    "something that is not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a broken status line": raw(b"HTTP/1.1 OK\r\n\r\n"),
    "a line without end": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
    "a hundred headers too many": raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n"),
    "less than announced": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + document()[:10]),
    "a broken chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_changes_nothing_and_breaks_nothing(key_set: KeySet, issuer: Issuer, name: str) -> None:
    known = key_set.get(OLD)
    assert known is not None
    issuer.answer = GARBAGE[name]
    time_passes(key_set, 301)
    assert key_set.get(NEW) is None
    assert key_set.get(OLD) is known
    settle(key_set)
    assert key_set._fetching is None
    fresh = KeySet(issuer.url)
    assert fresh.get(OLD) is None


def test_a_request_is_not_broken_by_garbage(app_of: Flask, issuer: Issuer) -> None:
    issuer.answer = GARBAGE["something that is not HTTP"]
    assert asked(app_of, token(rsa_key(), OLD)) == 401
    assert asked(app_of, factories.token("owner")) == 200


def test_a_redirect_is_not_followed(key_set: KeySet, issuer: Issuer) -> None:
    with issuers.running() as elsewhere:
        elsewhere.publish(jwk(OLD, rsa_key("thief")))
        issuer.answer = send(b"", 302, Location=elsewhere.url)
        assert key_set.get(OLD) is None
        assert elsewhere.asked == 0


def test_a_slow_issuer_slows_nobody_whose_key_is_known(key_set: KeySet, issuer: Issuer) -> None:
    assert key_set.get(OLD) is not None
    issuer.pause = 1
    time_passes(key_set, 301)
    started = time.monotonic()
    for _ in range(10):
        assert key_set.get(OLD) is not None
    assert time.monotonic() - started < 0.9


def test_a_slow_issuer_is_waited_for_only_so_long(key_set: KeySet, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_A_FETCH", 0.1)
    issuer.pause = 0.8
    started = time.monotonic()
    assert key_set.get(OLD) is None
    assert time.monotonic() - started < 0.7
    settle(key_set)
    assert key_set.get(OLD) is not None


def test_a_document_that_trickles_in_is_given_up(key_set: KeySet, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_TIMEOUT", 0.3)
    issuer.answer = raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 40, pause=0.05)
    started = time.monotonic()
    assert key_set.get(OLD) is None
    assert time.monotonic() - started < 1.8


def private(key: RSAPrivateKey) -> dict[str, Any]:
    return {**jwk(OLD, key), **dict(zip(("d", "p", "q", "dp", "dq", "qi"), ["AQAB"] * 6, strict=True))}


CONFUSING: dict[str, tuple[Any, Callable[[], str]]] = {
    "a secret in the set": (
        {"kty": "oct", "kid": OLD, "k": "c2VjcmV0", "alg": "HS256"},
        lambda: forged(header={"alg": "HS256", "kid": OLD}, signer=hs256("secret")),
    ),
    "a secret that says it is for RS256": ({"kty": "oct", "kid": OLD, "k": "c2VjcmV0", "alg": "RS256"}, lambda: token(rsa_key(), OLD)),
    "an RSA key for HS256": (jwk(OLD, rsa_key(), alg="HS256"), lambda: forged(header={"alg": "HS256", "kid": OLD}, signer=hs256(pem(rsa_key())))),
    "an RSA key for ES256": (jwk(OLD, rsa_key(), alg="ES256"), lambda: token(rsa_key(), OLD)),
    "an RSA key for RS512": (jwk(OLD, rsa_key(), alg="RS512"), lambda: token(rsa_key(), OLD, "RS512")),
    "an RSA key for none": (jwk(OLD, rsa_key(), alg="none"), lambda: forged(header={"alg": "none", "kid": OLD}, signer=lambda _: b"")),
    "an RSA key for encryption": (jwk(OLD, rsa_key(), use="enc"), lambda: token(rsa_key(), OLD)),
    "an RSA key of 1024 bits": (jwk(OLD, rsa_key("weak", 1024)), lambda: forged(header={"alg": "RS256", "kid": OLD}, signer=rs256(rsa_key("weak", 1024)))),
    "a P-384 key": (jwk(OLD, ec_key("big", SECP384R1)), lambda: token(ec_key("big", SECP384R1), OLD, "ES384")),
    "a P-384 key for ES256": (jwk(OLD, ec_key("big", SECP384R1), alg="ES256"), lambda: token(ec_key("big", SECP384R1), OLD, "ES384")),
    "an EC key for RS256": (jwk(OLD, ec_key(), alg="RS256"), lambda: token(ec_key(), OLD)),
    "a point that is not on the curve": ({**jwk(OLD, ec_key()), "x": "AAAA" * 11}, lambda: token(ec_key(), OLD)),
    "an exponent of one": ({**jwk(OLD, rsa_key()), "e": "AQ"}, lambda: token(rsa_key(), OLD)),
    "a modulus that is a number": ({**jwk(OLD, rsa_key()), "n": 5}, lambda: token(rsa_key(), OLD)),
    "a modulus of a megabit": ({**jwk(OLD, rsa_key()), "n": "_" * 170_000}, lambda: token(rsa_key(), OLD)),
    "a key with its private half": (private(rsa_key()), lambda: token(rsa_key(), OLD)),
    "an id that is a number": (jwk(7, rsa_key()), lambda: token(rsa_key(), "7")),
    "no id": (jwk(None, rsa_key()), lambda: token(rsa_key(), None)),
    "no kind": ({"kid": OLD}, lambda: token(rsa_key(), OLD)),
}


@pytest.mark.parametrize("name", CONFUSING)
def test_a_strange_key_is_not_used_and_does_not_spoil_the_good_ones(issuer: Issuer, name: str) -> None:
    entry, made = CONFUSING[name]
    issuer.publish(entry, jwk(NEW, rsa_key("new")))
    app = create_app(factories.settings("sqlite:///unused.db", JWT_JWKS_URL=issuer.url))
    assert asked(app, made()) == 401
    with app.test_request_context():
        assert checked(token(rsa_key("new"), NEW)).user_id == "owner"


def test_the_twin_of_a_signature_is_the_same_token(app_of: Flask, issuer: Issuer) -> None:
    """For each signature of an elliptic curve there is a second one that anybody can compute."""
    issuer.publish(jwk(NEW, ec_key()))
    body, _, signature = token(ec_key(), NEW).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = f"{body}.{b64(raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32))}"
    assert asked(app_of, twin) == 200
    assert Person(app_of.test_client(), "", f"{body}.{signature}").post("/auths/logout").status_code == 204
    assert asked(app_of, twin) == asked(app_of, f"{body}.{signature}") == 401


def test_the_issuers_tokens_carry_its_name_and_ours_where_that_is_configured(issuer: Issuer, make_app: Callable[..., Flask]) -> None:
    app = make_app(JWT_JWKS_URL=issuer.url, JWT_ISSUER="https://issuer.example", JWT_AUDIENCE="chatsvc")
    good = {"iss": "https://issuer.example", "aud": "chatsvc"}
    assert asked(app, token(rsa_key(), OLD, **good)) == 200
    for wrong in ({}, {"iss": good["iss"]}, {**good, "iss": "https://other.example"}, {**good, "aud": "another-app"}):
        assert asked(app, token(rsa_key(), OLD, **wrong)) == 401


def test_a_key_set_and_a_public_key_stand_side_by_side(issuer: Issuer, make_app: Callable[..., Flask]) -> None:
    app = make_app(JWT_JWKS_URL=issuer.url, JWT_PUBLIC_KEY=pem(ec_key()))
    assert asked(app, token(rsa_key(), OLD)) == 200
    assert asked(app, token(ec_key(), None)) == 200
    assert asked(app, token(ec_key(), OLD)) == 200, "a key of the other kind has this id in the set"
    assert asked(app, token(rsa_key("thief"), OLD)) == 401


def test_an_issuers_public_key_may_be_a_file(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    path = tmp_path / "issuer.pem"
    path.write_text(pem(rsa_key()))
    for given in (str(path), pem(rsa_key()), pem(rsa_key()).replace("\n", "\\n")):
        assert asked(make_app(JWT_PUBLIC_KEY=given), jwt.encode(claims(), rsa_key(), "RS256")) == 200


def test_two_applications_of_one_process_have_their_own_keys() -> None:
    other_secret = "another-secret-of-another-application-01"
    one, other = (create_app(factories.settings("sqlite:///unused.db", JWT_SECRET_KEY=secret)) for secret in (SECRET, other_secret))
    for app, good, bad in ((one, SECRET, other_secret), (other, other_secret, SECRET)):
        with app.test_request_context():
            assert checked(factories.token(secret=good)).user_id == "owner"
            with pytest.raises(Unauthenticated):
                checked(factories.token(secret=bad))


def test_without_an_issuer_only_the_secret_counts(app: Flask) -> None:
    for text in (token(rsa_key(), OLD), token(ec_key(), None)):
        assert asked(app, text) == 401


@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        pem(rsa_key()).replace("M", "N"),
        pem(rsa_key("weak", 1024)),
        pem(ec_key("big", SECP384R1)),
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() + "PUBLIC KEY",
    ],
    ids=["no key", "a broken key", "a weak key", "a P-384 key", "a private key"],
)
def test_a_public_key_that_cannot_be_used_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(SettingError, match=r"^JWT_PUBLIC_KEY ") as caught:
        Keys(secret=SECRET, public_key=value, jwks_url="")
    assert value[30:60] not in str(caught.value)


NOT_SECRETS = [pem(rsa_key()), '{"kty": "oct", "k": "c2VjcmV0"}', "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFx me@here"]


@pytest.mark.parametrize("secret", NOT_SECRETS)
def test_a_secret_that_is_no_secret_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(SettingError, match=r"^JWT_SECRET_KEY ") as caught:
        Keys(secret=secret, public_key="", jwks_url="")
    assert secret[:20] not in str(caught.value)
    for until in (0.0, 4e9):
        with pytest.raises(SettingError, match=r"^JWT_OTHER_SECRET_KEYS ") as caught:
            Keys(secret=SECRET, others=[DatedSecret(secret, until)], public_key="", jwks_url="")
        assert secret[:20] not in str(caught.value)
