"""n8n, and whatever else answers a POST: what a persona of kind webhook asks."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote

import httpx2

from chatsvc.responders import answers, text
from chatsvc.responders.addresses import Network, check_url, rule
from chatsvc.responders.base import Answer, AnswersLater, Outcome, Question, ResponderError, Stop
from chatsvc.responders.http import Call, Client, HttpError, Limits, Response, credential
from chatsvc.responders.net import Wires
from chatsvc.responders.signing import sign_with_each

log = logging.getLogger(__name__)

NAME = "The webhook"
WRAPPING = 8  # how many times longer than its text a streamed answer may be: n8n wraps each word into two hundred bytes
ACCEPTED = (
    "took the question and gave no answer: let the flow answer by a Respond to Webhook node or when its last node finishes, "
    "or set the persona's answers to callback"
)


@lru_cache(maxsize=8)
def guarded(allow_private: bool, allow_networks: tuple[Network, ...]) -> Client:
    """The client of this process for addresses that personas name. It keeps no connection: a request on a stale one is lost, and may not be sent again."""
    return Client(wires=Wires(rule(allow_private=allow_private, allow_networks=allow_networks)), keepalive=0)


class Webhook:
    """Posts the question to `url`, once. With `callback` the answer may come later, to `callback_url`, whose `{session_id}` is the session's."""

    kind = "webhook"

    def __init__(
        self,
        *,
        url: str,
        secret: str = "",
        previous_secret: str = "",
        persona_id: str = "",
        timeout: float = 10.0,
        max_bytes: int = 1024 * 1024,
        callback: bool = False,
        callback_url: str = "",
        allow_private: bool = False,
        allow_networks: Sequence[Network] = (),
        client: Client | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.fault = check_url(url)
        self.url = httpx2.URL("" if self.fault else url).copy_with(fragment=None)
        self.secrets = [each for each in (secret, previous_secret) if each]  # newest first
        self.persona_id = persona_id
        self.max_bytes = max_bytes
        self.limits = Limits(total=timeout, connect=timeout, first_byte=timeout, idle=timeout, max_bytes=max_bytes * WRAPPING)
        self.callback = callback
        self.callback_url = credential(callback_url, "the callback address")
        self.client = client or guarded(allow_private, tuple(allow_networks))
        self.clock = clock

    def reply(self, question: Question, stop: Stop) -> Answer:
        """The answer, as it comes; AnswersLater when it comes another way."""
        if self.fault:
            raise ResponderError("unreachable", f"{NAME} cannot be called: its address {self.fault}.")
        call = Call(stop, self.limits, name=NAME, secrets=self.secrets)
        body = self.body(question)
        try:
            with self.client.post(self.url, body, self.headers(question, body), call) as response:
                yield from self._listen(response, call)
        except HttpError as error:
            if error.kind != "timeout":
                raise
            raise late(call) from None
        return Outcome()

    def body(self, question: Question) -> bytes:
        """Five fields and no more: who reads them may be strict."""
        said = {
            "message": question.text,
            "conversationId": question.conversation_id or question.session_id,
            "personaId": question.persona_id or self.persona_id,
            "userId": question.user_id,
            "sessionId": question.session_id,
        }
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")

    def headers(self, question: Question, body: bytes) -> dict[str, str]:
        timestamp = str(int(self.clock()))
        headers = {"content-type": "application/json", "accept": "application/json, text/plain, */*", "connection": "close", "x-chatsvc-timestamp": timestamp}
        if question.reply_id:
            headers["idempotency-key"] = question.reply_id
        if self.secrets:
            headers["x-chatsvc-signature"] = sign_with_each(self.secrets, timestamp, body)
        if self.callback_url:
            headers["x-chatsvc-callback"] = self.callback_url.replace("{session_id}", quote(question.session_id, safe=""))
        return headers

    def _listen(self, response: Response, call: Call) -> Iterator[str]:
        if response.status == 202:
            raise self._accepted()
        reader, joiner, any_text = answers.Reader(response.content_type, self.max_bytes), text.Joiner(), False
        try:
            for piece in _told(reader, response):
                clean = joiner.feed(piece)
                any_text = any_text or bool(clean.strip())
                if clean:
                    yield clean
        except answers.Acknowledged:
            raise self._accepted() from None
        except answers.Unclear as why:
            raise bad(str(why)) from None
        except answers.Reported as error:
            raise reported(str(error), call) from None
        rest = joiner.rest()
        if rest:
            yield rest
        if not any_text and not rest:
            raise self._silent(streamed=reader.ended)

    def _accepted(self) -> Exception:
        return AnswersLater() if self.callback else bad(ACCEPTED)

    def _silent(self, *, streamed: bool) -> Exception:
        if self.callback and not streamed:
            return AnswersLater()
        return bad("gave an empty answer, as a flow does that failed or answers nothing")


def _told(reader: answers.Reader, response: Response) -> Iterator[str]:
    """All of the text. Once every part has ended the answer is whole, whatever becomes of the connection."""
    try:
        for piece in response.pieces():
            yield from reader.feed(piece)
    except ResponderError:
        if not reader.ended:
            raise
    yield from reader.finish()


def bad(what: str) -> HttpError:
    return HttpError("bad_response", f"{NAME} {what}.")


def reported(words: str, call: Call) -> HttpError:
    """The error that a flow tells inside a stream. Its words go to the log."""
    excerpt = text.excerpt_of(words, call.secrets)
    log.warning("%s reported an error: %s", NAME, excerpt or "(no words)")
    error = bad("reported an error of its flow; the log has its words" if excerpt else "reported an error of its flow, without saying which")
    error.excerpt = excerpt
    return error


def late(call: Call) -> HttpError:
    """How long was waited, and for what."""
    seconds = call.limits.total
    what = {"connect": "it could not be reached", "first byte": "it did not begin to answer", "body": "it did not finish its answer"}[call.phase]
    return HttpError("timeout", f"Webhook timeout after {seconds:g} {'second' if seconds == 1 else 'seconds'}: {what}.")
