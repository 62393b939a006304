"""What a webhook is sent, and every form of answer that it may give. Run again under gevent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from chatsvc.responders.base import AnswersLater, Question, ResponderError, Stop, Turn
from chatsvc.responders.signing import sign, verify
from chatsvc.responders.webhook import Webhook
from tests.responders.conftest import asked
from tests.responders.upstream import Caller, Script, Upstream, flow
from tests.stopwatch import Stopwatch

SESSION, CONVERSATION = "6ad8a5a2-53d2-4f0e-9f38-6a3b6f7f9c55", "0b3c2d3e-1111-4222-8333-944455556666"
SECRET = "whsec-Tz4kQ9vYb2mXw7LrN1"
EXCHANGE = Question(
    [Turn("user", "Hello, how are you?")],
    user_id="user789",
    session_id=SESSION,
    reply_id="42",
    conversation_id=CONVERSATION,
    persona_id="persona456",
)

Make = Callable[..., Webhook]


def heard(responder: Webhook, question: Question = EXCHANGE) -> str:
    return "".join(responder.reply(question, Stop()))


# What it is sent


def test_it_is_sent_five_fields_and_no_more(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    assert heard(webhook()) == "Fine"
    target, headers, body = upstream.requests[0]
    assert (upstream.callers[0].method, target) == ("POST", "/webhook/chat")
    assert list(body.items()) == [
        ("message", "Hello, how are you?"),
        ("conversationId", CONVERSATION),
        ("personaId", "persona456"),
        ("userId", "user789"),
        ("sessionId", SESSION),
    ]
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == "42"
    assert headers["accept-encoding"] == "identity"
    assert "x-chatsvc-signature" not in headers
    assert "x-chatsvc-callback" not in headers
    assert "authorization" not in headers
    assert "cookie" not in headers
    assert abs(time.time() - int(headers["x-chatsvc-timestamp"])) < 5


def test_a_plain_session_is_its_own_conversation(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    heard(webhook(persona_id="persona456"), Question([Turn("assistant", "Hi"), Turn("user", "Then?")], user_id="user789", session_id=SESSION))
    body = upstream.requests[0][2]
    assert (body["message"], body["conversationId"], body["sessionId"], body["personaId"]) == ("Then?", SESSION, SESSION, "persona456")
    assert "idempotency-key" not in upstream.requests[0][1]


def test_letters_of_all_scripts_arrive(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(json.dumps({"output": caller.body["message"]}).encode())
    text = 'Grüße, 你好, 👩‍👩‍👧 \u2028 "quoted" \\ \n end'
    assert heard(webhook(), Question([Turn("user", text)], session_id=SESSION)) == text


def test_the_signature_is_verified_by_the_server_over_the_raw_body(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    heard(webhook(secret=SECRET))
    caller = upstream.callers[0]
    timestamp, signature = caller.headers["x-chatsvc-timestamp"], caller.headers["x-chatsvc-signature"]
    assert verify(SECRET, timestamp, caller.raw, signature, time.time())
    assert not verify(SECRET, timestamp, caller.raw + b" ", signature, time.time())
    assert not verify(SECRET[::-1], timestamp, caller.raw, signature, time.time())
    heard(webhook(secret=SECRET, clock=lambda: 1763640000.9))
    caller = upstream.callers[1]
    assert caller.headers["x-chatsvc-signature"] == sign(SECRET, "1763640000", caller.raw)
    assert SECRET.encode() not in caller.raw + str(caller.headers).encode()


def test_it_is_signed_with_the_secret_before_too_where_there_is_one_and_tells_neither(
    upstream: Upstream, webhook: Make, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script = lambda caller: caller.answer(f"You hold {SECRET} and {SECRET[::-1]}".encode(), status=500)
    with pytest.raises(ResponderError):
        heard(webhook(secret=SECRET, previous_secret=SECRET[::-1], clock=lambda: 1763640000))
    caller = upstream.callers[0]
    assert caller.headers["x-chatsvc-signature"] == " ".join(sign(secret, "1763640000", caller.raw) for secret in (SECRET, SECRET[::-1]))
    assert [secret for secret in (SECRET, SECRET[::-1]) if secret in caplog.text] == []


def test_the_callback_address_is_told_where_there_is_one(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    address = "https://chat.example.com/x/api/chat-sessions/{session_id}/callback"
    heard(webhook(callback=True, callback_url=address))
    heard(webhook(callback=False, callback_url=address))
    heard(webhook(callback=True))
    told = [headers.get("x-chatsvc-callback") for _, headers, _ in upstream.requests]
    assert told == [f"https://chat.example.com/x/api/chat-sessions/{SESSION}/callback"] * 2 + [None]


def test_each_question_has_a_connection_of_its_own(upstream: Upstream, webhook: Make) -> None:
    """A kept connection may be closed as it is used again; the question would be lost, and may not be sent twice."""
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    responder = webhook()
    assert [heard(responder) for _ in range(3)] == ["Fine"] * 3
    assert len(upstream.callers) == 3


@pytest.mark.parametrize("query", ["", "?a=1&b=%20", "?token=abc"])
def test_the_path_is_kept_as_it_is(upstream: Upstream, webhook: Make, query: str) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    heard(webhook(url=f"{upstream.url}/webhook/chat/{query}#top"))
    assert upstream.requests[0][0] == f"/webhook/chat/{query}"


# Answers

JSON, HTML, PLAIN = "application/json; charset=utf-8", "text/html; charset=utf-8", "text/plain"


@pytest.mark.parametrize("name", ["output", "reply", "response", "text", "content", "message"])
@pytest.mark.parametrize("form", ["{%s}", "[{%s}]", ' \r\n[ {"other": {"output": "no"}, %s } ]\n'])
@pytest.mark.parametrize("content_type", [JSON, HTML, "application/problem+json", "application/octet-stream"])
def test_a_document_says_it_under_any_of_six_names(upstream: Upstream, webhook: Make, name: str, form: str, content_type: str) -> None:
    upstream.script = lambda caller: caller.answer((form % f'"{name}": "Fine, thanks."').encode(), content_type=content_type)
    assert heard(webhook()) == "Fine, thanks."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"message": "no", "content": "no", "text": "no", "response": "no", "reply": "no", "output": "yes"}', "yes"),
        ('{"message": "no", "content": "no", "text": "no", "response": "no", "reply": "yes"}', "yes"),
        ('{"message": "no", "content": "no", "text": "no", "response": "yes"}', "yes"),
        ('{"message": "no", "content": "no", "text": "yes"}', "yes"),
        ('{"message": "no", "content": "yes"}', "yes"),
        ('{"output": "", "text": "yes"}', "yes"),
        ('{"output": null, "reply": 7, "text": ["no"], "content": {"text": "no"}, "message": "yes"}', "yes"),
        ('{"message": "Workflow was started", "text": "yes"}', "yes"),
        ('{"output": "Workflow was started"}', "Workflow was started"),
        ('{"message": "Workflow was started by a colleague"}', "Workflow was started by a colleague"),
        ('{"output": "  kept as sent \\n"}', "  kept as sent \n"),
        ('{"output": "no", "output": "yes"}', "yes"),
        ('{"output": "<!doctype html><p>a page to show</p>"}', "<!doctype html><p>a page to show</p>"),
        ('{"output": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('\ufeff{"output": "yes"}', "yes"),
        ('{"output": "\\u0000 \\ud800 \\ud83d\\ude00"}', "\ufffd \ufffd 😀"),
        ('"yes"', "yes"),
        ("yes, as text", "yes, as text"),
        ('{"type": "message", "content": "yes"}', "yes"),
        ('{\n  "output": "yes"\n}', "yes"),
    ],
)
def test_what_a_json_answer_says(upstream: Upstream, webhook: Make, body: str, text: str) -> None:
    upstream.script = lambda caller: caller.answer(body.encode(), content_type=JSON)
    assert heard(webhook()) == text


@pytest.mark.parametrize("content_type", [HTML, PLAIN, "text/markdown", "application/octet-stream", "image/png", "no type at all", ""])
@pytest.mark.parametrize(
    "body",
    [
        "Fine, thanks.",
        "Line\n\nline\r\n",
        "<b>Fine</b>, thanks.",
        "<p>Fine</p>",
        "<3 you",
        "<!-- a note --> text",
        "Look: <html>",
        "[1] first, [2] second",
        "{name}, hello",
        "42",
        "null",
        '"quoted"',
        "你好 👋",
        "htmlish",
        "<header>no page</header>",
        '{"output": "broken',
    ],
)
def test_plain_text_under_any_content_type(upstream: Upstream, webhook: Make, body: str, content_type: str) -> None:
    upstream.script = lambda caller: caller.answer(body.encode(), content_type=content_type)
    assert heard(webhook()) == body


def test_bytes_that_are_no_utf8_are_made_harmless(upstream: Upstream, webhook: Make) -> None:
    for body, text in (
        (b"caf\xe9", "caf\ufffd"),
        (b"a\x00b", "a\ufffdb"),
        (b'{"output": "caf\xe9\\u0000"}', "caf\ufffd\ufffd"),
        (b"\xed\xa0\x80!", "\ufffd\ufffd\ufffd!"),
    ):
        upstream.script = lambda caller, body=body: caller.answer(body, content_type=PLAIN)  # type: ignore[misc]
        assert heard(webhook()) == text


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        (flow("Hel", "lo"), ["Hel", "lo"]),
        (flow("One. ", parts=2), ["One. ", "One. "]),
        (flow('{"output":"Hi"}'), ["Hi"]),
        (flow('[{"text":"Hi"}]'), ["Hi"]),
        (flow(' {"a": 1}'), [' {"a": 1}']),
        (flow("{", '"a"', "}"), ["{", '"a"', "}"]),
        (flow("[1]", "{}", "[]"), ["[1]", "{}", "[]"]),
        (flow("", "Hi", ""), ["Hi"]),
        (flow("\ud83d", "\ude00"), ["😀"]),
        (flow("a\ud83d"), ["a", "\ufffd"]),
        (flow("Hi").replace(b"\n", b"\r\n\r\n"), ["Hi"]),
        (b"\n\n" + flow("Hi"), ["Hi"]),
        (b"\xef\xbb\xbf" + flow("Hi"), ["Hi"]),
        (flow("Hi").rstrip(), ["Hi"]),
        (b'{"type":"item","content":"Hi"}\n{"type":"end"}\n', ["Hi"]),
        (b'{"type":"begin"}\n{"type":"item","content":{"output":"Hi"}}\n{"type":"end"}\n', ["Hi"]),
        (b'{"type":"begin"}\n{"type":"item"}\n{"type":"tool-call-start","content":7}\n{"type":"item","content":"Hi"}\n{"type":"end"}\n', ["Hi"]),
    ],
)
def test_streamed_items_come_as_they_are_sent(upstream: Upstream, webhook: Make, said: bytes, pieces: list[str]) -> None:
    scripts: list[Script] = [
        lambda caller: caller.stream(said, sizes=[7]),
        lambda caller: caller.answer(said, content_type=JSON),
        lambda caller: caller.answer(said, content_type=PLAIN),
    ]
    for script in scripts:
        upstream.script = script
        told = asked(webhook())
        assert (told.pieces, told.error) == (pieces, None)
        assert told.outcome


def test_an_item_is_told_before_the_next_one_comes(upstream: Upstream, webhook: Make) -> None:
    first, second = flow("Hel", "lo").split(b'"Hel"')

    def script(caller: Caller) -> None:
        caller.head(content_type=JSON)
        caller.send(first + b'"Hel"' + second.partition(b"\n")[0] + b"\n")
        caller.wait_for_hang_up(3)

    upstream.script = script
    answer = webhook().reply(EXCHANGE, Stop())
    watch = Stopwatch()
    assert next(answer) == "Hel"
    assert watch.own_seconds < 1
    answer.close()
    assert upstream.hung_up.wait(20)


# Later


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b" \n", b'{"message": "Workflow was started"}', b'[{"message":"Workflow was started."}]', b"Workflow was started"])
def test_who_answers_by_callback_may_say_nothing_now(upstream: Upstream, webhook: Make, status: int, body: bytes) -> None:
    if status == 204:
        upstream.script = lambda caller: caller.head(204)
    else:
        upstream.script = lambda caller: caller.answer(body, status=status)
    with pytest.raises(AnswersLater):
        heard(webhook(callback=True))
    told = asked(webhook())
    assert told.kind == "bad_response"
    assert told.pieces == []


def test_who_answers_by_callback_may_answer_at_once(upstream: Upstream, webhook: Make) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Fine"}')
    assert heard(webhook(callback=True)) == "Fine"
    upstream.script = lambda caller: caller.answer(flow("Fi", "ne"))
    assert heard(webhook(callback=True)) == "Fine"
    upstream.script = lambda caller: caller.answer(b"", status=500)
    assert asked(webhook(callback=True)).kind == "bad_status"


def test_an_acknowledgement_without_a_callback_says_what_to_change(upstream: Upstream, webhook: Make) -> None:
    for status, body in ((200, b'{"message":"Workflow was started"}'), (202, b""), (200, flow('{"message":"Workflow was started"}'))):
        upstream.script = lambda caller, status=status, body=body: caller.answer(body, status=status)  # type: ignore[misc]
        told = asked(webhook())
        assert told.error
        assert told.kind == "bad_response"
        assert "Respond to Webhook node" in told.error.message
        assert "answers to callback" in told.error.message
