"""Server-sent events: what the standard says, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.responders import sse
from chatsvc.responders.base import ResponderError
from chatsvc.responders.sse import Event, Parser, events

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=20)
# Bytes that mean something, so that random ones get somewhere.
SCRAPS = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xc3", b"\xa9", "é😀\u2028\x85\x0b".encode()]
)
LINES = st.tuples(st.sampled_from([b"data: a", b"data:b", b"data", b"event: c", b": d", b""]), st.sampled_from([b"\r", b"\n", b"\r\n"])).map(b"".join)
NOISE = st.lists(st.one_of(LINES, SCRAPS, st.binary(max_size=4)), max_size=40).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(pieces: list[bytes], limit: int = sse.LIMIT) -> tuple[list[Event], str]:
    """The events, and what went wrong after them."""
    parser, found = Parser(limit=limit), []
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                found.append(event)  # noqa: PERF402 - kept as they come: an error may follow
        for event in parser.finish():
            found.append(event)  # noqa: PERF402
    except ResponderError as error:
        return found, f"{error.kind}: {error.message}"
    return found, ""


@given(NOISE, st.lists(st.integers(min_value=0)))
def test_where_the_bytes_are_cut_makes_no_difference(data: bytes, places: list[int]) -> None:
    assert read(cut(data, places)) == read([data]) == read([bytes([byte]) for byte in data])


@given(NOISE, st.lists(st.integers(min_value=0)), st.integers(min_value=1, max_value=20))
def test_nor_where_a_line_is_too_long(data: bytes, places: list[int], limit: int) -> None:
    assert read(cut(data, places), limit) == read([data], limit) == read([bytes([byte]) for byte in data], limit)


@given(NOISE)
def test_what_comes_out_is_what_the_standard_says(data: bytes) -> None:
    """Against the standard's own words, put down plainly: decode everything, split into lines, go through them."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    expected: list[Event] = []
    name, lines = "", list[str]()
    for line in [*text.split("\n"), ""]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            expected += [Event(name, "\n".join(lines))] if lines else []
            name, lines = "", []
        elif field == "data":
            lines.append(value)
        elif field == "event":
            name = value
    assert read([data]) == (expected, "")


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), max_size=4), st.sampled_from(["\r", "\n", "\r\n"]), st.lists(st.integers(min_value=0)))
def test_what_was_sent_arrives(sent: list[tuple[str, list[str]]], end: str, places: list[int]) -> None:
    lines = []
    for name, data in sent:
        lines += [": a comment", f"event:{name}" if name[:1] != " " else f"event: {name}", *(f"data: {line}" for line in data), "id: 7", "retry: 9", ""]
    body = "".join(line + end for line in lines).encode()
    assert list(events(cut(body, places))) == [Event(name, "\n".join(data)) for name, data in sent]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data\n\n", [""]),
        (b"data:\ndata:\n\n", ["\n"]),
        (b"data:  two\n\n", [" two"]),
        (b"\xef\xbb\xbfdata: bom\n\n", ["bom"]),
        (b"\n\n\n: nothing\n\nevent: lost\n\n", []),
        (b"Data: no\ndatax: no\n data: no\n\n", []),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", ["a", "b", "c"]),
        (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        ("data: a\u2028b\x85c\x0bd\x1ce\n\n".encode(), ["a\u2028b\x85c\x0bd\x1ce"]),
        (b"data: \xff\xc3\n\n", ["\ufffd\ufffd"]),
        (b"data: unfinished", ["unfinished"]),
    ],
)
def test_by_example(body: bytes, expected: list[str]) -> None:
    assert [event.data for event in events([body])] == expected
    assert [event.data for event in events([bytes([byte]) for byte in body])] == expected


def test_long_lines_long_events_and_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = b"data: first\n\n"
    assert read([good + b"data: " + b"x" * sse.LIMIT]) == ([Event("", "first")], f"bad_response: The answer has a line of more than {sse.LIMIT} bytes.")
    assert read([good, *[b"data: " + b"x" * 1000 + b"\n"] * 1100])[1] == f"bad_response: The answer has an event of more than {sse.LIMIT} bytes."
    assert read([b"data: " + b"x" * (sse.LIMIT - 6) + b"\n\n"])[1] == ""
    monkeypatch.setattr(sse, "LINES", 10)
    assert read([good, b"\n" * 100]) == ([Event("", "first")], "bad_response: The answer has more than 10 lines.")
