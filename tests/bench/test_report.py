"""Results get to their place in the document, and nothing else of it changes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import plot, report
from bench.streams import ROOT

TEXT = "Before\n<!-- results of growth -->\nold\n<!-- end of growth -->\nAfter\n"


def test_results_replace_those_of_their_own_section(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT + TEXT.replace("growth", "memory"))
    report.write_section("growth", r"new \1", page)
    assert page.read_text() == TEXT.replace("old", "\nnew \\1\n") + TEXT.replace("growth", "memory")


def test_a_section_that_has_no_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    with pytest.raises(SystemExit, match="no place for memory"):
        report.write_section("memory", "new", page)
    assert page.read_text() == TEXT


def test_the_document_has_a_place_for_each_measurement() -> None:
    text = report.PAGE.read_text()
    sections = re.findall(r'report\.finish\(given, "([a-z]+)"', "".join(path.read_text() for path in (ROOT / "bench").glob("*.py")))
    assert len(sections) == 4
    for section in sections:
        assert len(re.findall(f"<!-- results of {section} -->.*?<!-- end of {section} -->", text, re.DOTALL)) == 1


def test_bars_are_as_long_as_what_they_show() -> None:
    drawn = ElementTree.fromstring(plot.bars("Speed & more", {"list": {"chatsvc": (200, "200"), "peer": (50, "<50>")}}))
    widths = [float(bar.attrib["width"]) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.5)
    assert [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")] == ["Speed & more", "list", "200", "<50>"]


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(None, 3, ""), (0.04988, 3, "0.0499"), (0, 4, "0"), (120.34, 4, "120.3"), (120.34, 3, "120"), (22196.4, 3, "22,196"), (1.5, 4, "1.5")],
)
def test_figures_have_the_digits_that_count(value: float | None, digits: int, shown: str) -> None:
    assert report.number(value, digits) == shown
