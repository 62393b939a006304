"""A difference between two servers' answers stops the comparison."""

from __future__ import annotations

from typing import Any

import pytest

from bench.answers import compare

ANSWER: dict[str, Any] = {"total": 2, "sessions": [{"title": "One", "metadata": {}}, {"title": "Two", "metadata": {"a": 1}}]}


def test_equal_answers_pass() -> None:
    compare([ANSWER], [{**ANSWER}])


@pytest.mark.parametrize(
    ("other", "where"),
    [
        ({**ANSWER, "total": 3}, "total is 2 and 3"),
        ({**ANSWER, "sessions": [ANSWER["sessions"][0], {"title": "Two", "metadata": {"a": 2}}]}, r"sessions\[1\].metadata.a is 1 and 2"),
        ({**ANSWER, "sessions": ANSWER["sessions"][:1]}, "sessions is"),
        ({"total": 2}, "is {'total': 2, 'sessions"),
    ],
)
def test_the_first_difference_is_named(other: dict[str, Any], where: str) -> None:
    with pytest.raises(SystemExit, match=where):
        compare([ANSWER], [other])


def test_an_answer_that_is_missing_is_a_difference() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([ANSWER, ANSWER], [ANSWER])
