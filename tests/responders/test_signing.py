"""Signatures: whoever holds the secret made them, over this time and this body, a short while ago."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.responders.signing import sign, sign_with_each, verify

SECRET, BODY, NOW = "whsec-5t7Gq2", b'{"message": "Hi"}', 1763640000


def test_it_is_what_anybody_computes_by_the_documented_rule() -> None:
    by_hand = hmac.new(SECRET.encode(), b"1763640000." + BODY, hashlib.sha256).hexdigest()
    assert sign(SECRET, "1763640000", BODY) == f"v1={by_hand}"
    assert sign("key", "1", b"") == "v1=" + hmac.new(b"key", b"1.", "sha256").hexdigest()


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.integers(0, 10**12 - 1), st.binary(max_size=200))
def test_what_was_signed_is_verified(secret: str, now: int, body: bytes) -> None:
    assert verify(secret, str(now), body, sign(secret, str(now), body), now)


@given(st.integers(0, 8 * len(BODY) - 1))
def test_a_body_with_one_bit_changed_is_not(bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(SECRET, str(NOW), bytes(changed), sign(SECRET, str(NOW), BODY), NOW)


@pytest.mark.parametrize(("age", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (10**9, False)])
def test_an_old_or_early_one_is_refused(age: int, good: bool) -> None:
    timestamp = str(NOW - age)
    assert verify(SECRET, timestamp, BODY, sign(SECRET, timestamp, BODY), NOW) is good


def test_the_window_can_be_another() -> None:
    assert not verify(SECRET, str(NOW - 11), BODY, sign(SECRET, str(NOW - 11), BODY), NOW, tolerance=10)


@pytest.mark.parametrize(
    "timestamp", [None, "", " ", "1763640000 ", "+1763640000", "-1", "1763640000.0", "1e9", "١٧٦٣٦٤٠٠٠٠", "0x1", "9" * 13, "1\n", "é", "\ud800"]
)
def test_a_timestamp_that_is_none(timestamp: str | None) -> None:
    spelt = (timestamp or "").encode("utf-8", "replace")
    signature = "v1=" + hmac.new(SECRET.encode(), spelt + b"." + BODY, "sha256").hexdigest()
    assert not verify(SECRET, timestamp, BODY, signature, NOW)


def test_a_signature_that_is_none() -> None:
    good = sign(SECRET, str(NOW), BODY)
    for signature in (
        None,
        "",
        "v1=",
        good[3:],
        good.upper(),
        good[:-1],
        good + "0",
        f" {good}",
        f"{good} {good}",
        f"{good}\n",
        f"v0={good[3:]}",
        "v1=" + "é" * 64,
        "v1=" + "٠" * 64,
    ):
        assert not verify(SECRET, str(NOW), BODY, signature, NOW)


def test_several_secrets_make_a_list_that_each_is_found_in() -> None:
    good, other = (sign(secret, str(NOW), BODY) for secret in (SECRET, "another"))
    assert sign_with_each([SECRET, "another"], str(NOW), BODY) == f"{good} {other}"
    assert sign_with_each([SECRET], str(NOW), BODY) == good


def test_another_secret_and_none() -> None:
    good = sign(SECRET, str(NOW), BODY)
    assert not verify("whsec-5t7Gq3", str(NOW), BODY, good, NOW)
    assert not verify("", str(NOW), BODY, sign("", str(NOW), BODY), NOW)
