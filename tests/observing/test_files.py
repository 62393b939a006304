"""The dashboard and the alerts by themselves: whole, unlike each other, and with a page that explains them."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise

import pytest

from chatsvc.core.scraping import FAMILIES
from tests.observing import files
from tests.promtool import program

PAGE = (files.ROOT / "docs/observability.md").read_text()
ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}
NAMES = {f"{family.name}{ending}" for family in FAMILIES for ending in ENDINGS.get(family.kind, ("",))}


def test_every_metric_is_explained_and_no_other() -> None:
    assert {family.name for family in FAMILIES} == set(re.findall(r"^\| `(chatsvc_[a-z0-9_]+)", PAGE, re.MULTILINE))


def test_every_alert_is_explained_and_no_other() -> None:
    assert set(files.alerts()) == set(re.findall(r"^\| `(Chatsvc[A-Za-z]+)`", PAGE, re.MULTILINE))


def test_names_are_as_prometheus_wants_them() -> None:
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert family.about.endswith(".")
        assert family.kind != "histogram" or family.name.endswith("_seconds")


@pytest.mark.parametrize("expression", [*files.shown(), *files.alerts().values()])
def test_an_expression_asks_for_metrics_that_there_are(expression: str) -> None:
    found = set(files.METRIC.findall(expression))
    assert found <= NAMES, found - NAMES
    assert found or 'up{job="chatsvc"}' in expression


def test_every_metric_is_shown() -> None:
    shown = {name for expression in files.shown() for name in files.METRIC.findall(expression)}
    not_shown = {family.name for family in FAMILIES if not any(name.startswith(family.name) for name in shown)}
    assert not_shown == {"chatsvc_metrics_lost_total"}  # an alert tells of it


def test_panels_have_titles_of_their_own_and_stand_beside_each_other() -> None:
    titles = [panel["title"] for panel in files.panels()]
    assert len(titles) == len(set(titles))
    assert all(panel["description"] for panel in files.panels())
    rows: dict[int, list[tuple[int, int]]] = {}
    for panel in files.dashboard()["panels"]:
        place = panel["gridPos"]
        rows.setdefault(place["y"], []).append((place["x"], place["x"] + place["w"]))
    for spans in rows.values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))
        assert max(end for _, end in spans) <= 24
    ids = [panel["id"] for panel in files.dashboard()["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_has_words_and_a_weight_and_a_test() -> None:
    text, tested = (files.PROMETHEUS / "alerts.yml").read_text(), (files.PROMETHEUS / "alerts_test.yml").read_text()
    blocks = text.split("- alert: ")[1:]
    assert len(blocks) == len(files.alerts()) > 10
    for block in blocks:
        assert re.search(r"severity: (warning|critical)", block)
        assert "summary: " in block
        assert f'alertname="{block.partition(chr(10))[0]}"' in tested


@pytest.mark.parametrize("words", [["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]], ids=" ".join)
def test_prometheus_has_nothing_against_them(words: list[str]) -> None:
    done = subprocess.run([program("promtool"), *words], cwd=files.PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
