"""A persona that fails five times in a row is left alone for half a minute, whichever process saw it fail, then tried with one question."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import text

from chatsvc.core import circuits, connections
from chatsvc.core.guard import Guarded
from chatsvc.extensions import db
from chatsvc.responders.base import Answer, AnswersLater, Outcome, Question, ResponderError, Stop, Stopped, Turn
from tests.factories import unknown_id
from tests.migrations.raw import Raw


class Scripted:
    """Answers as it is told, and counts how often it was asked."""

    def __init__(self, *does: str) -> None:
        self.does = list(does)
        self.asked = 0

    def reply(self, question: Question, stop: Stop) -> Answer:
        self.asked += 1
        what = self.does.pop(0) if len(self.does) > 1 else self.does[0]
        if what == "fails":
            raise ResponderError("bad_status", "It has a fault.")
        if what == "later":
            raise AnswersLater
        yield "Ferns"
        if what == "stops":
            raise Stopped
        return Outcome()


@pytest.fixture
def persona(context: Flask, database_url: str) -> Iterator[str]:
    with Raw(database_url) as raw:
        yield str(raw.insert("personas", id=unknown_id(), name="Gardener", kind="webhook", webhook_url="http://n8n.invalid/"))


def ask(responder: Scripted, persona_id: str) -> str:
    """What comes of one question."""
    try:
        return "".join(Guarded(responder, persona_id).reply(Question([Turn("user", "?")], user_id="owner", session_id=unknown_id()), Stop()))
    except ResponderError as error:
        return error.kind
    except (AnswersLater, Stopped) as other:
        return type(other).__name__


def state(persona_id: str) -> str:
    found = circuits.states([persona_id])
    return str(found[persona_id].state) if found else "closed"


def pass_by(persona_id: str, seconds: float = 31) -> None:
    """As if the circuit had opened so long ago, however long the test has taken."""
    with db.engine.begin() as connection:
        ago = (
            "strftime('%Y-%m-%d %H:%M:%f', 'now', (-:s) || ' seconds') || '000'" if connection.dialect.name == "sqlite" else "now() - make_interval(secs => :s)"
        )
        both = ", ".join(f"{column} = CASE WHEN {column} IS NULL THEN NULL ELSE {ago} END" for column in ("opened_at", "probed_at"))
        connection.execute(text(f"UPDATE circuits SET {both} WHERE persona_id = :p"), {"s": seconds, "p": persona_id})


def events(persona_id: str) -> list[str]:
    with db.engine.begin() as connection:
        found = connection.execute(text("SELECT action FROM audit_events WHERE subject = :p AND action LIKE 'circuit%' ORDER BY id"), {"p": persona_id})
        return [row[0].removeprefix("circuit.") for row in found]


def opened(persona_id: str) -> str:
    broken = Scripted("fails")
    assert [ask(broken, persona_id) for _ in range(circuits.FAILURES)] == ["bad_status"] * 5
    assert state(persona_id) == "open"
    return persona_id


def test_the_fifth_failure_in_a_row_opens_it_and_nobody_is_asked_while_it_is_open(persona: str) -> None:
    broken = Scripted("fails")
    for number in range(1, 6):
        assert state(persona) == "closed"
        assert ask(broken, persona) == "bad_status"
        assert circuits.states([persona])[persona].failures == number
    assert state(persona) == "open"
    pass_by(persona, -600)  # however long the hundred take
    assert Counter(ask(broken, persona) for _ in range(100)) == {"circuit_open": 100}
    assert broken.asked == 5
    pass_by(persona, 29)
    assert ask(broken, persona) == "circuit_open"
    assert events(persona) == ["opened"]


@pytest.mark.parametrize("good", ["answers", "later"])
def test_an_answer_in_between_begins_the_count_anew(persona: str, good: str) -> None:
    flow = Scripted(*["fails"] * 4, good, *["fails"] * 4, good, "fails")
    for _ in range(11):
        ask(flow, persona)
    assert (state(persona), circuits.states([persona])[persona].failures, flow.asked) == ("closed", 1, 11)


def test_who_stops_listening_does_not_count(persona: str) -> None:
    flow = Scripted(*["fails"] * 4, "stops", "fails")
    assert [ask(flow, persona) for _ in range(6)] == [*["bad_status"] * 4, "Stopped", "bad_status"]
    assert state(persona) == "open"


@pytest.mark.parametrize("good", ["answers", "later"])
def test_a_good_probe_closes_it(persona: str, good: str) -> None:
    pass_by(opened(persona))
    assert state(persona) == "half_open"
    ask(Scripted(good), persona)
    assert (state(persona), circuits.states([persona])[persona].failures) == ("closed", 0)
    assert events(persona) == ["opened", "closed"]


def test_a_bad_probe_opens_it_for_another_half_minute(persona: str) -> None:
    pass_by(opened(persona))
    broken = Scripted("fails")
    assert [ask(broken, persona) for _ in range(3)] == ["bad_status", "circuit_open", "circuit_open"]
    assert (state(persona), broken.asked) == ("open", 1)
    pass_by(persona, 29)
    assert ask(broken, persona) == "circuit_open"
    pass_by(persona, 31)
    assert ask(Scripted("answers"), persona) == "Ferns"
    assert state(persona) == "closed"


def test_one_of_twenty_at_once_is_the_probe(persona: str, context: Flask) -> None:
    pass_by(opened(persona))
    all_there, go_on, asked = threading.Barrier(20), threading.Event(), []

    class Slow:
        def reply(self, question: Question, stop: Stop) -> Answer:
            asked.append(1)
            go_on.wait(60)
            yield "Ferns"
            return Outcome()

    def one(_: int) -> str:
        with context.app_context():
            all_there.wait()
            with suppress(ResponderError):
                return "".join(Guarded(Slow(), persona).reply(Question([Turn("user", "?")]), Stop()))
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        told = [pool.submit(one, number) for number in range(20)]
        until = time.monotonic() + 60
        while sum(one.done() for one in told) < 19 and time.monotonic() < until:
            time.sleep(0.01)
        assert (len(asked), state(persona)) == (1, "half_open")
        go_on.set()
    assert Counter(one.result() for one in told) == {"refused": 19, "Ferns": 1}
    assert state(persona) == "closed"


@pytest.mark.parametrize("way", ["stopped", "dropped"])
def test_a_probe_that_is_cut_short_gives_its_turn_back(persona: str, way: str) -> None:
    pass_by(opened(persona))
    if way == "stopped":
        assert ask(Scripted("stops"), persona) == "Stopped"
    else:
        answer = Guarded(Scripted("answers"), persona).reply(Question([Turn("user", "?")]), Stop())
        assert next(answer) == "Ferns"
        assert ask(Scripted("answers"), persona) == "circuit_open"
        answer.close()
    assert state(persona) == "half_open"
    assert ask(Scripted("answers"), persona) == "Ferns"
    assert state(persona) == "closed"


def test_a_probe_whose_process_has_died_is_replaced(persona: str) -> None:
    pass_by(opened(persona))
    assert circuits.admit(persona) is True
    assert circuits.admit(persona) is None
    pass_by(persona, circuits.PROBE_SECONDS + 1)
    assert circuits.admit(persona) is True
    assert circuits.admit(persona) is None


def test_an_old_answer_does_not_close_it_and_an_old_failure_does_not_hold_it_open(persona: str) -> None:
    begun = [Guarded(flow, persona).reply(Question([Turn("user", "?")], session_id="s"), Stop()) for flow in (Scripted("answers"), Scripted("answers"))]
    for answer in begun:
        assert next(answer) == "Ferns"
    opened(persona)
    with suppress(StopIteration):
        next(begun[0])
    assert state(persona) == "open"
    pass_by(persona)
    circuits.failed(persona, probe=False, kind="timeout")
    assert state(persona) == "half_open"
    with suppress(StopIteration):
        next(begun[1])
    assert state(persona) == "half_open"
    assert ask(Scripted("answers"), persona) == "Ferns"


def test_failures_at_once_are_all_counted(persona: str, context: Flask) -> None:
    def one(_: int) -> None:
        with context.app_context():
            circuits.failed(persona, probe=False, kind="timeout")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(one, range(40)))
    assert circuits.states([persona])[persona].failures == 40
    assert events(persona) == ["opened"]


def test_what_cannot_be_counted_is_answered_all_the_same(
    persona: str, database_url: str, make_app: Callable[..., Flask], engine_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(Scripted("fails"), persona) == "bad_status"
    monkeypatch.setattr(connections, "STATEMENT_SECONDS" if engine_name == "sqlite" else "LOCK_SECONDS", 1)
    with make_app().app_context(), Raw(database_url) as other, other.transaction():
        other.run("UPDATE circuits SET failures = failures")
        assert ask(Scripted("answers"), persona) == "Ferns"  # after as long as a writer waits
    assert circuits.states([persona])[persona].failures == 1


def test_each_persona_has_its_own(persona: str, database_url: str) -> None:
    with Raw(database_url) as raw:
        other = str(raw.insert("personas", id=unknown_id(), name="Cook", kind="webhook"))
    opened(persona)
    assert ask(Scripted("answers"), other) == "Ferns"
    assert (state(persona), state(other)) == ("open", "closed")
