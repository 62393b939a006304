"""How much of a conversation is sent along with a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chatsvc.responders.base import Answer, Question, Responder, Stop, Turn


def fit(turns: Sequence[Turn], *, system_prompt: str = "", budget_chars: int) -> list[Turn]:
    """As many of the newest turns as fit beside the system prompt, none cut; the last question always, however long, and what follows it."""
    said = [turn for turn in turns if turn.content]
    start = max((at for at, turn in enumerate(said) if turn.role == "user"), default=len(said))
    left = budget_chars - len(system_prompt) - sum(len(turn.content) for turn in said[start:])
    while start and len(said[start - 1].content) <= left:
        start -= 1
        left -= len(said[start].content)
    while 0 < start < len(said) and said[start].role == "assistant":  # an answer whose question did not fit
        start += 1
    return said[start:]


def spoken(question: Question) -> list[Turn]:
    """What a model is told: the system prompt first, and every turn that says something."""
    head = [Turn("system", question.system_prompt)] if question.system_prompt else []
    return head + [turn for turn in question.history if turn.content]


class Prompted:
    """A responder that is given a system prompt of its own with every question."""

    def __init__(self, responder: Responder, system_prompt: str) -> None:
        self._responder = responder
        self._system_prompt = system_prompt

    def reply(self, question: Question, stop: Stop) -> Answer:
        return self._responder.reply(replace(question, system_prompt=self._system_prompt), stop)


class Within:
    """A responder that is sent no more of a conversation than this many code points."""

    def __init__(self, responder: Responder, budget_chars: int) -> None:
        self._responder = responder
        self._budget = budget_chars

    def reply(self, question: Question, stop: Stop) -> Answer:
        turns = fit(question.history, system_prompt=question.system_prompt, budget_chars=self._budget)
        return self._responder.reply(replace(question, history=turns), stop)
