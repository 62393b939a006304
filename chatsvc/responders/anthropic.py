"""Models behind Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatsvc.responders import text
from chatsvc.responders.base import Answer, Question, Stop, Turn
from chatsvc.responders.http import Call, Client, Limits, address, credential, shared
from chatsvc.responders.model import NAME, Heard, ask, bad, document, listen
from chatsvc.responders.prompt import spoken
from chatsvc.responders.sse import Event

# One vocabulary for all models: that of Chat Completions.
FINISHED = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}


class Anthropic:
    """Asks `{base_url}/v1/messages`."""

    kind = "anthropic"

    def __init__(
        self,
        *,
        api_key: str,
        model: str,
        base_url: str = "https://api.anthropic.com",
        max_tokens: int = 8192,
        temperature: float | None = None,
        timeout: float = 300.0,
        first_byte_timeout: float = 60.0,
        idle_timeout: float = 60.0,
        stream: bool = True,
        version: str = "2023-06-01",
        client: Client | None = None,
    ) -> None:
        self.url = address(base_url, "/v1/messages", without="/v1")
        self.api_key = credential(api_key, "the API key")
        self.version = credential(version, "the version")
        self.model = model
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.limits = Limits(total=timeout, first_byte=first_byte_timeout, idle=idle_timeout)
        self.stream = stream
        self.client = client or shared()

    def reply(self, question: Question, stop: Stop) -> Answer:
        """The answer to the last message, as it comes."""
        call = Call(stop, self.limits, name=NAME, secrets=[self.api_key])
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        headers |= {"x-api-key": self.api_key, "anthropic-version": self.version}
        with ask(self.client, self.url, self.body(question), headers, call) as response:
            return (yield from listen(response, self, Heard(call)))

    def body(self, question: Question) -> dict[str, Any]:
        system, messages = parted(spoken(question))
        asked: dict[str, Any] = {"model": self.model, "max_tokens": self.max_tokens, "messages": messages, "stream": self.stream}
        if system:
            asked["system"] = system
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        return asked

    def hear_event(self, event: Event, heard: Heard) -> str:
        if event.data.strip() == "[DONE]":  # some proxies say so here too
            heard.ended = True
            return ""
        said = document(event.data)
        kind = said.get("type") or event.name
        if kind == "error":
            raise heard.fault(said.get("error"))
        if kind == "message_start":
            self._note(inner(said, "message"), heard)
        elif kind == "message_delta":
            self._note({**inner(said, "delta"), "usage": said.get("usage")}, heard)
        elif kind == "message_stop":
            heard.ended = True
        elif kind == "content_block_start":
            return text.plain([said.get("content_block")])
        elif kind == "content_block_delta" and inner(said, "delta").get("type") == "text_delta":
            return text.plain(inner(said, "delta").get("text"))
        return ""

    def hear_document(self, said: dict[str, Any], heard: Heard) -> str:
        if said.get("type") == "error" or said.get("error"):
            raise heard.fault(said.get("error"))
        if not isinstance(said.get("content"), list):
            raise bad("sent something that cannot be understood")
        heard.ended = True
        self._note(said, heard)
        return text.plain(said.get("content"))

    def _note(self, said: dict[str, Any], heard: Heard) -> None:
        heard.model = text.label(said.get("model")) or heard.model
        heard.upstream_id = text.label(said.get("id")) or heard.upstream_id
        reason = text.label(said.get("stop_reason"))
        heard.finish_reason = FINISHED.get(reason, reason) if reason else heard.finish_reason
        usage = inner(said, "usage")
        if usage:
            before = heard.usage or {}
            read = sum(text.count(usage.get(f"{kind}input_tokens")) for kind in ("", "cache_creation_", "cache_read_"))
            prompt = read or before.get("prompt_tokens", 0)
            completion = text.count(usage.get("output_tokens")) or before.get("completion_tokens", 0)
            heard.usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def inner(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def parted(turns: Iterable[Turn]) -> tuple[str, list[dict[str, str]]]:
    """The system's words in one, and the others' taking turns, a person first, as the interface wants them."""
    system: list[str] = []
    messages: list[dict[str, str]] = []
    for turn in turns:
        if turn.role == "system":
            system.append(turn.content)
        elif messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += f"\n\n{turn.content}"
        elif messages or turn.role == "user":
            messages.append({"role": turn.role, "content": turn.content})
    return "\n\n".join(system), messages
