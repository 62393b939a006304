"""Who gets in with which token, and that nobody else does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from chatsvc import create_app
from chatsvc.api.common import caller
from chatsvc.core.errors import Unauthenticated
from tests import factories
from tests.api.app.accounts import NOBODY
from tests.api.common.forgery import b64, claims, ec_key, forged, hs256, pem, rs256, rsa_key, segment, unsigned
from tests.factories import SECRET

ROUTES = ("/auths/me", "/api/v1/chat-sessions")
RS = {"alg": "RS256", "typ": "JWT"}
HS = {"alg": "HS256", "typ": "JWT"}


# What signs here: the key in use, or one of before whose date is to come. No token is better for that.
KEYS = {"the key": {}, "an old key": {"JWT_SECRET_KEY": "the-key-that-came-after-it-0123456789-xyz", "JWT_OTHER_SECRET_KEYS": f"{SECRET}@2199-12-31T00:00:00Z"}}


@pytest.fixture(scope="module", params=KEYS)
def strict_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application that takes RS256 tokens as well, on a database without a single table: whoever gets as far as asking it has got too far."""
    url = f"sqlite:///{tmp_path_factory.mktemp('bare') / 'bare.db'}"
    return create_app(factories.settings(url, JWT_PUBLIC_KEY=pem(rsa_key()), **KEYS[request.param]))


def asked(app: Flask, authorization: str | bytes, path: str = "/auths/me") -> TestResponse:
    raw = authorization if isinstance(authorization, str) else authorization.decode("latin-1")
    response: TestResponse = app.test_client(use_cookies=False).get(path, environ_overrides={"HTTP_AUTHORIZATION": raw})
    return response


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def with_exp(raw: str) -> bytes:
    return b'{"sub":"owner","exp":' + raw.encode() + b"}"


def signature_of_another(token: str) -> str:
    return token.rpartition(".")[0] + "." + forged(claims(sub="stranger")).rpartition(".")[2]


def spki() -> bytes:
    return rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


JWK = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("thief").public_key()))
LATER = int(time.time()) + 7200

