"""What each connection does by habit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from psycopg2.extensions import PYDATETIMETZ
from sqlalchemy import text

from chatsvc.extensions import db

MOMENTS = (
    "2026-11-29 06:05:04.123456+00",
    "2026-11-29 06:05:04.12+00",
    "2026-11-29 06:05:04+00",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    "infinity",
    "-infinity",
)


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("spelt", MOMENTS)
def test_a_moment_is_read_as_the_driver_reads_it(app: Flask, spelt: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(text("SELECT CAST(:spelt AS timestamptz), CAST(NULL AS timestamptz), CAST(NULL AS uuid)"), {"spelt": spelt}).one()
        cursor = connection.connection.cursor()
        assert found[0] == PYDATETIMETZ(spelt, cursor)
    assert found[1:] == (None, None)
    assert isinstance(found[0], datetime)
    assert found[0].utcoffset() in (None, datetime.now(UTC).utcoffset())
