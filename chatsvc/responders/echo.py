"""Repeats the message word by word; needs nothing, so everything can be tried without a key."""

from __future__ import annotations

import re

from chatsvc.responders.base import Answer, Outcome, Question, Stop

WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


class Echo:
    kind = "echo"

    def __init__(self, *, delay_ms: int = 10) -> None:
        self.delay = delay_ms / 1000

    def reply(self, question: Question, stop: Stop) -> Answer:
        """The last message, a word at a time, with the delay between two."""
        for number, word in enumerate(WORD.findall(question.text)):
            if number and self.delay:
                stop.wait(self.delay)
            stop.check()
            yield word
        return Outcome(model="echo", finish_reason="stop")