FORGERIES: dict[str, Callable[[], str]] = {
    # Not signed
    "alg none": lambda: forged(header={"alg": "none"}, signer=unsigned),
    "alg None": lambda: forged(header={"alg": "None"}, signer=unsigned),
    "alg nOnE": lambda: forged(header={"alg": "nOnE"}, signer=unsigned),
    "alg NONE with a signature": lambda: forged(header={"alg": "NONE"}),
    "alg empty": lambda: forged(header={"alg": ""}, signer=unsigned),
    "alg null": lambda: forged(header={"alg": None}, signer=unsigned),
    "no alg": lambda: forged(header={"typ": "JWT"}),
    "alg a list": lambda: forged(header={"alg": ["HS256"]}),
    "alg an object": lambda: forged(header={"alg": {"HS256": 1}}),
    "alg a number": lambda: forged(header={"alg": 256}),
    "alg in small letters": lambda: forged(header={"alg": "hs256"}),
    "alg with a space": lambda: forged(header={"alg": "HS256 "}),
    "alg with a NUL": lambda: forged(header={"alg": "HS256\0"}),
    "signature stripped": lambda: forged().rpartition(".")[0] + ".",
    "signature and its dot stripped": lambda: forged().rpartition(".")[0],
    "signature of zeros": lambda: forged(signer=lambda _: bytes(32)),
    "half a signature": lambda: forged(signer=lambda message: hs256()(message)[:16]),
    "a signature and more": lambda: forged(signer=lambda message: hs256()(message) + b"x"),
    "signature of another token": lambda: signature_of_another(forged()),
    "payload changed after signing": lambda: ".".join([forged().split(".")[0], segment(claims(role="ADMIN")), forged().split(".")[2]]),
    # Signed with something else
    "another secret": lambda: forged(signer=hs256("another-secret-of-somebody-else-0123456789")),
    "an empty secret": lambda: forged(signer=hs256("")),
    "the secret with a newline": lambda: forged(signer=hs256(SECRET + "\n")),
    "HS256 with the public key as the secret": lambda: forged(signer=hs256(pem(rsa_key()))),
    "HS256 with the public key without its last newline": lambda: forged(signer=hs256(pem(rsa_key()).strip())),
    "HS256 with the public key in DER": lambda: forged(signer=hs256(spki())),
    "RS256 claimed, signed as HS256 with the secret": lambda: forged(header=RS, signer=hs256()),
    "RS256 claimed, signed as HS256 with the public key": lambda: forged(header=RS, signer=hs256(pem(rsa_key()))),
    "RS256 with another key": lambda: forged(header=RS, signer=rs256(rsa_key("thief"))),
    "HS256 claimed, signed as RS256": lambda: forged(header=HS, signer=rs256(rsa_key())),
    "ES256 though the key is RSA": lambda: jwt.encode(claims(), ec_key(), "ES256"),
    "ES256 claimed, signed as RS256": lambda: forged(header={"alg": "ES256"}, signer=rs256(rsa_key())),
    "PS256 with the right key": lambda: jwt.encode(claims(), rsa_key(), "PS256"),
    "RS512 with the right key": lambda: jwt.encode(claims(), rsa_key(), "RS512"),
    "HS512 with the right secret": lambda: forged(header={"alg": "HS512"}, signer=hs256(hash_name="sha512")),
    "HS384 with the right secret": lambda: forged(header={"alg": "HS384"}, signer=hs256(hash_name="sha384")),
    "ES384": lambda: jwt.encode(claims(), ec_key(curve=SECP384R1), "ES384"),
    # A header that says where to look
    "kid a path": lambda: forged(header={**HS, "kid": "../../../../dev/null"}, signer=hs256("")),
    "kid a query": lambda: forged(header={**HS, "kid": "x' UNION SELECT 'key"}, signer=hs256("key")),
    "kid a command": lambda: forged(header={**RS, "kid": "|/usr/bin/id"}, signer=hs256("")),
    "kid a number": lambda: forged(header={**HS, "kid": 7}),
    "kid a list": lambda: forged(header={**HS, "kid": ["a"]}),
    "kid null": lambda: forged(header={**HS, "kid": None}),
    "jku": lambda: forged(header={**RS, "jku": "http://127.0.0.1:9/jwks.json", "kid": "thief"}, signer=rs256(rsa_key("thief"))),
    "x5u": lambda: forged(header={**RS, "x5u": "http://127.0.0.1:9/cert.pem"}, signer=rs256(rsa_key("thief"))),
    "x5c": lambda: forged(header={**RS, "x5c": [b64(spki())]}, signer=rs256(rsa_key("thief"))),
    "jwk": lambda: forged(header={**RS, "jwk": JWK}, signer=rs256(rsa_key("thief"))),
    "crit unknown": lambda: forged(header={**HS, "crit": ["exp"], "exp": 1}),
    "crit empty": lambda: forged(header={**HS, "crit": []}),
    "crit a string": lambda: forged(header={**HS, "crit": "b64"}),
    "b64 false": lambda: forged(header={**HS, "b64": False, "crit": ["b64"]}),
    # A header or payload that is none
    "header a list": lambda: forged(header=b"[]"),
    "header a string": lambda: forged(header=b'"HS256"'),
    "header null": lambda: forged(header=b"null"),
    "header empty": lambda: forged(header=b""),
    "header not JSON": lambda: forged(header=b"{alg:HS256}"),
    "header not UTF-8": lambda: forged(header=b'{"alg":"HS256\xff"}'),
    "header nested deep": lambda: forged(header=b'{"alg":"HS256","x":' + nested(2500) + b"}"),
    "header with a number of 4,500 digits": lambda: forged(header=b'{"alg":"HS256","x":' + b"9" * 4500 + b"}"),
    "header twice the alg": lambda: forged(header=b'{"alg":"HS256","alg":"none"}'),
    "payload a list": lambda: forged(b"[]"),
    "payload a string": lambda: forged(b'"owner"'),
    "payload null": lambda: forged(b"null"),
    "payload a number": lambda: forged(b"1"),
    "payload empty": lambda: forged(b""),
    "payload not JSON": lambda: forged(b"sub=owner"),
    "payload not UTF-8": lambda: forged(b'{"sub":"\xff","exp":4000000000}'),
    "payload nested deep": lambda: forged(b'{"sub":"owner","exp":4000000000,"x":' + nested(2500) + b"}"),
    "payload compressed": lambda: forged(header={**HS, "zip": "DEF"}, payload=b"x\x9c\xabV*.M\xb2R"),
    # Claims
    "no claims": lambda: forged({}),
    "no sub": lambda: forged(claims(sub=...)),
    "sub null": lambda: forged(claims(sub=None)),
    "sub a number": lambda: forged(claims(sub=1)),
    "sub true": lambda: forged(claims(sub=True)),
    "sub a list": lambda: forged(claims(sub=["owner"])),
    "sub an object": lambda: forged(claims(sub={"id": "owner"})),
    "sub empty": lambda: forged(claims(sub="")),
    "sub of 256 characters": lambda: forged(claims(sub="u" * 256)),
    "sub with a NUL": lambda: forged(claims(sub="own\0er")),
    "sub half a surrogate pair": lambda: forged(claims(sub="\ud800")),
    "sub the other half": lambda: forged(claims(sub="owner\udfff")),
    "sub twice, the last one empty": lambda: forged(b'{"sub":"owner","exp":4000000000,"sub":""}'),
    "no exp": lambda: forged(claims(exp=...)),
    "exp null": lambda: forged(claims(exp=None)),
    "exp a string": lambda: forged(claims(exp=str(LATER))),
    "exp true": lambda: forged(claims(exp=True)),
    "exp false": lambda: forged(claims(exp=False)),
    "exp a list": lambda: forged(claims(exp=[LATER])),
    "exp an object": lambda: forged(claims(exp={"$gt": 0})),
    "exp NaN": lambda: forged(with_exp("NaN")),
    "exp Infinity": lambda: forged(with_exp("Infinity")),
    "exp 1e999": lambda: forged(with_exp("1e999")),
    "exp 10^20": lambda: forged(claims(exp=10**20)),
    "exp in milliseconds": lambda: forged(claims(exp=LATER * 1000)),
    "exp of 5,000 digits": lambda: forged(with_exp("9" * 5000)),
    "exp zero": lambda: forged(claims(exp=0)),
    "exp negative": lambda: forged(claims(exp=-LATER)),
    "exp a second ago": lambda: forged(claims(exp=time.time() - 1)),
    "exp an hour ago": lambda: forged(claims(exp=int(time.time()) - 3600)),
    "exp twice, the last one past": lambda: forged(b'{"sub":"owner","exp":4000000000,"exp":1}'),
    "nbf in an hour": lambda: forged(claims(nbf=LATER)),
    "nbf a word": lambda: forged(claims(nbf="now")),
    "nbf null": lambda: forged(claims(nbf=None)),
    "iat in an hour": lambda: forged(claims(iat=LATER)),
    "iat infinite": lambda: forged(b'{"sub":"owner","exp":4000000000,"iat":Infinity}'),
    "iat a list": lambda: forged(claims(iat=[])),
    "jti a number": lambda: forged(claims(jti=5)),
    "a refresh token": lambda: forged(claims(type="refresh")),
    "a refresh token of Keycloak's making": lambda: forged(claims(typ="Refresh")),
    "a refresh token of Django's making": lambda: forged(claims(token_type="refresh")),
    # Not a token
    "nothing": lambda: "",
    "a word": lambda: "owner",
    "a dot": lambda: ".",
    "two dots": lambda: "..",
    "a hundred dots": lambda: "." * 100,
    "a fourth part": lambda: forged() + ".x",
    "five parts": lambda: f"{forged()}.{b64(b'x')}.{b64(b'y')}",
    "a dot in front": lambda: "." + forged(),
    "not base64": lambda: "!!!.###.$$$",
    "base64 with plus and slash": lambda: forged()[:-3] + "+/+",
    "a space inside": lambda: forged().replace(".", ". ", 1),
    "a tab inside": lambda: forged().replace(".", ".\t", 1),
    "a no-break space behind": lambda: forged() + "\xa0",
    "a NUL behind": lambda: forged() + "\0",
    "padding inside": lambda: forged().replace(".", "=.", 1),
    "in quotes": lambda: f'"{forged()}"',
    "letters that are not ASCII": lambda: forged().replace("e", "é"),
    "two in one": lambda: f"{forged()},{forged()}",
    "100 KB": lambda: forged(claims(x="y" * 75_000)),
    "100 KB of nothing": lambda: "A" * 100_000,
    "100 KB of dots": lambda: "." * 100_000,
}

