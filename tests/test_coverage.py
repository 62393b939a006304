"""`docs/coverage.md` has a row for each line of the five documents, and every file, name and test in it is there."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coverage.md"
NAMED = re.compile(r"`([\w./-]+\.(?:py|sql|md))(?:::([\w.]+))?`")
BESIDE = re.compile(r"`([\w./-]+\.py)` \((\w+(?:, \w+)*)\)")
HEAD = ["the document says", "where it lives", "which test shows it"]
UNSHOWN = ("later", "no test yet", "not a promise")
SECTIONS = {
    "Spec 0: Chat Sessions Module": [
        *("Overview", "Features", "API Endpoints", "Database Schema", "Indexes", "Integration", "Performance Features"),
    ],
    "Spec 1: Chat Session API Documentation": [
        *("Overview", "Database Schema", "API Endpoints", "Configuration", "Database Migration", "Error Handling", "Integration Notes", "Testing"),
    ],
    "Spec 2: Chat Sessions Feature": [
        *("What Changed", "Architecture", "Frontend", "Usage Example", "Database Collections", "Testing with UI", "Features"),
        *("Future Enhancements", "Differences from P2P Chat", "Notes", "Next Steps"),
    ],
    "Spec 3: Sessions List Endpoint Implementation": [
        *("Overview", "What Was Implemented", "Features", "Frontend Integration", "Testing", "Database Schema", "API Documentation"),
        *("Performance Considerations", "Migration Applied", "Next Steps for Production", "Files Modified/Created", "Summary"),
    ],
    "Spec 4: Chat Session Management Feature": [
        *("Overview", "Key Features", "Database Schema", "API Endpoints", "Service Integration", "Background Jobs", "Session Status Flow", "Usage Examples"),
        *("Error Handling", "Security Considerations", "Monitoring & Analytics", "Configuration", "Testing", "Migration Guide", "Future Enhancements"),
        *("Troubleshooting", "Support"),
    ],
}


def read() -> dict[str, dict[str, list[list[str]]]]:
    """The rows of each section of each document, the head of the table among them."""
    found: dict[str, dict[str, list[list[str]]]] = {}
    rows: list[list[str]] = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            found[line[3:]] = {}
        elif line.startswith("### "):
            rows = found[list(found)[-1]].setdefault(line[4:], [])
        elif line.startswith("|") and not line.startswith("|---"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def all_rows() -> list[list[str]]:
    return [row for sections in read().values() for rows in sections.values() for row in rows[1:]]


@lru_cache
def names_in(path: Path) -> set[str]:
    """What a module defines at its top, and what its classes define, as `Class.name`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        found |= defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for inner in node.body for name in defined(inner)}
    return found


def defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def is_there(path: str, name: str) -> bool:
    file = ROOT / path
    return file.is_file() and (not name or (file.suffix == ".py" and name in names_in(file)))


def test_every_section_of_the_five_documents_has_its_table() -> None:
    assert {document: list(sections) for document, sections in read().items()} == SECTIONS
    for document, sections in read().items():
        for section, rows in sections.items():
            assert rows[:1] == [HEAD], f"{document}, {section}"
            assert len(rows) > 1, f"{document}, {section} has no row"


def test_every_column_of_every_row_is_filled() -> None:
    assert [row for row in all_rows() if len(row) != len(HEAD) or not all(row)] == []


def test_everything_that_is_named_is_there() -> None:
    text = PAGE.read_text()
    named = NAMED.findall(text)
    assert text.count("::") == sum(1 for _, name in named if name), "a name is not written as `path::name`"
    assert sorted({f"{path}::{name}" for path, name in named if not is_there(path, name)}) == []
    beside = [(path, word) for path, words in BESIDE.findall(text) for word in words.split(", ")]
    assert sorted({f"{path} ({word})" for path, word in beside if not re.search(rf"\b{word}\b", (ROOT / path).read_text())}) == []


def test_every_row_names_its_place_and_a_test_or_says_why_not() -> None:
    for row in all_rows():
        _, place, shown = row
        tests = NAMED.findall(shown)
        assert all(path.startswith("tests/") and name.startswith("test_") for path, name in tests), row
        word = next((word for word in UNSHOWN if shown.startswith(word)), None)
        if word == "not a promise":
            assert re.match(r"not a promise: \S", place), row
        elif word == "later":
            assert place.startswith("later"), row
        else:
            assert NAMED.search(place), row
            assert bool(tests) is (word is None), row
            assert not place.startswith(UNSHOWN), row
