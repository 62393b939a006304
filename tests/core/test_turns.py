"""A turn as it begins: which question is answered, beside what, and what a key stands for afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from chatsvc.core import messages, replies, sessions, turns
from chatsvc.core.errors import Conflict, NotFound, TooMany
from chatsvc.core.idempotency import Claim
from chatsvc.core.turns import AlreadyRunning, Begun
from tests.api.v1 import rows
from tests.factories import unknown_id

WORKER = "4b1c0a52-3c1c-4f0e-9a53-0d4b6c1b7a11"


def begin(session_id: str | None = None, *, user_id: str = "owner", message: str | None = "Hello", **rest: Any) -> Begun:
    return turns.begin(user_id, worker_id=WORKER, session_id=session_id, message=message, **rest)


def again(reply_id: int, session_id: str | None = None) -> Begun:
    return begin(session_id, message=None, retry=reply_id)


def end(turn: Begun, claim: Claim | None = None) -> Begun:
    assert replies.end(turn.session_id, turn.reply.id, status="complete", content="Fine", facts={}, claim=claim) is not None
    return turn


def said(session_id: str, content: str, role: str = "user") -> int:
    return int(messages.append("owner", session_id, role=role, content=content).id)


# Which question


def test_an_answer_that_was_only_written_down_is_given_anew_to_what_the_person_had_said_before_it(context: Flask) -> None:
    session_id, other = sessions.create("owner").id, sessions.create("owner").id
    said(session_id, "First")
    asked = said(session_id, "Which plants like shade?")
    taken_back = said(session_id, "Never mind")
    said(session_id, "An answer before it", "assistant")
    said(other, "Of another chat")
    answer = said(session_id, "Ferns", "assistant")
    said(session_id, "And later?")
    messages.remove("owner", session_id, taken_back)
    turn = again(answer)
    assert (turn.session_id, turn.question.id, turn.question.content) == (session_id, asked, "Which plants like shade?")
    assert [one.id for one in sessions.thread("owner", session_id, message_limit=9).messages if one.id in (answer, turn.reply.id)] == [turn.reply.id]


def test_an_answer_before_which_nobody_asked_is_not_given_anew(context: Flask) -> None:
    session_id = sessions.create("owner").id
    greeting = said(session_id, "How may I help?", "assistant")
    said(session_id, "Hello")
    with pytest.raises(Conflict, match="no longer there"):
        again(greeting)


def test_a_reply_is_given_anew_in_its_own_session_alone(context: Flask) -> None:
    turn, other = end(begin()), sessions.create("owner").id
    with pytest.raises(NotFound, match="Reply"):
        again(turn.reply.id, other)
    anew = again(turn.reply.id, turn.session_id)
    assert (anew.session_id, anew.question.id, anew.reply.id > turn.reply.id) == (turn.session_id, turn.question.id, True)


def test_a_reply_that_was_given_anew_is_gone_whatever_runs_elsewhere(context: Flask) -> None:
    turn = end(begin())
    anew = again(turn.reply.id)
    elsewhere = begin()
    with pytest.raises(AlreadyRunning) as caught:
        again(turn.reply.id)
    assert caught.value.facts["reply_id"] == anew.reply.id
    end(anew)
    with pytest.raises(NotFound, match="Reply"):
        again(turn.reply.id)
    assert replies.get("owner", elsewhere.reply.id).status == "streaming"


@pytest.mark.parametrize("who", ["stranger", "owner"])
def test_nobody_is_told_of_a_session_that_is_not_there_for_them_what_kind_it_is(context: Flask, who: str) -> None:
    session_id = rows.exchange(context, "owner")
    with pytest.raises(Conflict, match="one exchange of a conversation"):
        begin(session_id)
    if who == "owner":
        sessions.remove("owner", session_id)
    with pytest.raises(NotFound, match="Session"):
        begin(session_id, user_id=who)


# What is written down


def test_question_and_reply_carry_what_was_asked_for(context: Flask) -> None:
    session_id = sessions.create("owner", agent_type="research").id
    turn = end(begin(session_id, metadata={"a": 1}))
    assert (turn.question.role, turn.question.content, turn.question.meta, turn.question.agent_type) == ("user", "Hello", {"a": 1}, None)
    assert (turn.reply.role, turn.reply.content, turn.reply.meta, turn.reply.agent_type) == ("assistant", "", {}, "research")
    assert (turn.is_first, begin(session_id, agent_type="router").reply.agent_type) == (True, "router")


def test_one_reply_at_a_time_is_written_in_a_session_and_several_in_several(context: Flask) -> None:
    turn, other = begin(), begin()
    for running in (turn, other):
        with pytest.raises(AlreadyRunning) as caught:
            begin(running.session_id)
        assert caught.value.facts["reply_id"] == running.reply.id
    assert not begin(end(turn).session_id).is_first


def test_replies_are_limited_to_those_that_are_written_here_for_this_user(make_app: Callable[..., Flask]) -> None:
    with make_app(RATELIMIT_ENABLED="true", CHAT_STREAMS_PER_USER="2").app_context():
        left_open = begin()
        replies.leave_open(left_open.session_id, left_open.reply.id, None)
        end(begin())
        begin(user_id="stranger")
        first, _ = begin(), begin(user_id="stranger")
        begin()
        with pytest.raises(TooMany, match="At most 2") as caught:
            begin()
        assert caught.value.retry_after == 5
        end(first)
        begin()


# What a key stands for


def test_a_key_stands_for_its_turn_while_that_runs_and_afterwards(context: Flask) -> None:
    claim = Claim("owner", "k", "f")
    first = begin(claim=claim)
    others = begin(claim=Claim("owner", "other", "f"))
    while_it_runs = begin(claim=claim)
    end(first, claim)
    afterwards = begin(claim=claim)
    for found in (while_it_runs, afterwards):
        assert (found.again, found.session_id, found.question.id, found.reply.id) == (True, first.session_id, first.question.id, first.reply.id)
    assert (while_it_runs.reply.status, afterwards.reply.status, afterwards.reply.content) == ("streaming", "complete", "Fine")
    assert (first.again, others.again, others.reply.id > first.reply.id) == (False, False, True)


def test_a_key_of_a_reply_that_comes_later_says_so(context: Flask) -> None:
    claim = Claim("owner", "k", "f")
    turn = begin(claim=claim)
    assert begin(claim=claim).answered is None
    replies.leave_open(turn.session_id, turn.reply.id, claim)
    assert begin(claim=claim).answered == 202


@pytest.mark.parametrize("ended", [False, True])
def test_a_key_stands_for_nothing_while_its_session_is_removed(context: Flask, ended: bool) -> None:
    claim = Claim("owner", "k", "f")
    turn = begin(claim=claim)
    begin()  # another session, which is there
    if ended:
        end(turn, claim)
    sessions.remove("owner", turn.session_id)
    with pytest.raises(NotFound, match="Session"):
        begin(claim=claim)
    sessions.restore("owner", turn.session_id)
    assert begin(claim=claim).reply.id == turn.reply.id


def test_a_session_is_begun_under_an_id_of_ones_own_choice(context: Flask) -> None:
    wanted = unknown_id()
    assert begin(wanted).session_id == wanted
    with pytest.raises(NotFound, match="Session"):
        begin(wanted, user_id="stranger")
