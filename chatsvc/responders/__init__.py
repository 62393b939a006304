"""The telephones: each talks to one kind of outside and yields text. None imports anything else of ours."""

from __future__ import annotations

from chatsvc.responders.anthropic import Anthropic
from chatsvc.responders.base import Responder
from chatsvc.responders.choice import Choice
from chatsvc.responders.echo import Echo
from chatsvc.responders.openai import OpenAI
from chatsvc.responders.personas import Configured, for_persona
from chatsvc.responders.prompt import Within

__all__ = ["Choice", "Configured", "configured", "for_persona", "titler"]


TITLE_SECONDS = 20


def configured(choice: Choice) -> Responder:
    """The one that CHAT_RESPONDER names."""
    if choice.responder == "echo":
        return Echo(delay_ms=choice.echo_delay_ms)
    return Within(_model(choice, "", total=choice.reply_timeout, first_byte=choice.first_byte_timeout, idle=choice.idle_timeout), choice.context_chars)


def titler(choice: Choice) -> Responder | None:
    """The one that makes titles, where CHAT_TITLE_MODEL names a model; quick, or not at all."""
    if not choice.title_model:
        return None
    return _model(choice, choice.title_model, total=TITLE_SECONDS, first_byte=TITLE_SECONDS, idle=TITLE_SECONDS)


def _model(choice: Choice, model: str, *, total: int, first_byte: int, idle: int) -> Responder:
    if choice.responder == "anthropic" or not choice.openai_base_url:
        return Anthropic(
            base_url=choice.anthropic_base_url,
            api_key=choice.anthropic_api_key,
            model=model or choice.anthropic_model,
            temperature=choice.temperature,
            timeout=total,
            first_byte_timeout=first_byte,
            idle_timeout=idle,
        )
    return OpenAI(
        base_url=choice.openai_base_url,
        api_key=choice.openai_api_key,
        model=model or choice.openai_model,
        temperature=choice.temperature,
        timeout=total,
        first_byte_timeout=first_byte,
        idle_timeout=idle,
    )
