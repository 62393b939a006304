"""A persona's responder behind its circuit: not asked while that is open, and what comes of asking is counted."""

from __future__ import annotations

import logging

from sqlalchemy import Connection as Unit

from chatsvc.core import audit, circuits, erasure
from chatsvc.core.database import unit
from chatsvc.core.errors import Unavailable
from chatsvc.responders.base import Answer, AnswersLater, Question, Responder, ResponderError, Stop

log = logging.getLogger(__name__)


class Guarded:
    """Asks only when the circuit lets it."""

    def __init__(self, responder: Responder, persona_id: str) -> None:
        self._responder = responder
        self._persona_id = persona_id

    def reply(self, question: Question, stop: Stop) -> Answer:
        probe = circuits.admit(self._persona_id)
        if probe is None:
            raise ResponderError(
                "circuit_open", "This persona has failed several times in a row; try again in half a minute", retry_after=circuits.OPEN_SECONDS
            )
        told = False
        try:
            outcome = yield from self._responder.reply(question, stop)
            told = self._answered(probe=probe)
            return outcome
        except AnswersLater:
            told = self._answered(probe=probe)
            raise
        except ResponderError as error:
            told = self._failed(error, question, probe=probe)
            raise
        finally:
            if probe and not told:
                self._give_back()

    def _answered(self, *, probe: bool) -> bool:
        """Whether this could be told to the circuit; the answer is there either way."""
        try:
            circuits.succeeded(self._persona_id, probe=probe)
        except Unavailable as away:
            log.warning("an answer of persona %s was not counted: %s", self._persona_id, away.message)
            return False
        return True

    def _failed(self, error: ResponderError, question: Question, *, probe: bool) -> bool:
        try:
            circuits.failed(self._persona_id, probe=probe, kind=error.kind)
            _note(error, question, self._persona_id)
        except Unavailable as away:
            # What went wrong with the persona is what its person is to be told, not that it could not be counted.
            log.warning("a failure of persona %s was not counted: %s", self._persona_id, away.message)
            return False
        return True

    def _give_back(self) -> None:
        try:
            circuits.give_back(self._persona_id)
        except Unavailable as away:
            log.warning("the probe of persona %s was not given back; the next one waits for it: %s", self._persona_id, away.message)


@unit
def _note(tx: Unit, error: ResponderError, question: Question, persona_id: str) -> None:
    """Unless the session has been erased meanwhile: then nothing is to say any more whose it was."""
    if erasure.keep_there(tx, question.session_id):
        audit.note("webhook.failed", actor=question.user_id, subject=persona_id, kind=error.kind, session_id=question.session_id)


class Awaiting:
    """For a session that waits: an answer that comes later, by a callback, is waited for like any other."""

    def __init__(self, responder: Responder, seconds: float) -> None:
        self._responder = responder
        self._seconds = seconds

    def reply(self, question: Question, stop: Stop) -> Answer:
        try:
            return (yield from self._responder.reply(question, stop))
        except AnswersLater:
            stop.wait(self._seconds)  # ends by Stopped when the callback has ended this reply
            raise ResponderError("timeout", "The answer did not come in time") from None
