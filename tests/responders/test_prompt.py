"""How much of a conversation goes along."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatsvc.responders.base import Question, Turn
from chatsvc.responders.prompt import fit, spoken

TURNS = st.lists(st.builds(Turn, st.sampled_from(["user", "assistant", "system"]), st.text("ab", max_size=20)), max_size=12)


def turns(*texts: str) -> list[Turn]:
    """A person and a model, taking turns."""
    return [Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]


def test_all_of_it_where_it_fits() -> None:
    said = turns("aaa", "bbb", "ccc")
    assert fit(said, budget_chars=9) == said
    assert fit(said, system_prompt="S", budget_chars=10) == said
    assert fit(said, system_prompt="SS", budget_chars=10) == said[2:]


def test_the_newest_of_it_where_it_does_not() -> None:
    said = turns("aaa", "bbb", "ccc", "ddd", "eee")
    assert fit(said, budget_chars=14) == said[2:]  # an answer without its question says nothing
    assert fit(said, budget_chars=9) == said[2:]
    assert fit(said, budget_chars=8) == said[4:]
    assert fit(said, system_prompt="S" * 6, budget_chars=14) == said[4:]


def test_the_last_question_always() -> None:
    said = turns("aaa", "bbb", "c" * 100)
    assert fit(said, budget_chars=10) == said[2:]
    assert fit(said, system_prompt="S" * 50, budget_chars=0) == said[2:]


def test_a_greeting_stays_first() -> None:
    said = [Turn("assistant", "Welcome!"), Turn("user", "Hi")]
    assert fit(said, budget_chars=99) == said
    assert fit(said, budget_chars=5) == said[1:]


def test_empty_turns_are_left_out() -> None:
    assert fit(turns("a", "", "c"), budget_chars=9) == [Turn("user", "a"), Turn("user", "c")]
    assert fit([], budget_chars=9) == []
    assert spoken(Question(turns("a", "", "c"), system_prompt="S")) == [Turn("system", "S"), Turn("user", "a"), Turn("user", "c")]
    assert spoken(Question(turns("a"))) == turns("a")


@given(TURNS, st.text("s", max_size=5), st.integers(min_value=0, max_value=100))
def test_always(said: list[Turn], system: str, budget: int) -> None:
    kept = fit(said, system_prompt=system, budget_chars=budget)
    whole = [turn for turn in said if turn.content]
    assert kept == whole[len(whole) - len(kept) :]  # the newest, whole, with no gap
    last = max((at for at, turn in enumerate(whole) if turn.role == "user"), default=len(whole))
    assert len(kept) >= len(whole) - last
    assert len(system) + sum(len(turn.content) for turn in kept) <= budget or kept == whole[last:]
