"""The responder of a persona. What a persona says about itself was written by an admin through the API, and is trusted less than a setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from chatsvc.responders.addresses import check_url
from chatsvc.responders.anthropic import Anthropic
from chatsvc.responders.base import Answer, Question, Responder, ResponderError, Stop
from chatsvc.responders.choice import Choice
from chatsvc.responders.echo import Echo
from chatsvc.responders.openai import OpenAI
from chatsvc.responders.prompt import Prompted, Within
from chatsvc.responders.webhook import Webhook, guarded

WEBHOOK_MS = 10_000
CALLBACK_PATH = "/api/chat-sessions/{session_id}/callback"
URL_LETTERS = ":/?#[]@!$&'()*+,;=%~"


@dataclass(frozen=True, slots=True)
class Configured:
    """A persona as its responder needs to know it; empty and 0 where it says nothing."""

    kind: str
    url: str = ""
    base_url: str = ""
    model: str = ""
    system_prompt: str = ""
    timeout_ms: int = 0
    answers: str = ""
    secret: str = field(default="", repr=False)
    previous_secret: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    persona_id: str = ""


class Unusable:
    """A persona that cannot be asked as it is configured: every question fails with the reason."""

    def __init__(self, why: str) -> None:
        self._why = why

    def reply(self, question: Question, stop: Stop) -> Answer:
        yield from ()  # a generator, which fails where the others do
        raise ResponderError("unreachable", f"The persona cannot be asked: {self._why}.")


def for_persona(persona: Configured, choice: Choice) -> Responder:
    """Who answers for this persona; always one that can be asked, if only to say why it cannot answer."""
    try:
        responder = _responder(persona, choice)
    except ValueError as why:
        return Unusable(str(why))
    return Prompted(responder, persona.system_prompt) if persona.system_prompt else responder


def _responder(persona: Configured, choice: Choice) -> Responder:
    if persona.kind == "echo":
        return Echo(delay_ms=choice.echo_delay_ms)
    if persona.kind == "webhook":
        return Webhook(
            url=persona.url,
            secret=persona.secret,
            previous_secret=persona.previous_secret,
            persona_id=persona.persona_id,
            timeout=(persona.timeout_ms or WEBHOOK_MS) / 1000,
            callback=persona.answers == "callback",
            callback_url=_callback_url(persona, choice),
            allow_private=choice.webhook_allow_private,
            allow_networks=choice.webhook_allow_networks,
        )
    if persona.kind in ("openai", "anthropic"):
        return Within(_model(persona, choice), choice.context_chars)
    raise ValueError("it is of no known kind")


def _callback_url(persona: Configured, choice: Choice) -> str:
    """Where a late answer is brought to. A flow that always answers late has to be told, if only where the service listens by itself."""
    base = choice.public_url or (choice.reached_at if persona.answers == "callback" else "")
    return quote(base, safe=URL_LETTERS) + CALLBACK_PATH if base else ""


def _model(persona: Configured, choice: Choice) -> Responder:
    """The service's own server with what the persona changes; or the persona's, which is told nothing that is the service's."""
    make, base_url, api_key, model = (
        (OpenAI, choice.openai_base_url, choice.openai_api_key, choice.openai_model)
        if persona.kind == "openai"
        else (Anthropic, choice.anthropic_base_url, choice.anthropic_api_key, choice.anthropic_model)
    )
    client = None
    if persona.base_url:
        fault = check_url(persona.base_url)
        if fault:
            raise ValueError(f"its address {fault}")
        base_url, api_key, model = persona.base_url, "", ""
        client = guarded(choice.webhook_allow_private, tuple(choice.webhook_allow_networks))
    if not base_url:
        raise ValueError("it names no address, and none is configured for its kind")
    if not (persona.model or model):
        raise ValueError("it names no model")
    total = persona.timeout_ms / 1000 or choice.reply_timeout
    return make(
        base_url=base_url,
        api_key=persona.api_key or api_key,
        model=persona.model or model,
        temperature=choice.temperature,
        timeout=total,
        first_byte_timeout=min(total, choice.first_byte_timeout),
        idle_timeout=min(total, choice.idle_timeout),
        client=client,
    )
