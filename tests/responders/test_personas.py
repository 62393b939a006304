"""Who answers for a persona: what it says itself, what it takes from the service, and what it is never told."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from chatsvc import responders
from chatsvc.responders import Configured, for_persona
from chatsvc.responders.base import AnswersLater, Question, Stop, Turn
from chatsvc.responders.webhook import Webhook, guarded
from config import Settings, load
from tests.responders.conftest import asked
from tests.responders.upstream import Upstream, completion, message, running, stall

HOUSE_KEY, OWN_KEY, SECRET = "sk-house-Tz4kQ9vYb2mXw7", "sk-own-Nr8sLd3fGh6jKp1", "whsec-Bv5nCm2xZq9w"
SESSION = "6ad8a5a2-53d2-4f0e-9f38-6a3b6f7f9c55"


@pytest.fixture
def settings(tmp_path: Path, upstream: Upstream) -> Settings:
    """A service whose own models are at the misbehaving server, and whose personas may call loopback."""
    given = {
        "CHAT_INSTANCE_PATH": str(tmp_path),
        "OPENAI_BASE_URL": f"{upstream.url}/house",
        "OPENAI_API_KEY": HOUSE_KEY,
        "OPENAI_MODEL": "house-model",
        "ANTHROPIC_BASE_URL": f"{upstream.url}/house",
        "ANTHROPIC_API_KEY": HOUSE_KEY,
        "ANTHROPIC_MODEL": "house-model",
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "CHAT_ECHO_DELAY_MS": "0",
        "CHAT_CONTEXT_CHARS": "40",
    }
    return load(given)


def test_echo(settings: Settings) -> None:
    assert asked(for_persona(Configured("echo"), settings), "Say it again").text == "Say it again"


def test_a_webhook_is_asked_as_its_persona_says(upstream: Upstream, settings: Settings) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    persona = Configured("webhook", url=f"{upstream.url}/webhook/x", secret=SECRET, persona_id="p-1", timeout_ms=2000)
    question = Question([Turn("user", "Hi")], session_id=SESSION, reply_id="9")
    assert "".join(for_persona(persona, settings).reply(question, Stop())) == "Fine"
    target, headers, body = upstream.requests[0]
    assert (target, body["personaId"], headers["idempotency-key"]) == ("/webhook/x", "p-1", "9")
    assert headers["x-chatsvc-signature"].startswith("v1=")
    assert "x-chatsvc-callback" not in headers
    upstream.script = stall
    told = asked(for_persona(persona, settings))
    assert told.error
    assert told.error.message == "Webhook timeout after 2 seconds: it did not begin to answer."


def test_a_webhook_has_ten_seconds_where_nothing_is_said(settings: Settings) -> None:
    responder = for_persona(Configured("webhook", url="https://n8n.example/"), settings)
    assert isinstance(responder, Webhook)
    assert (responder.limits.total, responder.max_bytes) == (10, 1024 * 1024)


@pytest.mark.parametrize(
    ("public", "wanted"),
    [
        ("https://chat.example.com", f"https://chat.example.com/api/chat-sessions/{SESSION}/callback"),
        ("https://chat.example.com/under/", f"https://chat.example.com/under/api/chat-sessions/{SESSION}/callback"),
        ("https://chat.example.com/über", f"https://chat.example.com/%C3%BCber/api/chat-sessions/{SESSION}/callback"),
        ("", f"http://127.0.0.1:8000/api/chat-sessions/{SESSION}/callback"),
    ],
)
def test_who_answers_later_is_told_where(upstream: Upstream, settings: Settings, tmp_path: Path, public: str, wanted: str) -> None:
    public_url = load({"CHAT_INSTANCE_PATH": str(tmp_path), "PUBLIC_URL": public}).public_url
    upstream.script = lambda caller: caller.answer(b"", status=202)
    responder = for_persona(Configured("webhook", url=upstream.url, answers="callback"), replace(settings, public_url=public_url))
    with pytest.raises(AnswersLater):
        list(responder.reply(Question([Turn("user", "Hi")], session_id=SESSION), Stop()))
    assert upstream.requests[0][1].get("x-chatsvc-callback") == wanted


def completions(caller: Any) -> None:
    caller.stream(message("Yes") if "messages" in caller.target else completion("Yes"))


def key_of(headers: dict[str, str]) -> str:
    return headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")


@pytest.mark.parametrize(
    ("persona", "model", "key"),
    [
        (Configured("openai"), "house-model", HOUSE_KEY),
        (Configured("openai", model="own-model"), "own-model", HOUSE_KEY),
        (Configured("openai", api_key=OWN_KEY), "house-model", OWN_KEY),
        (Configured("anthropic"), "house-model", HOUSE_KEY),
        (Configured("anthropic", model="own-model", api_key=OWN_KEY), "own-model", OWN_KEY),
    ],
)
def test_a_model_without_an_address_of_its_own_is_the_services(upstream: Upstream, settings: Settings, persona: Configured, model: str, key: str) -> None:
    upstream.script = completions
    # The service's own address is not under the rule for personas.
    assert asked(for_persona(persona, replace(settings, webhook_allow_networks=()))).text == "Yes"
    target, headers, body = upstream.requests[0]
    assert target.startswith("/house")
    assert (body["model"], key_of(headers)) == (model, key)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("key", ["", OWN_KEY])
def test_a_key_of_the_service_never_goes_to_an_address_of_a_persona(upstream: Upstream, settings: Settings, kind: str, key: str) -> None:
    with running() as own:
        own.script = completions
        told = asked(for_persona(Configured(kind, base_url=f"{own.url}/own", model="own-model", api_key=key), settings))
        assert (told.text, told.error) == ("Yes", None)
        target, headers, body = own.requests[0]
        assert target.startswith("/own/")
        assert (body["model"], key_of(headers)) == ("own-model", key)
        assert HOUSE_KEY not in str(headers)
    assert upstream.callers == []


@pytest.mark.parametrize("kind", ["openai", "anthropic", "webhook"])
def test_an_address_of_a_persona_is_under_the_rule(upstream: Upstream, settings: Settings, kind: str) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}') if kind == "webhook" else completions(caller)
    persona = Configured(kind, url=upstream.url, base_url=upstream.url, model="own-model")
    told = asked(for_persona(persona, replace(settings, webhook_allow_networks=())))
    assert told.error
    assert told.kind == "unreachable"
    assert "is a loopback address, which is not allowed" in told.error.message
    assert upstream.callers == []
    assert asked(for_persona(persona, replace(settings, webhook_allow_networks=(), webhook_allow_private=True))).error is None


@pytest.mark.parametrize(
    ("persona", "words"),
    [
        (Configured("webhook"), "must begin with http"),
        (Configured("webhook", url="ftp://n8n.example"), "must begin with http"),
        (Configured("openai", base_url="http://me:pa55word@n8n.example", model="m"), "must not hold a user name"),
        (Configured("openai", base_url="http://n8n.example"), "names no model"),
        (Configured("openai", api_key="clé"), "the API key must be visible ASCII"),
        (Configured("parrot"), "no known kind"),
    ],
)
def test_one_that_cannot_be_asked_says_why(settings: Settings, persona: Configured, words: str) -> None:
    told = asked(for_persona(persona, settings))
    assert told.error
    assert told.kind == "unreachable"
    assert words in told.error.message
    assert told.error.message.endswith(".")
    assert "pa55word" not in told.error.message


def test_a_kind_that_nothing_is_configured_for(tmp_path: Path) -> None:
    bare = load({"CHAT_INSTANCE_PATH": str(tmp_path)})
    for kind in ("openai", "anthropic"):
        told = asked(for_persona(Configured(kind), bare))
        assert told.error
        assert "cannot be asked" in told.error.message


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_the_system_prompt_is_the_personas(upstream: Upstream, settings: Settings, kind: str) -> None:
    upstream.script = completions
    told = asked(for_persona(Configured(kind, system_prompt="Rhyme."), settings), system="Do not rhyme.")
    assert told.text == "Yes"
    sent = json.dumps(upstream.requests[0][2])
    assert "Rhyme." in sent
    assert "Do not" not in sent


def test_no_more_is_sent_than_the_service_allows(upstream: Upstream, settings: Settings) -> None:
    upstream.script = completions
    asked(for_persona(Configured("openai"), settings), history=[Turn("user", "long " * 20), Turn("assistant", "yes"), Turn("user", "And now?")])
    assert [turn["content"] for turn in upstream.requests[0][2]["messages"]] == ["And now?"]


def test_a_personas_time_is_the_models_too(upstream: Upstream, settings: Settings) -> None:
    upstream.script = stall
    told = asked(for_persona(Configured("openai", timeout_ms=400), settings))
    assert told.kind == "timeout"
    assert told.own_seconds < 1.4


def test_secrets_do_not_show() -> None:
    shown = repr(Configured("webhook", secret=SECRET, previous_secret=SECRET, api_key=OWN_KEY))
    assert SECRET not in shown
    assert OWN_KEY not in shown


def test_one_client_serves_all_personas_under_one_rule() -> None:
    networks = (ip_network("10.0.0.0/8"),)
    assert guarded(True, ()) is guarded(True, ())
    assert guarded(False, networks) is guarded(False, (ip_network("10.0.0.0/8"),))
    assert guarded(False, networks) is not guarded(False, ())
    assert responders.for_persona is for_persona
