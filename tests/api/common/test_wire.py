"""How moments are spelt."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis.strategies import datetimes, just

from chatsvc.api.common import wire
from chatsvc.api.envelope import wire as envelope


@given(datetimes(timezones=just(UTC)))
def test_a_moment_is_spelt_as_the_language_spells_it(moment: datetime) -> None:
    assert wire.utc(moment) == moment.isoformat(timespec="microseconds")[:26] + "Z"
    assert envelope.utc(moment) == moment.isoformat(timespec="milliseconds")[:23] + "Z"


def test_no_digit_is_left_out() -> None:
    assert wire.utc(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"
    assert envelope.utc(datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)) == "2026-01-02T03:04:05.999Z"
    assert wire.utc(None) is None
    assert envelope.utc(None) is None