SCHEMES: dict[str, Callable[[], str]] = {
    "no scheme": forged,
    "an empty header": lambda: "",
    "a scheme alone": lambda: "Bearer",
    "Basic": lambda: "Basic " + b64(b"alice:alicepass123"),
    "another scheme": lambda: f"Token {forged()}",
    "JWT": lambda: f"JWT {forged()}",
    "two schemes": lambda: f"Basic Bearer {forged()}",
    "Bearer twice": lambda: f"Bearer Bearer {forged()}",
    "two headers in one": lambda: f"Bearer {forged()}, Basic x",
    "two good ones": lambda: f"Bearer {forged()},Bearer {forged()}",
    "a tab for the space": lambda: f"Bearer\t{forged()}",
    "a colon": lambda: f"Bearer: {forged()}",
    "a space in front": lambda: f" Bearer {forged()}",
    "as a parameter": lambda: f'Bearer token="{forged()}"',
    "not ASCII": lambda: f"Béarer {forged()}",
}


def nobody(response: TestResponse) -> None:
    assert response.status_code == 401, response.text
    assert response.data == NOBODY
    assert dict(response.headers) == {
        "Content-Type": "application/json",
        "Content-Length": str(len(NOBODY)),
        "WWW-Authenticate": "Bearer",
        "X-Request-ID": response.headers["X-Request-ID"],
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def test_there_are_enough_forgeries() -> None:
    assert len(FORGERIES) + len(SCHEMES) >= 40


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_nobody_in_exactly_the_same_words(strict_app: Flask, name: str) -> None:
    token = FORGERIES[name]()
    strict_app.extensions["chatsvc.tokens"].clear()
    for path in ROUTES:
        nobody(asked(strict_app, b"Bearer " + token.encode(), path))
    assert all(token.kind == "refresh" for token, _ in strict_app.extensions["chatsvc.tokens"].values())


@pytest.mark.parametrize("name", SCHEMES)
def test_another_way_to_send_a_token_is_nobody_too(strict_app: Flask, name: str) -> None:
    for path in ROUTES:
        nobody(asked(strict_app, SCHEMES[name]().encode(), path))


@pytest.mark.parametrize("make", [forged, lambda: jwt.encode(claims(), rsa_key(), "RS256")], ids=["HS256", "RS256"])
def test_a_good_token_does_get_as_far_as_the_missing_tables(strict_app: Flask, make: Callable[[], str]) -> None:
    assert asked(strict_app, f"Bearer {make()}").status_code == 500


def test_no_token_at_all_is_nobody_in_the_same_words(strict_app: Flask) -> None:
    for path in ROUTES:
        nobody(strict_app.test_client().get(path))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_no_better_in_a_cookie(strict_app: Flask, name: str) -> None:
    token = FORGERIES[name]().encode("utf-8").decode("latin-1")
    nobody(strict_app.test_client().get("/auths/me", environ_overrides={"HTTP_COOKIE": f"chatsvc_access={token}"}))


GOOD: dict[str, Callable[[], str]] = {
    "only sub and exp": forged,
    "no typ": lambda: forged(header={"alg": "HS256"}),
    "exp with a fraction": lambda: forged(claims(exp=LATER + 0.5)),
    "exp in the year 9999": lambda: forged(claims(exp=253_402_300_798)),
    "iat a few seconds ahead": lambda: forged(claims(iat=int(time.time()) + 5)),
    "iss and aud of anybody": lambda: forged(claims(iss="https://issuer.example", aud=["a", "b"])),
    "another kid": lambda: forged(header={**HS, "kid": "2026-11"}),
    "claims of all kinds": lambda: forged(claims(x={"a": [1, None]}, role=["ADMIN"], csrf=5, sign_in={"a": 1}, type=None, email="a@b")),
    "a claim with half a surrogate pair": lambda: forged(claims(name="\ud800", csrf="\ud800", sign_in="\ud800", role="\ud800", type="\ud800")),
    "RS256": lambda: jwt.encode(claims(), rsa_key(), "RS256"),
    "RS256 with a kid": lambda: jwt.encode(claims(), rsa_key(), "RS256", headers={"kid": "x"}),
    "sub said twice, the last counts": lambda: forged(b'{"sub":"stranger","exp":4000000000,"sub":"owner"}'),
}


@pytest.fixture(params=KEYS)
def open_app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    return make_app(JWT_PUBLIC_KEY=pem(rsa_key()), **KEYS[request.param])


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_of_any_make_gets_in(open_app: Flask, name: str) -> None:
    response = asked(open_app, f"Bearer {GOOD[name]()}")
    assert response.status_code == 200, response.text
    assert response.json == {"id": "owner", "username": "owner", "role": "USER"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  ", "bEaReR"])
def test_the_scheme_is_read_in_any_case(open_app: Flask, scheme: str) -> None:
    assert asked(open_app, f"{scheme} {forged()}").status_code == 200


@pytest.mark.parametrize("user_id", ["u", "u" * 255, "é" * 255, "𝔘" * 255, " ", "a b", "../..", "%00", "\u202e", "auth0|123", "sub\nwith\rlines", "null", "0"])
def test_any_text_of_1_to_255_characters_is_a_user(open_app: Flask, user_id: str) -> None:
    response = asked(open_app, f"Bearer {forged(claims(sub=user_id))}")
    assert response.json == {"id": user_id, "username": user_id, "role": "USER"}
    assert asked(open_app, f"Bearer {forged(claims(sub=user_id))}", "/api/v1/chat-sessions").status_code == 200


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [
        ("JWT_ISSUER", ["https://me"], [..., None, "", "https://ME", "https://me/", ["https://me"], 5, {"https://me": 1}]),
        (
            "JWT_AUDIENCE",
            ["https://me", ["other", "https://me"]],
            [..., None, "", "other", [], ["other"], 5, {"https://me": 1}, [["https://me"]], ["https://me", 5]],
        ),
    ],
)
def test_issuer_and_audience_are_checked_where_they_are_configured(make_app: Callable[..., Flask], setting: str, good: list[Any], bad: list[Any]) -> None:
    app = make_app(**{setting: "https://me"})
    name = {"JWT_ISSUER": "iss", "JWT_AUDIENCE": "aud"}[setting]
    for value in good:
        assert asked(app, f"Bearer {forged(claims(**{name: value}))}").status_code == 200, value
    for value in bad:
        nobody(asked(app, f"Bearer {forged(claims(**{name: value}))}"))


def test_a_token_is_remembered_as_what_it_is_and_never_for_another(app: Flask) -> None:
    """Whatever was asked before, each text stands for its own claims."""
    asked_before = forged(claims(sub="owner", role="ADMIN"))
    assert asked(app, f"Bearer {asked_before}").json == {"id": "owner", "username": "owner", "role": "ADMIN"}
    head, body, signature = asked_before.split(".")
    for variant in (
        f"{head}.{segment(claims(sub='victim'))}.{signature}",
        f"{head}.{body}.{signature}x",
        f"{head}.{body}.",
        f"{asked_before}\x00",
        asked_before.swapcase(),
        asked_before[:-1],
    ):
        nobody(asked(app, b"Bearer " + variant.encode()))
    assert asked(app, f"Bearer {forged(claims(sub='stranger'))}").json == {"id": "stranger", "username": "stranger", "role": "USER"}
    assert asked(app, f"Bearer {asked_before}").json == {"id": "owner", "username": "owner", "role": "ADMIN"}


def test_a_remembered_token_is_not_checked_anew_and_an_unknown_one_is(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    keys = app.extensions["chatsvc.keys"]
    claims_of = keys.claims

    def noted(text: str) -> Any:
        checked.append(text)
        return claims_of(text)

    monkeypatch.setattr(keys, "claims", noted)
    one, other = forged(), forged(claims(sub="stranger"))
    for token in (one, one, other, one, other):
        assert asked(app, f"Bearer {token}").status_code == 200
    assert checked == [one, other]


def test_one_process_never_takes_one_for_another_under_load(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CACHE_SIZE", 5)
    tokens = {name: forged(claims(sub=name)) for name in (f"user{number}" for number in range(12))}
    wrong: list[str] = []

    def ask(name: str) -> None:
        for _ in range(5):
            me = asked(app, f"Bearer {tokens[name]}").json
            if me is None or me["id"] != name:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TIMES = JSON | st.integers(-(10**6), 10**6).map(lambda offset: int(time.time()) + offset) | st.integers(10**15, 10**25) | st.floats(0, 1e12)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "sub": JSON | st.text(st.characters(categories=None), max_size=300),
        "exp": TIMES,
        "iat": TIMES,
        "nbf": TIMES,
        "jti": JSON,
        "type": JSON | st.sampled_from(["access", "refresh"]),
        "role": JSON | st.sampled_from(["USER", "ADMIN"]),
        "csrf": JSON,
        "sign_in": JSON,
        "iss": JSON,
        "aud": JSON,
        "": JSON,
    },
)
HEADERS = st.fixed_dictionaries(
    {"alg": JSON | st.sampled_from(["HS256", "RS256", "ES256", "none"])},
    optional={"kid": JSON, "crit": JSON, "b64": JSON, "typ": JSON, "jku": JSON, "jwk": JSON, "zip": JSON},
)
FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def inside(strict_app: Flask) -> Iterator[None]:
    with strict_app.test_request_context():
        yield


def understood(text: str) -> caller.Token | None:
    try:
        return caller.checked(text)
    except Unauthenticated:
        return None


@pytest.mark.usefixtures("inside")
def test_a_token_longer_than_any_issuer_makes_is_not_even_read() -> None:
    room = (caller.MAX_TOKEN - len(forged(claims(x="")))) * 3 // 4  # four letters carry three
    longest, longer = (forged(claims(x="y" * amount)) for amount in (room, room + 2))
    assert len(longest) <= caller.MAX_TOKEN < len(longer)
    assert understood(longest) is not None
    assert understood(longer) is None


@pytest.mark.usefixtures("inside")
@FEW
@given(
    st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")) | st.lists(st.binary(max_size=80).map(b64), max_size=5).map(".".join)
)
def test_no_text_is_ever_more_than_nobody(text: str) -> None:
    assert understood(text) is None


@pytest.mark.usefixtures("inside")
@FEW
@given(header=HEADERS | st.binary(max_size=60), payload=CLAIMS | st.binary(max_size=60))
def test_whatever_is_signed_is_a_good_token_or_nobody_and_never_breaks_anything(header: Any, payload: Any) -> None:
    token = understood(forged(payload, header))
    if token is not None:
        assert header["alg"] == "HS256"
        assert token.user_id == payload["sub"]
        assert 1 <= len(token.user_id) <= 255
        assert token.user_id.encode().decode() == token.user_id
        assert time.time() < token.expires_at == payload["exp"] < caller.LAST_MOMENT
        assert token.role in ("USER", "ADMIN")
        assert token.kind == "refresh" if payload.get("type") == "refresh" else token.kind in ("access", "refresh")


@FEW
@given(payload=CLAIMS.map(lambda found: claims(**{name: value for name, value in found.items() if name != "exp"})))
def test_whoever_the_token_names_no_request_breaks(app: Flask, payload: dict[str, Any]) -> None:
    token = forged(payload)
    for path in ROUTES:
        assert asked(app, f"Bearer {token}", path).status_code in (200, 401)


@FEW
@given(st.binary(max_size=200))
def test_no_authorization_header_breaks_anything(strict_app: Flask, raw: bytes) -> None:
    for header in (raw, b"Bearer " + raw):
        nobody(asked(strict_app, header))
    nobody(strict_app.test_client().get("/auths/me", environ_overrides={"HTTP_COOKIE": "chatsvc_access=" + raw.decode("latin-1")}))
