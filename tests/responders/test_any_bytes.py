"""Whatever an upstream sends: words, an end, or a known complaint. And what our own streams say, any reader of streams reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatsvc.api.common import sse as written
from chatsvc.responders.anthropic import Anthropic
from chatsvc.responders.base import ResponderError, Stop
from chatsvc.responders.http import Call, Limits
from chatsvc.responders.model import Dialect, Heard, document
from chatsvc.responders.openai import OpenAI
from chatsvc.responders.sse import Event, Parser, events

DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(base_url="http://127.0.0.1:9/v1", model="parrot-1"),
    "anthropic": Anthropic(base_url="http://127.0.0.1:9", model="parrot-1", api_key="none"),
}
# Names that mean something to one of them, so that random documents get somewhere.
NAMES = ["choices", "delta", "message", "content", "text", "type", "error", "usage", "finish_reason", "stop_reason", "index", "id", "model", "content_block"]
WORDS = [
    "text",
    "text_delta",
    "error",
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "stop",
    "end_turn",
    "\ud83d",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5), max_leaves=20)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=5)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def heard() -> Heard:
    return Heard(Call(Stop(), Limits(total=1.0), name="The model", secrets=["a-key-of-the-tests"]))


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=100, deadline=None)
@given(said=DOCUMENTS, event=st.sampled_from(["", *WORDS]), whole=st.booleans())
@example(said={"choices": [{"delta": {"content": [{"type": "text", "text": ["no text"]}]}}]}, event="", whole=False)
@example(said={"type": "content_block_start", "content_block": ["no block"]}, event="", whole=False)
def test_any_document_of_a_model_says_words_or_is_complained_of(name: str, said: dict[str, Any], event: str, whole: bool) -> None:
    listener, kind, passed_on = heard(), "bad_response", ""
    try:
        words = DIALECTS[name].hear_document(said, listener) if whole else DIALECTS[name].hear_event(Event(event, json.dumps(said)), listener)
        passed_on = "".join([*listener.say(words), *listener.close()])
    except ResponderError as error:
        kind = error.kind
    assert kind == "bad_response"
    passed_on.encode()  # nothing that a database or a client could not take
    assert "\0" not in passed_on
    facts = listener.facts()
    assert all(value is None or (isinstance(value, str) and len(value) <= 200) for value in (facts.model, facts.finish_reason, facts.upstream_id))
    assert all(0 <= amount < 2**33 for amount in (facts.usage or {}).values())


@settings(deadline=None)
@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(raw=b"[" * 5000)
@example(raw=b"9" * 5000)
def test_any_bytes_are_a_document_or_are_complained_of(raw: bytes) -> None:
    kind, found = "bad_response", dict[str, Any]()
    try:
        found = document(raw)
    except ResponderError as error:
        kind = error.kind
    assert kind == "bad_response"
    assert isinstance(found, dict)


SENT = st.lists(st.tuples(st.sampled_from(["session", "delta", "done", "error"]), st.integers(0, 10**9), st.dictionaries(TEXT, TEXT, max_size=2)), max_size=4)


@settings(max_examples=25, deadline=None)
@given(sent=SENT)
@example(sent=[("delta", 7, {"content": "a\r\nb\u2028c\x85d\ndata: e\n\n"})])
def test_what_our_streams_say_is_read_as_it_was_meant_wherever_it_is_cut(sent: list[tuple[str, int, dict[str, str]]]) -> None:
    told = b"".join(written.PING + written.event(name, number, data) for name, number, data in sent)
    meant = [(name, data) for name, _, data in sent]
    assert [(event.name, json.loads(event.data)) for event in events([told])] == meant
    for at in range(len(told) + 1):
        parser = Parser()
        found = [event for piece in (told[:at], told[at:]) for event in parser.feed(piece)] + list(parser.finish())
        assert [(event.name, json.loads(event.data)) for event in found] == meant
    assert [line.split(b": ")[1] for line in told.split(b"\n") if line.startswith(b"id: ")] == [b"%d" % number for _, number, _ in sent]
