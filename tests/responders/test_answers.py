"""n8n's lines, cut anywhere, and answers of every make: the same text comes out, or a known complaint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatsvc.responders.answers import ACKNOWLEDGEMENT, NAMES, Acknowledged, Reader, Reported, Unclear, of_body, of_document
from chatsvc.responders.text import Joiner, whole
from tests.responders.upstream import flow

COMPLAINTS = (Unclear, Acknowledged, Reported)


def read(pieces: Iterable[bytes], content_type: str = "application/json") -> list[str]:
    reader = Reader(content_type)
    said = [text for piece in pieces for text in reader.feed(piece)]
    return said + list(reader.finish())


OFFICIAL = [
    (flow("Grüße, ", "你好 ", "👋\n", '"quoted" \\ '), ["Grüße, ", "你好 ", "👋\n", '"quoted" \\ ']),
    (flow('{"output":"Hi"}'), ["Hi"]),
    (flow("One. ", parts=3), ["One. "] * 3),
    (json.dumps({"output": "Hällo 👋"}, ensure_ascii=False).encode(), ["Hällo 👋"]),
    (json.dumps([{"output": "Hi"}], indent=2).encode(), ["Hi"]),
    ("\ufeffplain tèxt\nof two lines\n".encode(), ["plain tèxt\nof two lines\n"]),
]


@pytest.mark.parametrize(("whole_answer", "texts"), OFFICIAL, ids=["stream", "respond node in a stream", "three parts", "object", "list", "text"])
def test_an_answer_cut_at_any_byte_says_the_same(whole_answer: bytes, texts: list[str]) -> None:
    for at in range(len(whole_answer) + 1):
        assert read([whole_answer[:at], whole_answer[at:]]) == texts
    assert read([whole_answer[at : at + 1] for at in range(len(whole_answer))]) == texts
    assert read([b"", whole_answer, b""]) == texts


@pytest.mark.parametrize("parts", [1, 2])
def test_a_stream_that_stops_before_its_end_is_no_answer(parts: int) -> None:
    said = flow("Hel", "lo", parts=parts)
    began = said.rindex(b'{"type": "begin"')
    for at in range(began + 1, len(said) - 1):
        with pytest.raises(Unclear):
            read([said[:at]])


def test_items_come_with_the_line_that_completes_them() -> None:
    reader = Reader()
    lines = flow("Hel", "lo").splitlines(keepends=True)
    assert [list(reader.feed(line)) for line in lines] == [[], ["Hel"], ["lo"], []]
    assert reader.ended
    assert list(reader.finish()) == []


words = st.text().filter(lambda text: text.strip() and text.lstrip()[:1] not in ("{", "["))


@given(st.lists(words, min_size=1), st.lists(st.integers(0, 2000)), st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_any_text_survives_any_cuts(items: list[str], cuts: list[int], end: bytes) -> None:
    said = flow(*items).replace(b"\n", end)
    places = [0, *sorted(cut % (len(said) + 1) for cut in cuts), len(said)]
    joiner = Joiner()
    heard = "".join(joiner.feed(text) for text in read(said[a:b] for a, b in pairwise(places))) + joiner.rest()
    assert heard == whole("".join(items))


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "type", "error", "json"]) | st.text(), inner, max_size=4),
)
kinds = st.sampled_from(["application/json", "text/html", "text/plain", ""])


@given(documents, kinds)
@example({"message": "Workflow was started"}, "text/html")
@example([{"output": "Hi"}], "")
def test_any_document_has_a_text_or_a_complaint(said: Any, content_type: str) -> None:
    body = json.dumps(said).encode()
    try:
        found = read([body], content_type)
    except COMPLAINTS:
        return
    assert len(found) <= 1
    one = said[0] if isinstance(said, list) and said else said
    for text in found:
        assert text == body.decode() or text == one or text in one.values()
        assert text.strip().rstrip(".").lower() != ACKNOWLEDGEMENT or (isinstance(one, dict) and text != one.get("message"))


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.integers() | st.text(), min_size=1))
def test_the_first_name_that_has_a_text_is_taken(said: dict[str, Any]) -> None:
    texts = [said[name] for name in NAMES if isinstance(said.get(name), str) and said[name].strip()]
    if texts and "workflow was started" not in texts[0].lower():
        assert of_document(said) == of_document([said]) == texts[0]
    elif not texts:
        with pytest.raises(Unclear):
            of_document(said)


lines_of_any_kind = st.lists(
    st.binary(max_size=20)
    | st.sampled_from(
        [
            b'{"type":"begin"}',
            b'{"type":"end"}',
            b'{"type":"error"}',
            b'{"type":"item","content":"x"}',
            b'{"type":"item","content":[{}]}',
            b"{}",
            b"[]",
            b"<html>",
        ]
    )
)


@settings(max_examples=500)
@given(lines_of_any_kind, kinds)
def test_no_bytes_break_the_reader(lines: list[bytes], content_type: str) -> None:
    try:
        found = read((line + b"\n" for line in lines), content_type)
    except COMPLAINTS:
        return
    assert all(isinstance(text, str) and text for text in found)
    together = b"\n".join(lines) + b"\n"
    assert read([together], content_type) == found


@given(st.binary(max_size=300), kinds)
def test_any_body_is_text_or_a_complaint(body: bytes, content_type: str) -> None:
    try:
        found = of_body(body, content_type)
    except COMPLAINTS:
        return
    assert isinstance(found, str)
