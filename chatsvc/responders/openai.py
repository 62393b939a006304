"""Any server that speaks Chat Completions: OpenAI, and vLLM, Ollama, llama.cpp, LiteLLM and many more."""

from __future__ import annotations

from typing import Any

from chatsvc.responders import text
from chatsvc.responders.base import Answer, Question, Stop
from chatsvc.responders.http import Call, Client, HttpError, Limits, Response, address, credential, shared
from chatsvc.responders.model import NAME, Heard, ask, bad, document, listen
from chatsvc.responders.prompt import spoken
from chatsvc.responders.sse import Event


class OpenAI:
    """Asks `{base_url}/chat/completions`."""

    kind = "openai"

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str = "",
        model: str,
        temperature: float | None = None,
        timeout: float = 300.0,
        first_byte_timeout: float = 60.0,
        idle_timeout: float = 60.0,
        stream: bool = True,
        client: Client | None = None,
    ) -> None:
        self.url = address(base_url, "/chat/completions")
        self.api_key = credential(api_key, "the API key")
        self.model = model
        self.temperature = temperature
        self.limits = Limits(total=timeout, first_byte=first_byte_timeout, idle=idle_timeout)
        self.stream = stream
        self.client = client or shared()
        self._reports_usage = True

    def reply(self, question: Question, stop: Stop) -> Answer:
        """The answer to the last message, as it comes."""
        call = Call(stop, self.limits, name=NAME, secrets=[self.api_key])
        with self._ask(question, call) as response:
            return (yield from listen(response, self, Heard(call)))

    def _ask(self, question: Question, call: Call) -> Response:
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        try:
            return ask(self.client, self.url, self.body(question), headers, call)
        except HttpError as error:
            if error.status not in (400, 422) or "stream_options" not in error.excerpt or not self._reports_usage:
                raise
        self._reports_usage = False  # an older server, which knows no such option
        return ask(self.client, self.url, self.body(question), headers, call)

    def body(self, question: Question) -> dict[str, Any]:
        messages = [{"role": turn.role, "content": turn.content} for turn in spoken(question)]
        asked: dict[str, Any] = {"model": self.model, "messages": messages, "stream": self.stream}
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        if self.stream and self._reports_usage:
            asked["stream_options"] = {"include_usage": True}
        return asked

    def hear_event(self, event: Event, heard: Heard) -> str:
        if event.data.strip() == "[DONE]":
            heard.ended = True
            return ""
        said = document(event.data)
        if event.name == "error":
            raise heard.fault(said.get("error") or said)
        return self._hear(said, heard, "delta")

    def hear_document(self, said: dict[str, Any], heard: Heard) -> str:
        words = self._hear(said, heard, "message")
        if not isinstance(said.get("choices"), list):
            raise bad("sent something that cannot be understood")
        heard.ended = True
        return words

    def _hear(self, said: dict[str, Any], heard: Heard, part: str) -> str:
        if said.get("error"):
            raise heard.fault(said["error"])
        heard.model = text.label(said.get("model")) or heard.model
        heard.upstream_id = text.label(said.get("id")) or heard.upstream_id
        usage = said.get("usage")
        if isinstance(usage, dict):
            heard.usage = {name: text.count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        choices = said.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return ""
        heard.finish_reason = text.label(choice.get("finish_reason")) or heard.finish_reason
        words = choice.get(part)
        return text.plain(words.get("content")) if isinstance(words, dict) else ""
