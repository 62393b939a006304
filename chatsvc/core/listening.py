"""Listening to a responder: what it says is written down as it comes, and how it ended is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from chatsvc.core import spans
from chatsvc.core.errors import Unavailable
from chatsvc.core.feed import Run
from chatsvc.responders.base import AnswersLater, Question, Responder, ResponderError, Stop, Stopped, kind_of

log = logging.getLogger(__name__)

LATER = "later"
Ask = Callable[[], tuple[Responder, Question]]
Heard = tuple[str, dict[str, Any]]


def listen(run: Run, ask: Ask, stop: Stop, *, longest: int) -> Heard:
    """Writes down what the responder says; how it ended (a status, or LATER), and what is known of it."""
    try:
        with spans.span("reply", parent=run.trace, chatsvc_session=run.session_id) as told:
            facts = _take_down(run, ask, stop, longest)
            told["chatsvc_responder"] = run.responder
    except Stopped:
        return ("cancelled", {}) if run.why_stop == "cancel" else failed("interrupted", "The service was interrupted while it wrote this reply")
    except AnswersLater:
        return LATER, {}
    except ResponderError as error:
        return failed(error.kind, error.message)
    except Unavailable as error:
        # Nobody was asked, so nobody but the service has failed.
        log.warning("the responder of reply %s could not be asked: %s", run.reply_id, error.message)
        return failed("interrupted", "The service could not ask for a reply")
    except Exception:
        log.exception("the responder of reply %s broke", run.reply_id)
        return failed("bad_response", "The responder broke")
    return "complete", facts


def _take_down(run: Run, ask: Ask, stop: Stop, longest: int) -> dict[str, Any]:
    responder, question = ask()
    run.responder = kind_of(responder)
    answer = responder.reply(question, stop)
    while True:
        try:
            piece = next(answer)
        except StopIteration as end:
            if not run.feed.length:
                raise ResponderError("bad_response", "The answer was empty") from None
            facts: dict[str, Any] = end.value.facts()
            return facts
        run.first_at = run.first_at or time.monotonic()
        room = longest - run.feed.length
        run.feed.add(piece[:room].replace("\0", "\ufffd"))
        if len(piece) > room:
            raise ResponderError("bad_response", f"The answer is longer than {longest} characters")
        stop.check()


def failed(kind: str, message: str) -> Heard:
    return "failed", {"error": {"kind": kind, "message": message}}
