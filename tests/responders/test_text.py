"""Text from outside, made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.responders.text import Joiner, count, excerpt_of, label, parse, plain


@pytest.mark.parametrize("raw", [b"[" * 100_000, b"[]," * 250_001, b"9" * 5000, b"{", b"", b"\xff\xfe", "{]"])
def test_what_is_refused_as_json(raw: bytes | str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(raw)


def test_many_parts_are_refused_before_they_are_made() -> None:
    with pytest.raises(ValueError, match="too many parts"):
        parse(b"[" + b"[]," * 250_001 + b"1]")
    assert len(parse(b"[" + b"1," * 200_000 + b"1]")) == 200_001


@given(st.lists(st.text(st.characters(), max_size=5)))
def test_pieces_are_cleaned_as_their_whole_would_be(pieces: list[str]) -> None:
    joiner = Joiner()
    cleaned = "".join([*map(joiner.feed, pieces), joiner.rest()])
    cleaned.encode()
    assert "\x00" not in cleaned
    whole = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "\ufffd")
    assert cleaned == whole


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b'{"error": "no such model"}', "no such model"),
        (b'{"message": "no"}', "no"),
        (b'{"detail": [{"loc": 1}]}', '[{"loc": 1}]'),
        (b"just\r\n\x00 words \xff", "just words"),
        (b"<html><h1>secret", "(a web page)"),
        (b"", ""),
        (b"wrong key sk-abc", "wrong [...]"),
        (b"Authorization: Bearer abc.def", "Authorization: [...]"),
        (b"token=abc is old", "[...] is old"),
        (b"see https://a.example/?key=1 or ftp://me:pw@h", "see [address] or [address]"),
        (b"got 0123456789abcdef0123456789 here", "got [...] here"),
        (b"model gpt-4o-mini is not there", "model gpt-4o-mini is not there"),
        (b"x " * 500, ("x " * 100).strip()),
    ],
)
def test_what_the_log_is_told(body: bytes, said: str) -> None:
    assert excerpt_of(body) == said


def test_small_things() -> None:
    assert [label(value) for value in ("m", "", None, 3, "x" * 300)] == ["m", None, None, None, "x" * 200]
    assert [count(value) for value in (3, -1, True, 2.0, None, 2**31)] == [3, 0, 0, 0, 0, 0]
    assert plain([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": 3}, None]) == "a"
