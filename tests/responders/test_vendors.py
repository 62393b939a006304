"""What is asked and what the tests answer, held against the vendors' own types: neither is only what we imagine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatsvc.responders.anthropic import Anthropic
from chatsvc.responders.base import Question, Turn
from chatsvc.responders.openai import OpenAI
from tests.responders.conftest import asked
from tests.responders.upstream import USAGE, Upstream, completion, document, message

# The vendors' packages are imported where they are asked: loading them takes as long as all other modules of tests together.
HISTORY = [Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("system", "Be kind."), Turn("user", "Is it 😀?")]
QUESTION = Question(HISTORY, system_prompt="Be brief.")


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_openai_takes_what_is_asked(temperature: float | None) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming
    from pydantic import TypeAdapter

    streamed = OpenAI(base_url="http://h/v1", model="gpt-4o", temperature=temperature).body(QUESTION)
    whole = OpenAI(base_url="http://h/v1", model="gpt-4o", temperature=temperature, stream=False).body(QUESTION)
    for asked_for, kind in ((streamed, CompletionCreateParamsStreaming), (whole, CompletionCreateParamsNonStreaming)):
        TypeAdapter(kind).validate_python(asked_for, strict=True)
        assert set(asked_for) <= kind.__required_keys__ | kind.__optional_keys__


def test_anthropic_takes_what_is_asked() -> None:
    """But for `temperature`, which the interface still reads and the client's own types no longer name."""
    from anthropic.types.message_create_params import MessageCreateParamsStreaming
    from pydantic import TypeAdapter

    asked_for = Anthropic(api_key="k", model="claude-sonnet-4-5").body(QUESTION)
    TypeAdapter(MessageCreateParamsStreaming).validate_python(asked_for)
    assert set(asked_for) <= MessageCreateParamsStreaming.__required_keys__ | MessageCreateParamsStreaming.__optional_keys__


def test_openai_s_client_understands_our_upstream_as_we_do(upstream: Upstream, openai: Callable[..., OpenAI]) -> None:
    from openai import OpenAI as Theirs
    from openai.types.chat import ChatCompletion

    upstream.script = lambda caller: caller.stream(completion("Hel", "lo"), sizes=[11])
    with Theirs(base_url=f"{upstream.url}/v1", api_key="k", max_retries=0, timeout=30) as client:
        chunks = list(client.chat.completions.create(model="parrot", messages=[{"role": "user", "content": "Hello?"}], stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    usage = chunks[-1].usage
    told = asked(openai())
    assert told.text == text == "Hello"
    assert told.outcome
    assert usage
    assert told.outcome.usage == {name: getattr(usage, name) for name in USAGE}
    assert told.outcome.finish_reason == next(chunk.choices[0].finish_reason for chunk in reversed(chunks) if chunk.choices)
    ours, theirs = upstream.requests[-1], upstream.requests[0]
    assert ours[0] == theirs[0]
    ChatCompletion.model_validate_json(document("Hello"), strict=True)


def test_anthropic_s_client_understands_our_upstream_as_we_do(upstream: Upstream) -> None:
    from anthropic import Anthropic as Theirs

    upstream.script = lambda caller: caller.stream(message("Hel", "lo"), sizes=[11])
    with Theirs(base_url=upstream.url, api_key="k", max_retries=0, timeout=30) as client:
        with client.messages.stream(model="parrot", max_tokens=8192, messages=[{"role": "user", "content": "Hello?"}]) as stream:
            final = stream.get_final_message()
        told = asked(Anthropic(base_url=upstream.url, api_key="k", model="parrot"))
    assert told.text == "Hello"
    assert [block.text for block in final.content if block.type == "text"] == ["Hello"]
    assert told.outcome
    assert told.outcome.usage
    assert told.outcome.usage["completion_tokens"] == final.usage.output_tokens
    theirs, ours = upstream.requests
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    assert ours[1]["content-type"] == theirs[1]["content-type"]
    assert {"x-api-key", "anthropic-version"} <= set(ours[1])  # the client sends the key as a bearer's, the documentation as we do
