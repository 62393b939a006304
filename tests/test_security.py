"""`docs/security.md` has the 26 items and the holes of others, and every test and place that it names is there."""

from __future__ import annotations

import re

from tests.test_coverage import NAMED, ROOT, is_there

PAGE = ROOT / "docs/security.md"
HEAD = ["what is asked", "ASVS 5.0", "how it stands", "which test shows it"]
NUMBER = re.compile(r"V\d{1,2}\.\d{1,2}\.\d{1,2}")
# What stands in place of a test, and has to say why.
INSTEAD = re.compile(r"(operator|contract|not held): \S.{15,}")


def tables() -> dict[str, list[list[str]]]:
    """The rows under each heading, the head of the table left out."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|") and not line.startswith("|---"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return {heading: rows[1:] for heading, rows in found.items() if rows[0][1:] == HEAD[1:]}


def test_all_items_and_holes_have_their_table() -> None:
    found = tables()
    assert [heading.split(".")[0] for heading in found if heading[0].isdigit()] == [str(number) for number in range(1, 27)]
    assert len(found["Holes that others had"]) == 29
    assert all(rows for rows in found.values())


def test_every_row_is_whole_and_has_its_number() -> None:
    for heading, rows in tables().items():
        for row in rows:
            assert len(row) == len(HEAD), (heading, row)
            assert all(row), (heading, row)
            assert all(NUMBER.fullmatch(number) for number in row[1].split(", ")), (heading, row[1])


def test_every_row_names_a_test_or_says_why_not() -> None:
    for rows in tables().values():
        for asked, _, stands, shown in rows:
            named = NAMED.findall(shown)
            assert INSTEAD.match(shown) or (named and all(path.startswith("tests/") and name.startswith("test_") for path, name in named)), asked
            word = INSTEAD.match(shown)
            assert word is None or word[1] in ("operator", "contract", "not held"), asked
            assert word is None or word[1] != "not held" or stands.startswith("not held"), asked


def test_everything_that_is_named_is_there() -> None:
    text = PAGE.read_text()
    named = NAMED.findall(text)
    assert text.count("::") == sum(1 for _, name in named if name), "a name is not written as `path::name`"
    assert sorted({f"{path}::{name}" for path, name in named if not is_there(path, name)}) == []
