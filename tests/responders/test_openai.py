"""Chat Completions: what is asked, what is understood."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatsvc.responders.base import Turn
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import KEY, asked
from tests.responders.upstream import DONE, USAGE, Upstream, chunk, completion, document, event

Make = Callable[..., OpenAI]


def test_a_stream_is_passed_on_piece_by_piece(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Hel", "lo ", "😀"))
    told = asked(openai())
    assert told.pieces == ["Hel", "lo ", "😀"]
    assert told.outcome is not None
    assert told.outcome.facts() == {"model": "parrot-1", "finish_reason": "stop", "usage": USAGE, "upstream_id": "chatcmpl-1"}


def test_events_may_be_split_at_every_byte(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Grüße ", "😀"), sizes=[1])
    assert asked(openai()).text == "Grüße 😀"


def test_what_is_asked(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    history = [Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Is it \ud83d?")]
    asked(openai(temperature=0.5), system="Be brief.", history=history)
    target, headers, body = upstream.requests[0]
    assert target == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == f"127.0.0.1:{upstream.port}"
    assert headers["user-agent"].startswith("chatsvc")
    roles = ["system", "user", "assistant", "user"]
    assert [turn["role"] for turn in body["messages"]] == roles
    assert [turn["content"] for turn in body["messages"]] == ["Be brief.", "Hi", "Hello", "Is it ??"]
    assert {name: body[name] for name in body if name != "messages"} == {
        "model": "parrot",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
    }


def test_without_streaming(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.answer(document("All at once"))
    told = asked(openai(stream=False))
    assert told.pieces == ["All at once"]
    assert told.outcome
    assert told.outcome.usage == USAGE
    assert upstream.requests[0][2]["stream"] is False
    assert "stream_options" not in upstream.requests[0][2]


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain"])
def test_a_server_that_ignores_stream_is_understood(upstream: Upstream, openai: Make, content_type: str) -> None:
    upstream.script = lambda caller: caller.answer(b"\r\n " + document("Plain"), content_type=content_type)
    assert asked(openai()).text == "Plain"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/html", "x"])
def test_a_stream_under_a_wrong_content_type_is_understood(upstream: Upstream, openai: Make, content_type: str) -> None:
    upstream.script = lambda caller: caller.answer(b"\xef\xbb\xbf: hello\r\n\r\n" + completion("Fine"), content_type=content_type)
    assert asked(openai()).text == "Fine"


@pytest.mark.parametrize(
    "body",
    [
        chunk("Hi", finish="stop"),  # no [DONE]
        chunk("Hi") + DONE,  # no finish_reason
        chunk("Hi") + b"data: [DONE]",  # no last empty line
        chunk("Hi", finish="stop") + b'data: {"half',  # cut where it does no harm
        chunk("Hi", finish="stop") + event({"error": {"message": "too late"}}),
        event({"choices": [{"delta": {"content": "Hi"}}]}) + DONE,  # the least there can be
        chunk("Hi") + chunk(reasoning_content="hm", tool_calls=[{"index": 0}]) + DONE,
        event({"choices": [{"index": 1, "delta": {"content": "No"}}]}) + chunk("Hi") + DONE,
        chunk(content=None, role="assistant") + event({"choices": []}) + event({"object": "ping"}) + event({"error": None}) + chunk("Hi") + DONE,
        event({"choices": [{"delta": {"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}}]}) + DONE,
        event({"choices": [{"delta": {"content": 7}}]}) + event({"choices": [{"delta": None}]}) + event({"choices": [None]}) + chunk("Hi") + DONE,
    ],
)
def test_answers_that_are_good_enough(upstream: Upstream, openai: Make, body: bytes) -> None:
    upstream.script = lambda caller: caller.answer(body, content_type="text/event-stream")
    told = asked(openai())
    assert (told.text, told.error) == ("Hi", None)


def test_hostile_text_is_made_harmless(upstream: Upstream, openai: Make) -> None:
    halves = chunk("a\x00b \ud83d") + chunk("\ude00 \ud83d") + chunk("c\udc00") + chunk("\ud800")
    upstream.script = lambda caller: caller.stream(halves + b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n' + DONE)
    told = asked(openai())
    assert told.text == "a\ufffdb 😀 \ufffdc\ufffd\ufffd\ufffd"
    told.text.encode()


def test_hostile_facts_are_left_out(upstream: Upstream, openai: Make) -> None:
    facts = {"id": {}, "model": "m\x00" + "x" * 1000, "usage": {"prompt_tokens": float("nan"), "completion_tokens": -1, "total_tokens": 10**30}}
    upstream.script = lambda caller: caller.stream(event({**facts, "choices": []}) + chunk("Hi", finish="stop").replace(b'"parrot-1"', b"3") + DONE)
    outcome = asked(openai()).outcome
    assert outcome is not None
    assert outcome.model is not None
    assert outcome.model.startswith("m\ufffdx")
    assert len(outcome.model) == 200
    assert outcome.usage == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_an_older_server_that_knows_no_stream_options(upstream: Upstream, openai: Make) -> None:
    def script(caller: object) -> None:
        if "stream_options" in upstream.requests[-1][2]:
            upstream.callers[-1].answer(b'{"error": {"message": "Unrecognized request argument: stream_options"}}', status=400)
        else:
            upstream.callers[-1].stream(completion("Fine"))

    upstream.script = script
    responder = openai()
    assert asked(responder).text == "Fine"
    assert asked(responder).text == "Fine"
    assert len(upstream.requests) == 3  # it is not asked for again


def test_connections_are_used_again(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    for _ in range(5):
        assert asked(openai()).text == "Yes"
    assert len(upstream.callers) == 1


def test_a_query_and_a_password_in_the_address_are_kept(upstream: Upstream, openai: Make) -> None:
    upstream.script = lambda caller: caller.stream(completion("Yes"))
    asked(openai(base_url=f"http://me:pa%40ss@127.0.0.1:{upstream.port}/v1/?api-version=3", api_key=""))
    target, headers, _ = upstream.requests[0]
    assert target == "/v1/chat/completions?api-version=3"
    assert headers["authorization"] == "Basic bWU6cGFAc3M="


@pytest.mark.parametrize(
    ("given", "asked_for"),
    [
        ("http://h", "http://h/chat/completions"),
        (" http://h:8080/a%2Fb/?x=%2F#f ", "http://h:8080/a%2Fb/chat/completions?x=%2F"),
        ("https://[::1]:8443/v1", "https://[::1]:8443/v1/chat/completions"),
        ("http://b\u00fccher.example/v1", "http://xn--bcher-kva.example/v1/chat/completions"),
        ("http://model_server/v1", "http://model_server/v1/chat/completions"),
    ],
)
def test_where_it_asks(given: str, asked_for: str) -> None:
    assert str(OpenAI(base_url=given, model="parrot").url) == asked_for


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "https://h:99999", "http://h:0", "/v1", "http://[::1", "http://a b"])
def test_addresses_that_are_none_are_refused_without_telling_them(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an http or https URL$"):
        OpenAI(base_url=url, model="parrot")


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "k\u00e9y", "two words"])
def test_keys_that_no_header_takes_are_refused_without_telling_them(key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        OpenAI(base_url="http://h", model="parrot", api_key=key)
    assert key not in str(caught.value)
