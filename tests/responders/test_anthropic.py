"""The Messages API: what is asked, what is understood. Run again under gevent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatsvc.responders.anthropic import Anthropic, parted
from chatsvc.responders.base import Turn
from chatsvc.responders.http import Client
from tests.responders.conftest import KEY, asked
from tests.responders.upstream import Upstream, event, in_pieces, message

Make = Callable[..., Anthropic]


@pytest.fixture
def anthropic(upstream: Upstream, client: Client) -> Make:
    def make(**keywords: Any) -> Anthropic:
        defaults: dict[str, Any] = {"base_url": upstream.url, "api_key": KEY, "model": "parrot", "timeout": 5, "client": client}
        return Anthropic(**{**defaults, **keywords})

    return make


USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def test_a_stream_is_passed_on_piece_by_piece(upstream: Upstream, anthropic: Make) -> None:
    upstream.script = lambda caller: caller.stream(message("Hel", "lo ", "😀"), sizes=[7])
    told = asked(anthropic())
    assert told.pieces == ["Hel", "lo ", "😀"]
    assert told.outcome
    assert told.outcome.facts() == {"model": "parrot-2", "finish_reason": "stop", "usage": USAGE, "upstream_id": "msg_1"}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_what_is_asked(upstream: Upstream, anthropic: Make, path: str) -> None:
    upstream.script = lambda caller: caller.stream(message("Yes"))
    history = [
        Turn("assistant", "Welcome!"),
        Turn("user", "Hi"),
        Turn("user", "there"),
        Turn("system", "Be kind."),
        Turn("assistant", "Hello"),
        Turn("user", "?"),
    ]
    asked(anthropic(base_url=upstream.url + path, max_tokens=77, temperature=0.0), system="Be brief.", history=history)
    target, headers, body = upstream.requests[0]
    assert target == "/v1/messages"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in headers
    assert body == {
        "model": "parrot",
        "max_tokens": 77,
        "system": "Be brief.\n\nBe kind.",
        "messages": [{"role": "user", "content": "Hi\n\nthere"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "?"}],
        "stream": True,
        "temperature": 0.0,
    }


def test_turns_take_turns() -> None:
    assert parted([]) == ("", [])
    assert parted([Turn("user", "a"), Turn("system", "s"), Turn("user", "b")]) == ("s", [{"role": "user", "content": "a\n\nb"}])


def test_without_streaming(upstream: Upstream, anthropic: Make) -> None:
    upstream.script = lambda caller: caller.answer(
        b'{"type":"message","id":"msg_2","model":"m","stop_reason":"max_tokens","usage":{"input_tokens":9,"output_tokens":3},'
        b'"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"All "},{"type":"text","text":"at once"}]}'
    )
    told = asked(anthropic(stream=False))
    assert told.pieces == ["All at once"]
    assert told.outcome
    assert told.outcome.facts() == {"model": "m", "finish_reason": "length", "usage": USAGE, "upstream_id": "msg_2"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (message("Hi").split(b"event: message_delta")[0], "Hi"),
        (message("Hi")[:-200], "Hi"),
        (message(), ""),
        (event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"), ""),
        (message("Hi").split(b"event: message_delta")[0] + event({"type": "error", "error": {"type": "api_error"}}, "error"), "Hi"),
        (message("Hi").split(b"event: message_delta")[0] + event({"type": "error"}, "error") + event({"type": "message_stop"}), "Hi"),
        (b'{"type":"error","error":{"type":"api_error","message":"no"}}', ""),
        (b'{"type":"message","content":null}', ""),
        (event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": 5}}) + event({"type": "message_stop"}), ""),
        (event({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}) + event({"type": "message_stop"}), ""),
        (b"event: ping\ndata: pong\n\n", ""),
    ],
)
def test_answers_that_are_no_answers(upstream: Upstream, anthropic: Make, body: bytes, text: str) -> None:
    upstream.script = in_pieces(body)
    told = asked(anthropic())
    assert (told.kind, told.text) == ("bad_response", text)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_busy_server_is_asked_again(upstream: Upstream, anthropic: Make, status: int) -> None:
    upstream.script = lambda caller: caller.answer(b"{}", status=status) if len(upstream.requests) < 2 else caller.stream(message("Yes"))
    assert asked(anthropic()).text == "Yes"


def test_a_refusal_is_known_by_its_reason(upstream: Upstream, anthropic: Make) -> None:
    upstream.script = lambda caller: caller.stream(message("I can", stop_reason="refusal"))
    told = asked(anthropic())
    assert told.outcome
    assert told.outcome.finish_reason == "content_filter"
